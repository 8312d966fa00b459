import type { Transaction } from '../../metadata/database.ts'
import { countPullFailure, forgetPullFailures, removeTargets } from '../../metadata/replication/edge-pulls.ts'
import { listExecLinks } from '../../metadata/replication/exec-links.ts'
import { firstFailure } from '../../metadata/replication/record-details.ts'
import type { RecordRow } from '../../metadata/replication/records.ts'
import { readSnapshot } from '../record.ts'

/**
 * The run of an EDGE_PULL task has ended, in the caller's transaction: edges that got everything are targets no more, the failures of the
 * others are counted. @returns whether targets are left.
 */
export async function endPull(trx: Transaction, record: RecordRow): Promise<'waiting' | 'complete'> {
  const { task, retry } = readSnapshot(record)
  const links = await listExecLinks(trx, record.id)
  const failures = await firstFailure(trx, record.id)
  const failed = new Set(
    links.filter(({ link_id, state }) => state !== 'DONE' || failures.has(link_id)).map(({ cluster_id }) => cluster_id),
  )
  const reached = new Set(links.map(({ cluster_id }) => cluster_id))
  const done: string[] = []
  for (const { id } of task.targets) {
    // A run that repeats what failed looks at nothing else: it says nothing about the rest.
    if (retry !== undefined) break
    if (reached.has(id) && !failed.has(id)) {
      done.push(id)
      await forgetPullFailures(trx, record.task_key, id)
    } else {
      await countPullFailure(trx, record.task_key, id)
    }
  }
  return (await removeTargets(trx, record.task_key, done)) > 0 ? 'waiting' : 'complete'
}
