import type { Clock } from '../core/clock.ts'
import { AppError, invalid } from '../core/errors.ts'
import type { MetadataDatabase, Transaction } from '../metadata/database.ts'
import { findClusters } from '../metadata/replication/clusters.ts'
import { findRunningRecord } from '../metadata/replication/records.ts'
import { listTaskTargets, type TaskRow, updateTask } from '../metadata/replication/tasks.ts'
import type { LiveTasks } from './live-tasks.ts'
import type { Runs } from './runs.ts'
import type { TaskActivation } from './task-activation.ts'
import type { TaskStore } from './task-store.ts'

/** Switching tasks on and off, and their runs by hand. */
export interface TaskControl {
  /**
   * On and off. A run in progress goes on. Switched on, the task does what it would do when it were created enabled, but what it has
   * done already. @throws AppError TASK_NOT_FOUND; CLUSTER_NOT_FOUND when a target was removed meanwhile.
   */
  toggle(key: string, userId: string): Promise<void>
  /**
   * Starts a run; a cron expression keeps its times. @throws AppError TASK_NOT_FOUND, TASK_DISABLED; TASK_STATUS_INVALID while a run is
   * in progress, and for what follows changes by itself; PARAMETER_INVALID for EDGE_PULL, which an edge starts.
   */
  execute(key: string): Promise<void>
  /**
   * Ends the run in progress: its record is FAILED, what it did stays, and nothing is written for it afterwards.
   * @throws AppError TASK_NOT_FOUND; TASK_STATUS_INVALID when nothing runs, and for what follows changes by itself.
   */
  stop(key: string, userId: string): Promise<void>
}

/** Ends a run that is in progress in the caller's transaction, in which its task is locked (`replication/runs/record-close.ts`). */
export type StopRun = (trx: Transaction, recordId: string, reason: string) => Promise<void>

export interface TaskControlDependencies {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly runs: Runs
  readonly live: LiveTasks
  readonly stopRun: StopRun
  /** A run was stopped, for whoever counts how runs end. */
  onStopped(): void
  /** Something was planned: the scheduler looks at once. */
  onPlanned(): void
}

export function createTaskControl(
  deps: TaskControlDependencies,
  store: Pick<TaskStore, 'lock'>,
  activation: TaskActivation,
): TaskControl {
  const { db, clock, runs, live } = deps

  async function refuseLostTargets(trx: Transaction, key: string): Promise<void> {
    const targets = await listTaskTargets(trx, [key])
    const known = await findClusters(
      trx,
      targets.map(({ id }) => id),
    )
    const lost = targets.find(({ id }) => !known.some((cluster) => cluster.id === id))
    if (lost !== undefined) {
      const message = `cluster node [${lost.id}] is not found: it was removed; choose other targets for the task first`
      throw new AppError('CLUSTER_NOT_FOUND', message, { cluster: lost.id })
    }
  }

  return {
    async toggle(key, userId) {
      await db.transact(async (trx) => {
        const row = await store.lock(trx, key)
        const enabled = 1 - row.enabled
        const change = { enabled, next_execution_at: null, modified_by: userId, modified_at: clock.now() }
        if (enabled === 1) await refuseLostTargets(trx, key)
        await updateTask(trx, key, change)
        if (enabled === 1) await activation.setGoing(trx, key)
        if (row.replica_type !== 'REAL_TIME') return
        await (enabled === 1 ? live.activate : live.deactivate)(trx, { ...row, ...change })
      })
      deps.onPlanned()
    },

    async execute(key) {
      await db.transact(async (trx) => {
        const row = await store.lock(trx, key)
        if (row.enabled === 0) throw new AppError('TASK_DISABLED', 'task enables is false', { key })
        refuseSelfGoing(row)
        if (row.replica_type === 'EDGE_PULL') throw invalid('replicaType', 'an EDGE_PULL task is started by its edges')
        await runs.start(trx, row)
      })
    },

    async stop(key, userId) {
      await db.transact(async (trx) => {
        refuseSelfGoing(await store.lock(trx, key))
        const recordId = await findRunningRecord(trx, key)
        if (recordId === undefined) {
          throw new AppError('TASK_STATUS_INVALID', 'task status invalid: no run is in progress', { key })
        }
        await deps.stopRun(trx, recordId, `stopped by ${userId}`)
      })
      deps.onStopped()
    },
  }
}

/** What follows changes runs all the time: it is neither started nor stopped, but switched on and off. */
function refuseSelfGoing({ key, replica_type }: TaskRow): void {
  if (replica_type !== 'REAL_TIME' && replica_type !== 'FEDERATION') return
  const message = `task status invalid: a ${replica_type} task goes on by itself; switch it on or off instead`
  throw new AppError('TASK_STATUS_INVALID', message, { key })
}
