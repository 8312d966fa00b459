import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords } from './table-words.ts'

/** Plans before a run and proofs of equality; and a run remembers which scope it was planned for. */
export async function createPlansSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { int, text, create, columns, key } = tableWords(db, dialect)
  const plan = columns(columns(create('plan'), text, 'id kind task_key? summary?'), int, 'created_at expires_at')
  await key(plan, 'plan', 'id').execute()
  await db.schema.createIndex('plan_expiry').on('plan').column('expires_at').execute()
  const item = columns(create('plan_item'), text, 'plan_id class path reason?')
  await key(columns(item, int, 'item_no link_no size? conflict'), 'plan_item', 'plan_id', 'item_no').execute()
  await db.schema.createIndex('plan_item_class').on('plan_item').columns(['plan_id', 'class', 'item_no']).execute()
  await sql`alter table exec_link add column scope_hash ${text}`.execute(db)
}
