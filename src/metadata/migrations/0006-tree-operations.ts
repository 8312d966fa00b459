import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords } from './table-words.ts'

export async function createTreeOperationsSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { int, text, create, columns, key } = tableWords(db, dialect)
  let table = columns(create('tree_operation'), text, 'id request state by position? error?')
  table = columns(table, int, 'repo_id token up_to_id files folders bytes skipped conflicts started_at ended_at?')
  await key(table, 'tree_operation', 'id').execute()
  await sql`create index tree_operation_repo on tree_operation (repo_id, started_at)`.execute(db)
  await sql`create index tree_operation_ended on tree_operation (ended_at) where ended_at is not null`.execute(db)
  // Restore points of a path. Without the time of deletion, which would not fit PostgreSQL's index rows with the longest path.
  await sql`create index node_gone on node (repo_id, path) where deleted_at is not null`.execute(db)
}
