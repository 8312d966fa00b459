import type { Transaction } from '../database.ts'

const DAY_MS = 86_400_000

/**
 * Deletes details that ended longer ago than their task keeps them, of records that are still open because their task follows
 * changes. Counters are kept with the shards and stay. @param now UTC epoch milliseconds. @returns how many went.
 */
export async function deleteOldLiveDetails(trx: Transaction, now: number, limit: number): Promise<number> {
  const old = trx
    .selectFrom('execution_record as record')
    .innerJoin('replication_task as task', 'task.key', 'record.task_key')
    .innerJoin('record_detail as detail', 'detail.record_id', 'record.id')
    .select('detail.id')
    .where('record.status', '=', 'RUNNING')
    .where('record.replica_type', '=', 'REAL_TIME')
    .where((eb) => {
      const oldest = eb(eb.val(now), '-', eb('task.record_reserve_days', '*', eb.lit(DAY_MS)))
      return eb.and([eb('detail.started_at', '<', oldest), eb('detail.ended_at', '<', oldest)])
    })
    .limit(limit)
  const result = await trx.deleteFrom('record_detail').where('id', 'in', old).executeTakeFirst()
  return Number(result.numDeletedRows)
}
