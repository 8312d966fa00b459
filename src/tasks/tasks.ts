import type { Clock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import type { Ids } from '../core/ids.ts'
import type { Page, PageRequest } from '../core/paging.ts'
import { fieldsOf } from '../core/request-fields.ts'
import type { MetadataDatabase, Reader, Transaction } from '../metadata/database.ts'
import { deleteRecordsOfTask, hasRunningRecord } from '../metadata/replication/records.ts'
import {
  deleteStaleLinks,
  deleteTaskRows,
  findTask,
  insertTask,
  isTaskNameTaken,
  lockTask,
  pageTasks,
  putTaskParts,
  type TaskFilter,
  type TaskOrder,
  type TaskRow,
  updateTask,
} from '../metadata/replication/tasks.ts'
import { isUniqueViolation } from '../metadata/sql/unique-violation.ts'
import type { TaskJudge } from './judge-task.ts'
import { type Runs, runInProgress } from './runs.ts'
import { objectsOfTask, rowOfObject, tasksFromRows } from './stored-task.ts'
import type { ReplicationTask, TaskObject, TaskPlan } from './task.ts'
import { checkName } from './validate-task.ts'

/** Use cases of contract 000. Bodies are JSON as the contract has it; they are judged here, in the order of replication.md 1.2. */
export interface Tasks {
  /**
   * Stores the task and, when it is enabled, starts its first run in the same transaction.
   * @throws AppError of `checkTask` and `TaskJudge.connect`; then nothing is stored.
   */
  create(body: unknown, userId: string, signal: AbortSignal): Promise<ReplicationTask>
  /** @throws AppError TASK_NOT_FOUND. */
  get(key: string): Promise<ReplicationTask>
  /** @throws AppError TASK_NOT_FOUND. */
  getDetail(key: string): Promise<{ task: ReplicationTask; objects: TaskObject[] }>
  page(filter: TaskFilter, order: TaskOrder, page: PageRequest): Promise<Page<ReplicationTask>>
  /** With objects, records and details. A run in progress loses its rows and stops at its next write. Missing is fine. */
  delete(key: string): Promise<void>
  /** On and off. Switched on for the first time, the task runs. A run in progress goes on. @throws AppError TASK_NOT_FOUND. */
  toggle(key: string, userId: string): Promise<void>
  /** A disabled task that never ran, with the same objects, targets and options. @throws AppError TASK_NOT_FOUND, of the name. */
  copy(body: unknown, userId: string): Promise<void>
  /**
   * Takes effect with the next run. Keeps id, key, type, enabled, counters; absent optional fields stay as they are.
   * @throws AppError TASK_NOT_FOUND, TASK_STATUS_INVALID while a run is in progress, and as `create`.
   */
  update(body: unknown, userId: string, signal: AbortSignal): Promise<void>
  /** @throws AppError TASK_NOT_FOUND, TASK_DISABLED, TASK_STATUS_INVALID while a run is in progress. */
  execute(key: string): Promise<void>
}

export interface TasksDependencies {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly ids: Ids
  readonly judge: TaskJudge
  readonly runs: Runs
}

export function createTasks({ db, clock, ids, judge, runs }: TasksDependencies): Tasks {
  async function get(reader: Reader, key: string): Promise<ReplicationTask> {
    const row = await findTask(reader, key)
    const [task] = row === undefined ? [] : await tasksFromRows(reader, [row])
    if (task === undefined) throw notFound(key)
    return task
  }
  async function lock(trx: Transaction, key: string): Promise<TaskRow> {
    const row = await lockTask(trx, key)
    if (row === undefined) throw notFound(key)
    return row
  }
  async function store(trx: Transaction, plan: TaskPlan, userId: string): Promise<string> {
    const row = newRow(plan, { id: ids.id(), key: ids.key(), userId, now: clock.now() })
    if (!(await insertTask(trx, row))) throw nameTaken(plan.name)
    await putParts(trx, row.key, plan)
    return row.key
  }
  const started = async (trx: Transaction, key: string) => runs.start(trx, await lock(trx, key))

  return {
    async create(body, userId, signal) {
      await judge.connect(await judge.judge(db.read, body), signal)
      return db.transact(async (trx) => {
        // Judged again: what it was judged by may have changed while the targets were asked.
        const plan = await judge.judge(trx, body)
        const key = await store(trx, plan, userId)
        if (plan.enabled) await started(trx, key)
        return get(trx, key)
      })
    },

    get: async (key) => get(db.read, key),
    getDetail: async (key) => ({ task: await get(db.read, key), objects: await objectsOfTask(db.read, key) }),
    async page(filter, order, page) {
      const found = await pageTasks(db.read, filter, order, page)
      return { ...found, records: await tasksFromRows(db.read, found.records) }
    },

    async delete(key) {
      await db.transact(async (trx) => {
        if ((await lockTask(trx, key)) === undefined) return
        await deleteRecordsOfTask(trx, key)
        await deleteTaskRows(trx, key)
      })
    },

    async toggle(key, userId) {
      await db.transact(async (trx) => {
        const row = await lock(trx, key)
        const enabled = 1 - row.enabled
        const change = { enabled, modified_by: userId, modified_at: clock.now() }
        await updateTask(trx, key, change)
        if (enabled === 1 && row.execution_times === 0) await runs.start(trx, { ...row, ...change })
      })
    },

    async copy(body, userId) {
      const fields = fieldsOf(body)
      await db.transact(async (trx) => {
        const wanted = fields.text('name') ?? ''
        const name = checkName(fields, { nameIsTaken: await isTaskNameTaken(trx, wanted, undefined) })
        const source = await get(trx, fields.requiredText('key'))
        const objects = await objectsOfTask(trx, source.key)
        const description = fields.text('description') ?? null
        await store(trx, { ...source, objects, name, description, enabled: false }, userId)
      })
    },

    async update(body, userId, signal) {
      const key = fieldsOf(body).requiredText('key')
      const idle = async (reader: Reader) => {
        const stored = await get(reader, key)
        if (await hasRunningRecord(reader, key)) throw runInProgress(key)
        return stored
      }
      await judge.connect(await judge.judge(db.read, body, await idle(db.read)), signal)
      await db
        .transact(async (trx) => {
          await lock(trx, key)
          const plan = await judge.judge(trx, body, await idle(trx))
          await updateTask(trx, key, { ...planColumns(plan), modified_by: userId, modified_at: clock.now() })
          await putParts(trx, key, plan)
          await deleteStaleLinks(trx, key)
        })
        .catch((error: unknown) => {
          // Another task took the name after it was judged free: only PostgreSQL lets two transactions come so far.
          throw isUniqueViolation(error) ? nameTaken(fieldsOf(body).requiredText('name')) : error
        })
    },

    async execute(key) {
      await db.transact(async (trx) => {
        const row = await lock(trx, key)
        if (row.enabled === 0) throw new AppError('TASK_DISABLED', 'task enables is false', { key })
        await runs.start(trx, row)
      })
    },
  }
}

const notFound = (key: string) => new AppError('TASK_NOT_FOUND', `replica task [${key}] not found`, { key })
const nameTaken = (name: string) => new AppError('RESOURCE_EXISTED', `Resource [${name}] existed`, { name })

const putParts = (trx: Transaction, key: string, { objects, targets }: TaskPlan): Promise<void> =>
  putTaskParts(
    trx,
    key,
    objects.map(rowOfObject),
    targets.map(({ id }) => id),
  )

const planColumns = (plan: TaskPlan) => ({
  name: plan.name,
  project: plan.project,
  object_type: plan.objectType,
  setting: JSON.stringify(plan.setting),
  description: plan.description,
  record: Number(plan.record),
  record_reserve_days: plan.recordReserveDays,
})

const newRow = (plan: TaskPlan, made: { id: string; key: string; userId: string; now: number }): TaskRow => ({
  id: made.id,
  key: made.key,
  ...planColumns(plan),
  replica_type: plan.replicaType,
  status: 'WAITING',
  enabled: Number(plan.enabled),
  last_execution_status: null,
  last_execution_at: null,
  next_execution_at: null,
  execution_times: 0,
  created_by: made.userId,
  created_at: made.now,
  modified_by: made.userId,
  modified_at: made.now,
})
