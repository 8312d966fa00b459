import { AppError, invalid } from '../core/errors.ts'
import type { Ids } from '../core/ids.ts'
import type { Page, PageRequest } from '../core/paging.ts'
import { fieldsOf } from '../core/request-fields.ts'
import type { Reader, Transaction } from '../metadata/database.ts'
import { longReads } from '../metadata/long-reads.ts'
import { ofOneMoment } from '../metadata/one-moment.ts'
import { deleteRecordsOfTask, hasRunningRecord } from '../metadata/replication/records.ts'
import {
  deleteTaskRows,
  findTask,
  isTaskNameTaken,
  lockTask,
  pageTasks,
  type TaskFilter,
  type TaskOrder,
} from '../metadata/replication/tasks.ts'
import { isUniqueViolation } from '../metadata/sql/unique-violation.ts'
import type { DistributionOrigin } from './distributions/distribution.ts'
import type { TaskJudge } from './judge-task.ts'
import { plannedBytesOf } from './planned-bytes.ts'
import { runInProgress } from './runs.ts'
import { objectsOfTask, tasksFromRows } from './stored-task.ts'
import type { ReplicationTask, TaskObject, TaskPlan } from './task.ts'
import { createTaskActivation, type TaskActivationDependencies } from './task-activation.ts'
import { createTaskControl, type TaskControl, type TaskControlDependencies } from './task-control.ts'
import { createTaskPlacing } from './task-placing.ts'
import { createTaskStore, nameTaken } from './task-store.ts'
import { checkName } from './validate-task.ts'

/** Use cases of contract 000. Bodies are JSON as the contract has it; they are judged here, in the order of replication.md 1.2. */
export interface Tasks extends TaskControl {
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
  /** A disabled task that never ran, with the same objects, targets and options. @throws AppError TASK_NOT_FOUND, of the name. */
  copy(body: unknown, userId: string): Promise<void>
  /**
   * Takes effect with the next run, at once for REAL_TIME. Keeps id, key, type, enabled, counters; absent optional fields stay as
   * they are.
   * @throws AppError TASK_NOT_FOUND, TASK_STATUS_INVALID while a run is in progress, TASK_UPDATE_DISABLED for a dynamic set, and as
   * `create`.
   */
  update(body: unknown, userId: string, signal: AbortSignal): Promise<void>
}

export interface TasksDependencies extends TaskControlDependencies, TaskActivationDependencies {
  readonly ids: Ids
  readonly judge: TaskJudge
}

export function createTasks(deps: TasksDependencies): Tasks {
  const { db, judge, live } = deps
  const store = createTaskStore(deps)
  const activation = createTaskActivation(deps, store)
  const placing = createTaskPlacing(store, activation, live)

  async function createJudged(
    judged: (trx: Transaction) => Promise<TaskPlan>,
    userId: string,
  ): Promise<ReplicationTask> {
    const created = await db.transact(async (trx) => {
      const plan = await judged(trx)
      return store.get(trx, await placing.add(trx, plan, userId))
    })
    deps.onPlanned()
    return created
  }
  /** The task, when it can be changed. */
  async function idle(reader: Reader, key: string): Promise<ReplicationTask> {
    const stored = await store.get(reader, key)
    if (stored.dynamic !== undefined) throw notForUpdate(key)
    // The open record of a REAL_TIME task is no run in this sense.
    if (stored.replicaType !== 'REAL_TIME' && (await hasRunningRecord(reader, key))) throw runInProgress(key)
    return stored
  }

  return {
    ...createTaskControl(deps, store, activation),

    async create(body, userId, signal) {
      const asked = await judge.judge(db.read, body)
      await judge.connect(asked, signal)
      const plannedBytes = await plannedBytesOf(longReads(db), asked, deps.clock.now())
      // Judged again: what it was judged by may have changed while the targets were asked.
      return createJudged(async (trx) => ({ ...(await judge.judge(trx, body)), plannedBytes }), userId)
    },
    createJudged,

    get: (key) => ofOneMoment(db, (reader) => store.get(reader, key)),
    getDetail: (key) =>
      ofOneMoment(db, async (reader) => ({
        task: await store.get(reader, key),
        objects: await objectsOfTask(reader, key),
      })),
    page: (filter, order, page) =>
      ofOneMoment(db, async (reader) => {
        const found = await pageTasks(reader, filter, order, page)
        return { ...found, records: await tasksFromRows(reader, found.records) }
      }),

    async delete(key) {
      await db.transact(async (trx) => {
        if ((await lockTask(trx, key)) === undefined) return
        await deleteRecordsOfTask(trx, key)
        await deleteTaskRows(trx, key)
      })
    },

    async copy(body, userId) {
      const fields = fieldsOf(body)
      await db.transact(async (trx) => {
        const wanted = fields.text('name') ?? ''
        const name = checkName(fields, { nameIsTaken: await isTaskNameTaken(trx, wanted, undefined) })
        const source = await store.get(trx, fields.requiredText('key'))
        await refuseRegistry(trx, source.key)
        const objects = await objectsOfTask(trx, source.key)
        const description = fields.text('description') ?? null
        await store.add(trx, { ...source, objects, name, description, enabled: false }, 'WAITING', userId)
      })
    },

    async update(body, userId, signal) {
      const key = fieldsOf(body).requiredText('key')
      const asked = await judge.judge(db.read, body, await idle(db.read, key))
      await judge.connect(asked, signal)
      const plannedBytes = await plannedBytesOf(longReads(db), asked, deps.clock.now())
      await db
        .transact(async (trx) => {
          const { distribution, imports } = await store.lock(trx, key)
          if (imports !== null) throw invalid('key', 'it is an import: create it again under its name')
          const stored = await idle(trx, key)
          if (distribution !== null) refuseRenaming(stored, body)
          // The older API's option has no field here: it stays as it was.
          const { includePermission = false } = stored
          const plan = { ...(await judge.judge(trx, body, stored)), includePermission, plannedBytes }
          await store.replace(trx, key, plan, userId)
          if (plan.enabled) await activation.setGoing(trx, key)
          if (plan.replicaType === 'REAL_TIME') await live.changed(trx, await store.lock(trx, key))
        })
        .catch((error: unknown) => {
          // Another task took the name after it was judged free: only PostgreSQL lets two transactions come so far.
          throw isUniqueViolation(error) ? nameTaken(fieldsOf(body).requiredText('name')) : error
        })
      deps.onPlanned()
    },
  }
}

/** Where a registry is, and how to log in there, belongs to one distribution. */
async function refuseRegistry(reader: Reader, key: string): Promise<void> {
  const { distribution, imports } = (await findTask(reader, key))!
  if (imports !== null) throw invalid('key', 'it comes from a registry: make another import of it')
  if (distribution === null || (JSON.parse(distribution) as DistributionOrigin).kind !== 'registry') return
  throw invalid('key', 'it goes to a registry: make another distribution to it')
}
function refuseRenaming({ name }: ReplicationTask, body: unknown): void {
  if (fieldsOf(body).text('name') !== name) throw invalid('name', `the distribution [${name}] keeps its name`)
}

const notForUpdate = (key: string) => {
  const why = 'its repositories are looked up at each run; delete it and make another'
  return new AppError('TASK_UPDATE_DISABLED', `task [${key}] disable update: ${why}`, { key })
}
