import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords } from './table-words.ts'

/** How each link of a REAL_TIME task stands, and who follows it. */
export async function createLiveLinksSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { int, text, create, columns, key } = tableWords(db, dialect)
  const named = columns(create('live_link'), text, 'task_key record_id state owner? last_error?')
  const numbers = 'link_id run since token lease_until attempts next_attempt_at from_seq?'
  await key(columns(named, int, numbers), 'live_link', 'link_id').execute()
  await sql`create index live_link_task on live_link (task_key)`.execute(db)
  await sql`create index live_link_due on live_link (state, next_attempt_at)`.execute(db)
}
