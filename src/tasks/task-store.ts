import type { Clock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import type { Ids } from '../core/ids.ts'
import type { Reader, Transaction } from '../metadata/database.ts'
import {
  deleteStaleLinks,
  findTask,
  insertTask,
  lockTask,
  putTaskParts,
  type TaskRow,
  updateTask,
} from '../metadata/replication/tasks.ts'
import { rowOfObject, tasksFromRows } from './stored-task.ts'
import type { ReplicationTask, TaskPlan, TaskStatus } from './task.ts'

/** Tasks as rows: what was asked for, and the objects and targets beside it. */
export interface TaskStore {
  /** @throws AppError TASK_NOT_FOUND. */
  get(reader: Reader, key: string): Promise<ReplicationTask>
  /** Comes first in every transaction that changes a task. @throws AppError TASK_NOT_FOUND. */
  lock(trx: Transaction, key: string): Promise<TaskRow>
  /** @returns its key. @throws AppError RESOURCE_EXISTED, of the name. */
  add(trx: Transaction, plan: TaskPlan, status: TaskStatus, userId: string): Promise<string>
  /** In place of what the task was; its status and counters stay. Cursors to targets that it has no more are gone. */
  replace(trx: Transaction, key: string, plan: TaskPlan, userId: string): Promise<void>
}

export function createTaskStore({ clock, ids }: { readonly clock: Clock; readonly ids: Ids }): TaskStore {
  return {
    async get(reader, key) {
      const row = await findTask(reader, key)
      const [task] = row === undefined ? [] : await tasksFromRows(reader, [row])
      if (task === undefined) throw notFound(key)
      return task
    },
    async lock(trx, key) {
      const row = await lockTask(trx, key)
      if (row === undefined) throw notFound(key)
      return row
    },
    async add(trx, plan, status, userId) {
      const row = newRow(plan, { id: ids.id(), key: ids.key(), status, userId, now: clock.now() })
      if (!(await insertTask(trx, row))) throw nameTaken(plan.name)
      await putParts(trx, row.key, plan)
      return row.key
    },
    async replace(trx, key, plan, userId) {
      await updateTask(trx, key, { ...planColumns(plan), modified_by: userId, modified_at: clock.now() })
      await putParts(trx, key, plan)
      await deleteStaleLinks(trx, key)
    },
  }
}

const notFound = (key: string) => new AppError('TASK_NOT_FOUND', `replica task [${key}] not found`, { key })
export const nameTaken = (name: string): AppError =>
  new AppError('RESOURCE_EXISTED', `Resource [${name}] existed`, { name })

const putParts = (trx: Transaction, key: string, { dynamic, objects, targets }: TaskPlan): Promise<void> =>
  putTaskParts(
    trx,
    key,
    dynamic === undefined ? objects.map(rowOfObject) : [],
    targets.map(({ id }) => id),
  )

const planColumns = (plan: TaskPlan) => ({
  name: plan.name,
  project: plan.project,
  object_type: plan.objectType,
  setting: JSON.stringify(plan.setting),
  dynamic: plan.dynamic === undefined ? null : JSON.stringify(plan.dynamic),
  include_permission: Number(plan.includePermission ?? false),
  description: plan.description,
  planned_bytes: plan.plannedBytes ?? null,
  record: Number(plan.record),
  record_reserve_days: plan.recordReserveDays,
})

const newRow = (
  plan: TaskPlan,
  made: { id: string; key: string; status: TaskStatus; userId: string; now: number },
): TaskRow => ({
  id: made.id,
  key: made.key,
  ...planColumns(plan),
  replica_type: plan.replicaType,
  v1: plan.v1 ?? null,
  distribution: null,
  imports: null,
  status: made.status,
  enabled: Number(plan.enabled),
  last_execution_status: null,
  last_execution_at: null,
  next_execution_at: null,
  fired_at: null,
  execution_times: 0,
  created_by: made.userId,
  created_at: made.now,
  modified_by: made.userId,
  modified_at: made.now,
})
