import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords } from './table-words.ts'

/** Tasks of the older API: sets of repositories that are looked up, permissions that go along, and what was copied to us. */
export async function createV1TasksSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { text, create, columns, key } = tableWords(db, dialect)
  await sql`alter table replication_task add column dynamic ${text}`.execute(db)
  await sql`alter table replication_task add column v1 ${text}`.execute(db)
  const wholeNumber = sql.raw(dialect === 'sqlite' ? 'integer' : 'bigint')
  await sql`alter table replication_task add column include_permission ${wholeNumber} not null default 0`.execute(db)

  await sql`drop index detail_record`.execute(db)
  await sql`create index detail_record on record_detail (record_id, started_at, id, status, link_id)`.execute(db)
  // Only of files: what a path is asked for with.
  await sql`drop index detail_path`.execute(db)
  await sql`create index detail_path on record_detail (record_id, path) where package_key is null`.execute(db)

  const copied = columns(create('copied_access'), text, 'kind held_id source_id given')
  await key(copied, 'copied_access', 'kind', 'held_id', 'source_id').execute()
}
