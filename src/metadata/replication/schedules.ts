import type { Reader, Transaction } from '../database.ts'
import type { TaskRow } from './tasks.ts'

export interface PlannedTask {
  readonly key: string
  /** UTC epoch milliseconds. */
  readonly at: number
}

/** Tasks that are to run by themselves, the next one first. */
export async function listPlannedTasks(reader: Reader, limit: number): Promise<PlannedTask[]> {
  const rows = await reader
    .selectFrom('replication_task')
    .select(['key', 'next_execution_at'])
    .where('next_execution_at', 'is not', null)
    .where('enabled', '=', 1)
    .orderBy('next_execution_at')
    .orderBy('key')
    .limit(limit)
    .execute()
  return rows.map((row) => ({ key: row.key, at: row.next_execution_at! }))
}

/** Enabled tasks that may have something planned, ascending by key, after `key`. */
export async function listScheduledTasks(reader: Reader, key: string, limit: number): Promise<TaskRow[]> {
  return reader
    .selectFrom('replication_task')
    .selectAll()
    .where('replica_type', '=', 'SCHEDULED')
    .where('enabled', '=', 1)
    .where('key', '>', key)
    .orderBy('key')
    .limit(limit)
    .execute()
}

/** Sets what is planned, unless somebody else changed it meanwhile. False: somebody did. */
export async function replan(
  trx: Transaction,
  { key, next_execution_at: before }: Pick<TaskRow, 'key' | 'next_execution_at'>,
  next: number | null,
): Promise<boolean> {
  const result = await trx
    .updateTable('replication_task')
    .set({ next_execution_at: next })
    .where('key', '=', key)
    .where('enabled', '=', 1)
    .where('next_execution_at', before === null ? 'is' : '=', before)
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}
