import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords, unique } from './table-words.ts'

/** Tasks of backup and restore, their runs, and what keeps contents from being collected meanwhile. */
export async function createBackupsSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { int, text, create, columns, audit, key } = tableWords(db, dialect)
  const task = columns(
    columns(
      create('backup_task'),
      text,
      'id name type store_location place content setting state run? result? error_reason? artifact_location?',
    ),
    int,
    'started_at? ended_at? succeeded_at? next_execution_at? fired_at?',
  )
  await key(audit(task), 'backup_task', 'id').execute()
  await sql`create unique index backup_task_running on backup_task (place) where state = 'RUNNING'`.execute(db)
  await unique(db, 'backup_task_order', 'backup_task', ['created_at', 'id'])
  const run = columns(
    columns(
      create('backup_run'),
      text,
      'id task_id started_by worker? result? error_reason? artifact_location? progress report?',
    ),
    int,
    'started_at ended_at? cancelled',
  )
  await key(run, 'backup_run', 'id').execute()
  await unique(db, 'backup_run_order', 'backup_run', ['task_id', 'started_at', 'id'])
  await key(columns(columns(create('blob_hold'), text, 'holder'), int, 'until'), 'blob_hold', 'holder').execute()
  // `+ 0`: only queries that say so read it. Others that look for folders by path are better off with the index of paths.
  await sql`create index node_folder on node (repo_id, id, modified_at) where folder + 0 = 1 and deleted_at is null`.execute(
    db,
  )
}
