import type { Insertable, Selectable, Updateable } from 'kysely'
import { type Page, type PageRequest, pageOffset } from '../../core/paging.ts'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'

export type BackupTaskRow = Selectable<Schema['backup_task']>

export async function insertBackupTask(trx: Transaction, row: Insertable<Schema['backup_task']>): Promise<void> {
  await trx.insertInto('backup_task').values(row).execute()
}

export async function findBackupTask(reader: Reader, id: string): Promise<BackupTaskRow | undefined> {
  return reader.selectFrom('backup_task').selectAll().where('id', '=', id).executeTakeFirst()
}

/** The task, which nobody else changes before this transaction ends: what starts, ends or deletes a task takes this first. */
export async function lockBackupTask(trx: Transaction, id: string): Promise<BackupTaskRow | undefined> {
  return trx
    .updateTable('backup_task')
    .set((eb) => ({ place: eb.ref('place') }))
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirst()
}

/** What changes when a run starts. */
export type BackupTaskStart = Pick<BackupTaskRow, 'run' | 'started_at' | 'next_execution_at' | 'fired_at'>

/**
 * PENDING becomes RUNNING: of all that try at the same moment, one does. False: the task is not PENDING, or not there.
 * @throws a unique violation when another task that runs has its place.
 */
export async function startBackupTask(trx: Transaction, id: string, start: BackupTaskStart): Promise<boolean> {
  const result = await trx
    .updateTable('backup_task')
    .set({ ...start, state: 'RUNNING', ended_at: null, result: null, error_reason: null, artifact_location: null })
    .where('id', '=', id)
    .where('state', '=', 'PENDING')
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

export async function updateBackupTask(
  trx: Transaction,
  id: string,
  row: Updateable<Schema['backup_task']>,
): Promise<void> {
  await trx.updateTable('backup_task').set(row).where('id', '=', id).execute()
}

/** The newest first. */
export async function pageBackupTasks(
  reader: Reader,
  state: BackupTaskRow['state'] | undefined,
  page: PageRequest,
): Promise<Page<BackupTaskRow>> {
  const matching = reader
    .selectFrom('backup_task')
    .$if(state !== undefined, (query) => query.where('state', '=', state!))
  const { total } = await matching.select((eb) => eb.fn.countAll<number>().as('total')).executeTakeFirstOrThrow()
  const records = await matching
    .selectAll()
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(page.pageSize)
    .offset(pageOffset(page))
    .execute()
  return { ...page, totalRecords: total, records }
}

/** Tasks with something planned or in progress, ascending by id, after `id`. */
export async function listLiveBackupTasks(reader: Reader, id: string, limit: number): Promise<BackupTaskRow[]> {
  return reader
    .selectFrom('backup_task')
    .selectAll()
    .where((eb) => eb.or([eb('state', '=', 'RUNNING'), eb('next_execution_at', 'is not', null)]))
    .where('id', '>', id)
    .orderBy('id')
    .limit(limit)
    .execute()
}

/** With its runs. */
export async function deleteBackupTask(trx: Transaction, id: string): Promise<void> {
  await trx.deleteFrom('backup_run').where('task_id', '=', id).execute()
  await trx.deleteFrom('backup_task').where('id', '=', id).execute()
}
