import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords } from './table-words.ts'

/** Tasks that bring versions from registries of others. */
export async function createImportsSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { text } = tableWords(db, dialect)
  await sql`alter table replication_task add column imports ${text}`.execute(db)
}
