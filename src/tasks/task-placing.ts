import type { Transaction } from '../metadata/database.ts'
import { hasRunningRecord } from '../metadata/replication/records.ts'
import { updateTask } from '../metadata/replication/tasks.ts'
import type { LiveTasks } from './live-tasks.ts'
import { runInProgress } from './runs.ts'
import type { TaskPlan } from './task.ts'
import type { TaskActivation } from './task-activation.ts'
import type { TaskStore } from './task-store.ts'

/** Tasks that were judged are stored, and do at once what they do by themselves, all in the caller's transaction. */
export interface TaskPlacing {
  /** @returns its key. @throws AppError RESOURCE_EXISTED, of the name. */
  add(trx: Transaction, plan: TaskPlan, userId: string): Promise<string>
  /**
   * In place of a task that is there, type and switch included; its key, records and counters stay.
   * @throws AppError TASK_NOT_FOUND, TASK_STATUS_INVALID while a run is in progress that ends by itself.
   */
  replace(trx: Transaction, key: string, plan: TaskPlan, userId: string): Promise<void>
}

export function createTaskPlacing(
  store: TaskStore,
  activation: TaskActivation,
  live: Pick<LiveTasks, 'activate' | 'deactivate' | 'changed'>,
): TaskPlacing {
  return {
    async add(trx, plan, userId) {
      const key = await store.add(trx, plan, plan.replicaType === 'RUN_ONCE' ? 'REPLICATING' : 'WAITING', userId)
      if (plan.enabled) await activation.setGoing(trx, key)
      if (plan.enabled && plan.replicaType === 'REAL_TIME') await live.activate(trx, await store.lock(trx, key))
      return key
    },

    async replace(trx, key, plan, userId) {
      const before = await store.lock(trx, key)
      const wasLive = before.replica_type === 'REAL_TIME'
      if (!wasLive && (await hasRunningRecord(trx, key))) throw runInProgress(key)
      const staysLive = wasLive && plan.replicaType === 'REAL_TIME' && plan.enabled && before.enabled === 1
      if (wasLive && !staysLive) await live.deactivate(trx, before)
      await store.replace(trx, key, plan, userId)
      const type = { replica_type: plan.replicaType, enabled: Number(plan.enabled), next_execution_at: null }
      await updateTask(trx, key, type)
      if (plan.enabled) await activation.setGoing(trx, key)
      if (!plan.enabled || plan.replicaType !== 'REAL_TIME') return
      await (staysLive ? live.changed : live.activate)(trx, await store.lock(trx, key))
    },
  }
}
