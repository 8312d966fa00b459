import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords } from './table-words.ts'

/** Bytes in use, counted once for what is there already; what describes a repository to people. */
export async function createUsageSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { int, text, create, columns, key } = tableWords(db, dialect)
  await key(
    columns(create('repository_usage'), int, 'repo_id slot bytes'),
    'repository_usage',
    'repo_id',
    'slot',
  ).execute()
  await sql`insert into repository_usage (repo_id, slot, bytes)
    select repo_id, 0, sum(size) from node where deleted_at is null group by repo_id`.execute(db)
  await sql`alter table repository add column display ${sql.raw(int)} not null default 1`.execute(db)
  await sql`alter table repository add column owner ${text}`.execute(db)
  await sql`alter table repository add column visibility ${text}`.execute(db)
}
