import { AppError } from '../../core/errors.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import {
  forgetPullFailures,
  listHealthy,
  listPullFailures,
  listPullsOf,
} from '../../metadata/replication/edge-pulls.ts'
import { findRecord, findRunningRecord } from '../../metadata/replication/records.ts'
import { findTask, listTaskTargets, lockTask } from '../../metadata/replication/tasks.ts'
import { readSnapshot } from '../record.ts'
import type { Runs } from '../runs.ts'

/** What edges ask their centre for (replication.md 3.2, EDGE_PULL). */
export interface EdgePulls {
  /**
   * Starts the runs that wait for an edge: at most ten, oldest task first. An edge that failed to pull a task four times in a row has to
   * ask for it by its key, which also forgets the failures.
   * @throws AppError TASK_NOT_FOUND for a key of no enabled EDGE_PULL task that has this edge as target.
   */
  pull(clusterId: string, key: string | undefined): Promise<Pull[]>
}

export interface Pull {
  readonly key: string
  readonly name: string
  /** `STARTED` now, `RUNNING` for this edge since before, `WAITING` for a run towards others to end. */
  readonly state: 'STARTED' | 'RUNNING' | 'WAITING'
  readonly recordId: string | null
}

interface EdgePullDeps {
  readonly db: MetadataDatabase
  readonly runs: Runs
}

/** replication.md 3.2. */
const TASKS_PER_PULL = 10
export const PULL_RETRIES = 3

export function createEdgePulls({ db, runs }: EdgePullDeps): EdgePulls {
  async function start(clusterId: string, key: string, wanted: 'due' | 'asked for'): Promise<Pull | undefined> {
    return db.transact(async (trx) => {
      const row = await lockTask(trx, key)
      const targets = (await listTaskTargets(trx, [key])).map(({ id }) => id)
      if (row === undefined || row.enabled === 0 || row.replica_type !== 'EDGE_PULL') return undefined
      if (!targets.includes(clusterId)) return undefined
      const failures = await listPullFailures(trx, key)
      // The run that was in progress when the tasks were listed may have ended, and failed.
      if (wanted === 'due' && (failures.get(clusterId) ?? 0) > PULL_RETRIES) return undefined
      if (wanted === 'asked for') await forgetPullFailures(trx, key, clusterId)
      const about = { key, name: row.name }
      const running = await findRunningRecord(trx, key)
      if (running !== undefined) {
        const state = (await isFor(trx, running, clusterId)) ? 'RUNNING' : 'WAITING'
        return { ...about, state, recordId: running } as const
      }
      const recordId = await runs.start(trx, row, undefined, await withOthers(trx, clusterId, targets, failures))
      return { ...about, state: 'STARTED', recordId } as const
    })
  }
  /** Edges that are there share the run: only one of a task is in progress at a time. */
  async function withOthers(
    trx: Transaction,
    clusterId: string,
    targets: readonly string[],
    failures: ReadonlyMap<string, number>,
  ): Promise<string[]> {
    const healthy = await listHealthy(trx, targets)
    return targets.filter((id) => id === clusterId || (healthy.has(id) && (failures.get(id) ?? 0) === 0))
  }
  async function isFor(trx: Transaction, recordId: string, clusterId: string): Promise<boolean> {
    const record = await findRecord(trx, recordId)
    return record !== undefined && readSnapshot(record).task.targets.some(({ id }) => id === clusterId)
  }

  return {
    async pull(clusterId, key) {
      if (key !== undefined) {
        const pulled = (await findTask(db.read, key)) && (await start(clusterId, key, 'asked for'))
        if (pulled === undefined) throw new AppError('TASK_NOT_FOUND', `replica task [${key}] not found`, { key })
        return [pulled]
      }
      const due = await listPullsOf(db.read, clusterId, { mostFailures: PULL_RETRIES, limit: TASKS_PER_PULL })
      const pulls: Pull[] = []
      for (const task of due) {
        const pulled = await start(clusterId, task.key, 'due')
        if (pulled !== undefined) pulls.push(pulled)
      }
      return pulls
    },
  }
}
