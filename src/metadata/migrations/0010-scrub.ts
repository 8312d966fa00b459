import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords } from './table-words.ts'

export async function createScrubSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { int, text, bytes, create, identity, columns, key } = tableWords(db, dialect)
  let table = columns(identity(create('scrub_run')), text, 'requested_by')
  table = columns(table, int, 'started_at ended_at? blobs bytes damaged missing total_blobs total_bytes')
  await columns(table, bytes, 'position?').execute()
  await sql`create unique index scrub_run_open on scrub_run ((ended_at is null)) where ended_at is null`.execute(db)

  table = columns(columns(create('scrub_finding'), bytes, 'sha256'), text, 'kind')
  await key(columns(table, int, 'size found_at'), 'scrub_finding', 'sha256').execute()

  table = columns(identity(create('collection_report')), int, 'started_at ended_at purged_nodes examined')
  await columns(table, int, 'deleted_blobs freed_bytes orphans').execute()
}
