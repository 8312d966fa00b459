import type { ClusterGreeting } from '../../clusters/cluster-probe.ts'
import type { GivenClusters } from '../../clusters/given-clusters.ts'
import type { Clock } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { Ids } from '../../core/ids.ts'
import { fieldsOf } from '../../core/request-fields.ts'
import type { MetadataDatabase, Reader } from '../../metadata/database.ts'
import { ofOneMoment } from '../../metadata/one-moment.ts'
import { lockTask, type TaskRow } from '../../metadata/replication/tasks.ts'
import { findV1Task, listV1Tasks, saveV1Origin } from '../../metadata/replication/v1-tasks.ts'
import type { TaskJudge } from '../judge-task.ts'
import type { ExecutionRecord } from '../record.ts'
import type { Records } from '../records.ts'
import { tasksFromRows } from '../stored-task.ts'
import type { TaskTarget } from '../task.ts'
import type { Tasks } from '../tasks.ts'
import type { TimeRules } from '../validate-setting.ts'
import { v1Logs } from './v1-logs.ts'
import { v1Plan } from './v1-plan.ts'
import { checkV1Remote, checkV1Request, type V1Request } from './v1-request.ts'
import { statusOf, type V1Log, type V1Origin, type V1Task } from './v1-task.ts'

/** Use cases of contract 003 on the current model (replication.md 1.7). Tasks of the current API do not exist here. */
export interface V1Tasks {
  /** @param given url, username, password, certificate. @throws AppError of `GivenClusters.connect`. */
  testConnection(given: unknown, signal: AbortSignal): Promise<void>
  /**
   * Finds or makes the target, and the task, which starts as its plan says.
   * @throws AppError of `checkV1Request`, `v1Plan` and `GivenClusters`; then there is no task.
   */
  create(body: unknown, userId: string, signal: AbortSignal): Promise<void>
  /** Newest first. */
  list(): Promise<V1Task[]>
  find(key: string): Promise<V1Task | undefined>
  /** Ends the run in progress; INCREMENTAL tasks are switched off. @throws AppError RESOURCE_NOT_FOUND, TASK_STATUS_INVALID. */
  interrupt(key: string, userId: string): Promise<void>
  /** @throws AppError RESOURCE_NOT_FOUND. */
  delete(key: string): Promise<void>
  /** Newest first, at most 10,000; unknown tasks have none. */
  logs(key: string): Promise<V1Log[]>
  latestLog(key: string): Promise<V1Log | undefined>
}

export interface V1TasksDependencies {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly ids: Ids
  readonly tasks: Pick<Tasks, 'createJudged' | 'delete' | 'stop' | 'toggle'>
  readonly records: Pick<Records, 'list' | 'page'>
  readonly judge: Pick<TaskJudge, 'refuseSelfCopy'>
  readonly given: GivenClusters
  /** Repository types that this release can hold. */
  readonly builtTypes: readonly string[]
  readonly time: Omit<TimeRules, 'now'>
}

export function createV1Tasks(deps: V1TasksDependencies): V1Tasks {
  const { db, clock, ids, tasks, records, judge, given, builtTypes, time } = deps

  async function fromRows(reader: Reader, rows: readonly TaskRow[]): Promise<V1Task[]> {
    const known = await tasksFromRows(reader, rows)
    return known.map((task, n) => {
      const origin = JSON.parse(rows[n]!.v1!) as V1Origin
      return { task, origin, status: statusOf(task, origin) }
    })
  }
  const find = (key: string): Promise<V1Task | undefined> =>
    ofOneMoment(db, async (reader) => {
      const row = await findV1Task(reader, key)
      return row && (await fromRows(reader, [row]))[0]
    })
  async function get(key: string): Promise<V1Task> {
    const task = await find(key)
    if (task === undefined) throw new AppError('RESOURCE_NOT_FOUND', `Resource [${key}] not found`, { key })
    return task
  }
  async function logsOf(key: string, list: () => Promise<readonly ExecutionRecord[]>): Promise<V1Log[]> {
    const task = await find(key)
    return task === undefined ? [] : v1Logs(db.read, await list(), task.origin)
  }

  return {
    async testConnection(connection, signal) {
      await given.connect(checkV1Remote(fieldsOf(connection)), signal)
    },

    async create(body, userId, signal) {
      const request = checkV1Request(body, { ...time, now: clock.now() })
      const name = `v1-${ids.key()}`
      const plan = (reader: Reader, targets: readonly TaskTarget[]) =>
        v1Plan(reader, request, { name, targets, builtTypes })
      const judged = await plan(db.read, [])
      let greeting: ClusterGreeting | undefined
      if (request.validateConnectivity) {
        greeting = await given.connect(request.remote, signal)
        judge.refuseSelfCopy(judged, request.remote.url, greeting)
      }
      const cluster = await given.ensure(request.remote, greeting, userId, signal)
      const target = { id: cluster.id, name: cluster.name }
      const v1 = JSON.stringify(originOf(request))
      await tasks.createJudged(async (trx) => ({ ...(await plan(trx, [target])), v1 }), userId)
    },

    list: () => ofOneMoment(db, async (reader) => fromRows(reader, await listV1Tasks(reader))),
    find,

    async interrupt(key, userId) {
      const { task, status } = await get(key)
      if (status !== 'REPLICATING') throw notReplicating(key)
      // Before the run ends, so that it lies within the run.
      const interruptedAt = clock.now()
      await (task.replicaType === 'REAL_TIME' ? tasks.toggle : tasks.stop)(key, userId)
      await db.transact(async (trx) => {
        const row = await lockTask(trx, key)
        if (row?.v1 == null) return
        const origin = JSON.parse(row.v1) as V1Origin
        await saveV1Origin(trx, key, JSON.stringify({ ...origin, interruptedAt } satisfies V1Origin))
      })
    },

    async delete(key) {
      await get(key)
      await tasks.delete(key)
    },

    logs: (key) => logsOf(key, () => records.list(key)),
    async latestLog(key) {
      const newest = { pageNumber: 1, pageSize: 1 }
      return (await logsOf(key, async () => (await records.page(key, undefined, newest)).records))[0]
    },
  }
}

const notReplicating = (key: string) =>
  new AppError('TASK_STATUS_INVALID', 'task status invalid: it is not replicating', { key })

function originOf(request: V1Request): V1Origin {
  const { includeAllProject, localProject, localRepo, remote } = request
  const { url, username = null, certificate = null, password } = remote
  return {
    ...{ includeAllProject, localProject, localRepo },
    remoteProject: request.remoteProject ?? localProject,
    remoteRepo: request.remoteRepo ?? localRepo,
    remote: { url, username, certificate, hasPassword: password !== undefined },
    interruptedAt: null,
  }
}
