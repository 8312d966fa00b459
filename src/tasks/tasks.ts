import type { Clock } from '../core/clock.ts'
import { AppError, invalid } from '../core/errors.ts'
import type { Ids } from '../core/ids.ts'
import type { Page, PageRequest } from '../core/paging.ts'
import { fieldsOf } from '../core/request-fields.ts'
import type { MetadataDatabase, Reader, Transaction } from '../metadata/database.ts'
import { findClusters } from '../metadata/replication/clusters.ts'
import { forgetPullFailures } from '../metadata/replication/edge-pulls.ts'
import { deleteRecordsOfTask, findRunningRecord, hasRunningRecord } from '../metadata/replication/records.ts'
import {
  deleteStaleLinks,
  deleteTaskRows,
  findTask,
  insertTask,
  isTaskNameTaken,
  listTaskTargets,
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
import type { LiveTasks } from './live-tasks.ts'
import { type Runs, runInProgress } from './runs.ts'
import type { Timetable } from './schedule/timetable.ts'
import { objectsOfTask, plannedOf, rowOfObject, tasksFromRows } from './stored-task.ts'
import type { ReplicationTask, TaskObject, TaskPlan, TaskStatus } from './task.ts'
import { checkName } from './validate-task.ts'

/** Use cases of contract 000. Bodies are JSON as the contract has it; they are judged here, in the order of replication.md 1.2. */
export interface Tasks {
  /**
   * Stores the task and, when it is enabled, starts or plans its first run in the same transaction, as its type and strategy say.
   * @throws AppError of `checkTask` and `TaskJudge.connect`; then nothing is stored.
   */
  create(body: unknown, userId: string, signal: AbortSignal): Promise<ReplicationTask>
  /** As `create`, of what `judged` decides inside the transaction; its targets were connected to before. */
  createJudged(judged: (trx: Transaction) => Promise<TaskPlan>, userId: string): Promise<ReplicationTask>
  /** @throws AppError TASK_NOT_FOUND. */
  get(key: string): Promise<ReplicationTask>
  /** @throws AppError TASK_NOT_FOUND. */
  getDetail(key: string): Promise<{ task: ReplicationTask; objects: TaskObject[] }>
  page(filter: TaskFilter, order: TaskOrder, page: PageRequest): Promise<Page<ReplicationTask>>
  /** With objects, records and details. A run in progress loses its rows and stops at its next write. Missing is fine. */
  delete(key: string): Promise<void>
  /**
   * On and off. A run in progress goes on. Switched on, the task does what it would do when it were created enabled, but what it has
   * done already. @throws AppError TASK_NOT_FOUND; CLUSTER_NOT_FOUND when a target was removed meanwhile.
   */
  toggle(key: string, userId: string): Promise<void>
  /** A disabled task that never ran, with the same objects, targets and options. @throws AppError TASK_NOT_FOUND, of the name. */
  copy(body: unknown, userId: string): Promise<void>
  /**
   * Takes effect with the next run, at once for REAL_TIME. Keeps id, key, type, enabled, counters; absent optional fields stay as
   * they are.
   * @throws AppError TASK_NOT_FOUND, TASK_STATUS_INVALID while a run is in progress, TASK_UPDATE_DISABLED for a dynamic set, and as
   * `create`.
   */
  update(body: unknown, userId: string, signal: AbortSignal): Promise<void>
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

export interface TasksDependencies {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly ids: Ids
  readonly judge: TaskJudge
  readonly runs: Runs
  readonly timetable: Timetable
  readonly live: LiveTasks
  readonly stopRun: StopRun
  /** A run was stopped, for whoever counts how runs end. */
  onStopped(): void
  /** Something was planned: the scheduler looks at once. */
  onPlanned(): void
}

export function createTasks(deps: TasksDependencies): Tasks {
  const { db, clock, ids, judge, runs, timetable, live } = deps

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
  async function store(trx: Transaction, plan: TaskPlan, status: TaskStatus, userId: string): Promise<string> {
    const row = newRow(plan, { id: ids.id(), key: ids.key(), status, userId, now: clock.now() })
    if (!(await insertTask(trx, row))) throw nameTaken(plan.name)
    await putParts(trx, row.key, plan)
    return row.key
  }

  /** What an enabled task does by itself, once it is stored so: created, switched on, or changed. */
  async function setGoing(trx: Transaction, key: string): Promise<void> {
    const row = await lock(trx, key)
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
  }
  async function createJudged(
    judged: (trx: Transaction) => Promise<TaskPlan>,
    userId: string,
  ): Promise<ReplicationTask> {
    const created = db.transact(async (trx) => {
      const plan = await judged(trx)
      const key = await store(trx, plan, plan.replicaType === 'RUN_ONCE' ? 'REPLICATING' : 'WAITING', userId)
      if (plan.enabled) await setGoing(trx, key)
      if (plan.enabled && plan.replicaType === 'REAL_TIME') await live.activate(trx, await lock(trx, key))
      return get(trx, key)
    })
    return thenLook(created)
  }
  async function thenLook<T>(change: Promise<T>): Promise<T> {
    const result = await change
    deps.onPlanned()
    return result
  }
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
    async create(body, userId, signal) {
      await judge.connect(await judge.judge(db.read, body), signal)
      // Judged again: what it was judged by may have changed while the targets were asked.
      return createJudged((trx) => judge.judge(trx, body), userId)
    },
    createJudged,

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
      const toggled = db.transact(async (trx) => {
        const row = await lock(trx, key)
        const enabled = 1 - row.enabled
        const change = { enabled, next_execution_at: null, modified_by: userId, modified_at: clock.now() }
        if (enabled === 1) await refuseLostTargets(trx, key)
        await updateTask(trx, key, change)
        if (enabled === 1) await setGoing(trx, key)
        if (row.replica_type !== 'REAL_TIME') return
        await (enabled === 1 ? live.activate : live.deactivate)(trx, { ...row, ...change })
      })
      await thenLook(toggled)
    },

    async copy(body, userId) {
      const fields = fieldsOf(body)
      await db.transact(async (trx) => {
        const wanted = fields.text('name') ?? ''
        const name = checkName(fields, { nameIsTaken: await isTaskNameTaken(trx, wanted, undefined) })
        const source = await get(trx, fields.requiredText('key'))
        const objects = await objectsOfTask(trx, source.key)
        const description = fields.text('description') ?? null
        await store(trx, { ...source, objects, name, description, enabled: false }, 'WAITING', userId)
      })
    },

    async update(body, userId, signal) {
      const key = fieldsOf(body).requiredText('key')
      const idle = async (reader: Reader) => {
        const stored = await get(reader, key)
        if (stored.dynamic !== undefined) throw notForUpdate(key)
        // The open record of a REAL_TIME task is no run in this sense.
        if (stored.replicaType !== 'REAL_TIME' && (await hasRunningRecord(reader, key))) throw runInProgress(key)
        return stored
      }
      await judge.connect(await judge.judge(db.read, body, await idle(db.read)), signal)
      await db
        .transact(async (trx) => {
          await lock(trx, key)
          const stored = await idle(trx)
          // The older API's option has no field here: it stays as it was.
          const { includePermission = false } = stored
          const plan = { ...(await judge.judge(trx, body, stored)), includePermission }
          await updateTask(trx, key, { ...planColumns(plan), modified_by: userId, modified_at: clock.now() })
          await putParts(trx, key, plan)
          await deleteStaleLinks(trx, key)
          if (plan.enabled) await setGoing(trx, key)
          if (plan.replicaType === 'REAL_TIME') await live.changed(trx, await lock(trx, key))
        })
        .catch((error: unknown) => {
          // Another task took the name after it was judged free: only PostgreSQL lets two transactions come so far.
          throw isUniqueViolation(error) ? nameTaken(fieldsOf(body).requiredText('name')) : error
        })
      deps.onPlanned()
    },

    async execute(key) {
      await db.transact(async (trx) => {
        const row = await lock(trx, key)
        if (row.enabled === 0) throw new AppError('TASK_DISABLED', 'task enables is false', { key })
        refuseSelfGoing(row)
        if (row.replica_type === 'EDGE_PULL') throw invalid('replicaType', 'an EDGE_PULL task is started by its edges')
        await runs.start(trx, row)
      })
    },

    async stop(key, userId) {
      await db.transact(async (trx) => {
        refuseSelfGoing(await lock(trx, key))
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

const notFound = (key: string) => new AppError('TASK_NOT_FOUND', `replica task [${key}] not found`, { key })
const notForUpdate = (key: string) => {
  const why = 'its repositories are looked up at each run; delete it and make another'
  return new AppError('TASK_UPDATE_DISABLED', `task [${key}] disable update: ${why}`, { key })
}
const nameTaken = (name: string) => new AppError('RESOURCE_EXISTED', `Resource [${name}] existed`, { name })

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
