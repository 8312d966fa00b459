import { AppError } from '../../core/errors.ts'
import type { Reader, Transaction } from '../../metadata/database.ts'
import { deleteRecordsOfTask, hasRunningRecord } from '../../metadata/replication/records.ts'
import { deleteTaskRows, type TaskRow } from '../../metadata/replication/tasks.ts'
import type { ExecutionRecord } from '../record.ts'
import type { Records } from '../records.ts'

/** @param name as users call what runs once: a distribution or an import. @throws AppError RESOURCE_NOT_FOUND. */
export function present(row: TaskRow | undefined, name: string): TaskRow {
  if (row !== undefined) return row
  throw new AppError('RESOURCE_NOT_FOUND', `Resource [${name}] not found`, { name })
}

/** Of the run that was started last; undefined: none was. */
export async function newestRun(
  records: Pick<Records, 'page'>,
  { key }: TaskRow,
): Promise<ExecutionRecord | undefined> {
  return (await records.page(key, undefined, { pageNumber: 1, pageSize: 1 })).records[0]
}

/** @throws AppError DELETION_REFUSED. */
export async function refuseWhileRunning(reader: Reader, { key }: TaskRow, name: string): Promise<void> {
  if (await hasRunningRecord(reader, key)) throw deletionRefused(name, 'it is running; wait for its end, or stop it')
}

export const deletionRefused = (name: string, why: string): AppError =>
  new AppError('DELETION_REFUSED', `Access denied: [${name}] is not deleted, ${why}`, { name })

/** With records, details and the node of its registry. */
export async function removeTask(trx: Transaction, { key }: TaskRow): Promise<void> {
  await deleteRecordsOfTask(trx, key)
  await deleteTaskRows(trx, key)
}
