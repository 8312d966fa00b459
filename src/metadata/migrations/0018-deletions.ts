import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords } from './table-words.ts'

/**
 * A tombstone tells who deleted, and which run brought the deletion; a planned path whether its end is to be brought over; a cluster
 * which installation answers at its address; a link of another cluster which repository it brings.
 */
export async function createDeletionsSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { text } = tableWords(db, dialect)
  const int = sql.raw(dialect === 'sqlite' ? 'integer' : 'bigint')
  await sql`alter table tombstone add column deleted_by ${text} not null default ''`.execute(db)
  await sql`alter table tombstone add column via_link ${int}`.execute(db)
  await sql`alter table tombstone add column via_mark ${int}`.execute(db)
  await sql`alter table exec_path add column deletes ${int} not null default 0`.execute(db)
  await sql`alter table cluster add column peer_id ${text}`.execute(db)
  await sql`alter table peer_link add column project ${text}`.execute(db)
  await sql`alter table peer_link add column repo ${text}`.execute(db)
}
