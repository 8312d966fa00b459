import type { Clock } from '../core/clock.ts'
import type { Transaction } from '../metadata/database.ts'
import { forgetPullFailures } from '../metadata/replication/edge-pulls.ts'
import { updateTask } from '../metadata/replication/tasks.ts'
import type { Runs } from './runs.ts'
import type { Timetable } from './schedule/timetable.ts'
import { plannedOf } from './stored-task.ts'
import type { TaskStore } from './task-store.ts'

/** What an enabled task does by itself, but for REAL_TIME (`live-tasks.ts`). */
export interface TaskActivation {
  /** Called once the task is stored as enabled: created, switched on, or changed. Plans its next run; starts the first one where it is due. */
  setGoing(trx: Transaction, key: string): Promise<void>
}

export interface TaskActivationDependencies {
  readonly clock: Clock
  readonly runs: Runs
  readonly timetable: Timetable
}

export function createTaskActivation(
  { clock, runs, timetable }: TaskActivationDependencies,
  store: Pick<TaskStore, 'lock'>,
): TaskActivation {
  return {
    async setGoing(trx, key) {
      const row = await store.lock(trx, key)
      const planned = plannedOf(row)
      if (planned.replicaType === 'EDGE_PULL') {
        await forgetPullFailures(trx, key)
        await updateTask(trx, key, { status: 'WAITING' })
      }
      if (planned.replicaType !== 'SCHEDULED') return
      const next = timetable.next(planned, clock.now())
      const status = next !== null && row.status === 'COMPLETED' ? 'WAITING' : row.status
      await updateTask(trx, key, { next_execution_at: next, status })
      const isImmediate = planned.setting.executionStrategy === 'IMMEDIATELY'
      if (isImmediate && row.execution_times === 0) await runs.start(trx, { ...row, next_execution_at: next })
    },
  }
}
