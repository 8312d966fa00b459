import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords } from './table-words.ts'

/** How far a proof got that reads contents, for whoever waits for it. */
export async function createPreviewProgressSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { text } = tableWords(db, dialect)
  await sql`alter table plan add column progress ${text}`.execute(db)
}
