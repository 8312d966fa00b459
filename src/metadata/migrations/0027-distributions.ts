import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords } from './table-words.ts'

/** Tasks that distribute a repository, and what a registry has of it by our record. */
export async function createDistributionsSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { int, text, create, columns, key } = tableWords(db, dialect)
  await sql`alter table replication_task add column distribution ${text}`.execute(db)
  const pushed = columns(columns(create('pushed_version'), int, 'link_id pushed_at'), text, 'path digest target')
  await key(pushed, 'pushed_version', 'link_id', 'path', 'target').execute()
  const upload = columns(
    columns(create('pushed_upload'), text, 'cluster_id repository content location'),
    int,
    'taken at',
  )
  await key(upload, 'pushed_upload', 'cluster_id', 'repository', 'content').execute()
}
