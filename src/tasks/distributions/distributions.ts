import { createHash } from 'node:crypto'
import type { Clusters } from '../../clusters/clusters.ts'
import { isSameRegistry, type Registries, type RegistryChange } from '../../clusters/registries.ts'
import type { Clock } from '../../core/clock.ts'
import { mapConcurrent } from '../../core/concurrency.ts'
import { AppError, invalid } from '../../core/errors.ts'
import type { RepositoryType } from '../../core/repository-type.ts'
import { fieldsOf } from '../../core/request-fields.ts'
import type { MetadataDatabase, Reader, Transaction } from '../../metadata/database.ts'
import { ofOneMoment } from '../../metadata/one-moment.ts'
import type { ClusterRow } from '../../metadata/replication/clusters.ts'
import {
  findDistributionRow,
  listDistributionRows,
  lockDistribution,
} from '../../metadata/replication/distributions.ts'
import { deleteRecordsOfTask, hasRunningRecord } from '../../metadata/replication/records.ts'
import { findProjectFacts } from '../../metadata/replication/task-facts.ts'
import { deleteTaskRows, type TaskRow, updateTask } from '../../metadata/replication/tasks.ts'
import { isUniqueViolation } from '../../metadata/sql/unique-violation.ts'
import type { TaskJudge } from '../judge-task.ts'
import type { ExecutionRecord } from '../record.ts'
import type { Records } from '../records.ts'
import type { Runs } from '../runs.ts'
import { objectsOfTask, tasksFromRows } from '../stored-task.ts'
import type { TaskPlan, TaskTarget } from '../task.ts'
import type { TaskControl } from '../task-control.ts'
import type { TaskPlacing } from '../task-placing.ts'
import { type Distribution, type DistributionOrigin, distributionTaskName } from './distribution.ts'
import { withStoredSetting, withTargetVersions } from './distribution-plan.ts'
import {
  checkConfig,
  checkConfigs,
  checkRunOnce,
  type DistributedRepository,
  type DistributionRequest,
  type GivenRegistry,
} from './distribution-request.ts'
import { createVersionPush, type NamedVersion } from './version-push.ts'

/** Use cases of contract 001 on tasks (replication.md 1.4, 4). A repository is named by project and name; both are of the URL. */
export interface Distributions {
  /**
   * All are judged and connected to before any is stored, then all are stored at once. A name that is there is replaced.
   * @throws AppError of `checkConfigs` and `TaskJudge`; REPOSITORY_NOT_FOUND; CLUSTER_CONNECT_ERROR; then nothing is stored.
   */
  create(project: string, repo: string, body: unknown, userId: string, signal: AbortSignal): Promise<void>
  /** Replaces all but a password and a setting that are left out. @throws AppError TASK_NOT_FOUND, and as `create`. */
  update(project: string, repo: string, name: string, body: unknown, userId: string, signal: AbortSignal): Promise<void>
  /** By name; of a name that is not there: none. */
  list(project: string, repo: string, name: string | undefined): Promise<Distribution[]>
  /** With records and the node of its registry. @throws AppError TASK_NOT_FOUND. */
  delete(project: string, repo: string, name: string): Promise<void>
  /** @throws AppError TASK_NOT_FOUND. */
  toggle(project: string, repo: string, name: string, userId: string): Promise<void>
  /** One version again. @throws AppError TASK_NOT_FOUND, and of `createVersionPush`. */
  push(project: string, repo: string, name: string, version: NamedVersion): Promise<void>

  /** As `create`, of one that runs when it is told to. @throws AppError TASK_STATUS_INVALID while the one of that name runs. */
  createRunOnce(project: string, repo: string, body: unknown, userId: string, signal: AbortSignal): Promise<void>
  /** @throws AppError RESOURCE_NOT_FOUND, TASK_TYPE_UNSUITED, TASK_DISABLED, TASK_STATUS_INVALID. */
  executeRunOnce(project: string, repo: string, name: string): Promise<void>
  /** Of the newest run; undefined: it never ran. @throws AppError RESOURCE_NOT_FOUND. */
  statusOfRunOnce(project: string, repo: string, name: string): Promise<ExecutionRecord | undefined>
  /** Missing is fine. @throws AppError DELETION_REFUSED while it runs, and for one of another type that has not ended. */
  deleteRunOnce(project: string, repo: string, name: string): Promise<void>
}

/** How registries of one package type are found (`formats/foreign.ts`). */
export interface RegistryWays {
  /** @returns the URL that answered, and took the login. @throws AppError PARAMETER_INVALID, CLUSTER_CONNECT_ERROR, CLUSTER_SSL_ERROR. */
  reach(
    given: Pick<GivenRegistry, 'address' | 'username' | 'password' | 'certificate'>,
    signal: AbortSignal,
  ): Promise<string>
  /** Where it would be, without asking. @throws AppError PARAMETER_INVALID. */
  assumedUrl(address: string): string
}

export interface DistributionsDeps {
  readonly db: MetadataDatabase
  readonly judge: Pick<TaskJudge, 'judgeGiven' | 'connect'>
  readonly placing: TaskPlacing
  readonly control: Pick<TaskControl, 'toggle' | 'execute'>
  readonly records: Pick<Records, 'page'>
  readonly registries: Registries
  readonly clusters: Pick<Clusters, 'findById' | 'findByName'>
  /** By repository type: how its versions go to registries of others. */
  readonly foreign: ReadonlyMap<string, RegistryWays>
  /** May this user write over there? @throws AppError PERMISSION_DENIED, RESOURCE_NOT_FOUND, CLUSTER_CONNECT_ERROR. */
  readonly checkWriter: (
    clusterId: string,
    user: { readonly username: string; readonly password: string },
    repository: { readonly project: string; readonly repo: string },
    signal: AbortSignal,
  ) => Promise<void>
  /** Something was planned: the scheduler looks at once. */
  onPlanned(): void
  readonly clock: Clock
  readonly runs: Pick<Runs, 'start'>
}

const CONNECTIONS_AT_ONCE = 4

/** An update keeps what it says nothing of. */
type Storing = 'create' | 'update'

/** What is stored of a request, and how its target is reached. */
interface Prepared {
  readonly request: DistributionRequest
  readonly registry: RegistryChange | undefined
}

export function createDistributions(deps: DistributionsDeps): Distributions {
  const { db, judge, placing, control, records, registries, clusters, foreign } = deps

  /** @throws AppError PROJECT_NOT_FOUND, REPOSITORY_NOT_FOUND. */
  async function repositoryOf(project: string, repo: string): Promise<DistributedRepository> {
    const facts = await findProjectFacts(db.read, project, [repo])
    if (!facts.exists) throw new AppError('PROJECT_NOT_FOUND', `Project [${project}] not found`, { project })
    const found = facts.repositories.find(({ name }) => name === repo)
    if (found !== undefined) return { project, name: repo, type: found.type as RepositoryType }
    throw new AppError('REPOSITORY_NOT_FOUND', `Repository [${project}/${repo}] not found`, { project, repo })
  }

  /** The cluster, or the node that a registry is going to have. */
  async function targetOf({ target, task }: DistributionRequest): Promise<TaskTarget> {
    if (target.kind === 'registry') return { id: idToCome(String(task.name)), name: String(task.name) }
    const { clusterId } = target
    const cluster = (await clusters.findById(clusterId)) ?? (await clusters.findByName(clusterId))
    if (cluster === undefined) {
      throw new AppError('CLUSTER_NOT_FOUND', `cluster node [${clusterId}] is not found`, { cluster: clusterId })
    }
    if (cluster.type === 'REMOTE') throw invalid('clusterId', `[${cluster.name}] is a registry: name it as registry`)
    if (cluster.type === 'CENTER') throw invalid('clusterId', `[${cluster.name}] is a CENTER, which takes no tasks`)
    return { id: cluster.id, name: cluster.name }
  }
  async function judged(
    reader: Reader,
    { task, target, hasSetting }: DistributionRequest,
    goes: TaskTarget,
    keepsSetting: boolean,
  ): Promise<TaskPlan> {
    const known = await findDistributionRow(reader, String(task.name))
    const asked = await judge.judgeGiven(reader, task, { targets: [goes], exceptKey: known?.key })
    const plan =
      keepsSetting && !hasSetting && known !== undefined ? withStoredSetting(asked, known, target.kind) : asked
    if (target.kind === 'registry' && !foreign.has(plan.objects[0]!.repoType)) {
      const types = [...foreign.keys()].join(', ')
      throw invalid(
        'registry',
        `versions of ${types} repositories go to registries, and this one is ${plan.objects[0]!.repoType}`,
      )
    }
    return plan
  }

  /** Judges, then connects. */
  async function prepare(request: DistributionRequest, how: Storing, signal: AbortSignal): Promise<Prepared> {
    const { target, task } = request
    const goes = await targetOf(request)
    const plan = await judged(db.read, request, goes, how === 'update')
    if (target.kind === 'registry') {
      const known = await registries.find(db.read, String(task.name))
      const ways = foreign.get(plan.objects[0]!.repoType)!
      return { request, registry: await reachRegistry(ways, target, known, signal) }
    }
    await judge.connect(plan, signal)
    const { user, remoteProject: project, remoteRepo: repo } = target
    if (user !== undefined) await deps.checkWriter(goes.id, user, { project, repo }, signal)
    return { request, registry: undefined }
  }
  async function reachRegistry(
    ways: RegistryWays,
    target: GivenRegistry,
    known: ClusterRow | undefined,
    signal: AbortSignal,
  ): Promise<RegistryChange> {
    const { address, username, certificate, ping } = target
    const assumed = ways.assumedUrl(address)
    // A stored password is sent only where it was meant for; an address without a scheme got one when it was stored.
    const isSame = known !== undefined && isSameRegistry(known.url, assumed)
    const isKnown = isSame && known.username === (username ?? null)
    const password = target.password ?? (isKnown ? registries.passwordOf(known) : undefined)
    const stays = isSame && !address.includes('://') ? known.url : assumed
    const url = ping ? await ways.reach({ address, username, password, certificate }, signal) : stays
    return { url, username, password, certificate, isReached: ping }
  }

  async function store(trx: Transaction, { request, registry }: Prepared, how: Storing, userId: string): Promise<void> {
    const taskName = String(request.task.name)
    // The task comes first, as in every transaction that changes or deletes one; its registry is locked after it.
    const known = await lockDistribution(trx, taskName)
    if (known === undefined && how === 'update') throw notFound(taskName)
    const goes =
      registry === undefined ? await targetOf(request) : await registries.put(trx, taskName, registry, userId)
    const plan = withTargetVersions(await judged(trx, request, goes, how === 'update'), request)
    const key = known?.key ?? (await placing.add(trx, plan, userId))
    if (known !== undefined) await placing.replace(trx, key, plan, userId)
    // One that went to a registry and goes to a cluster now has no more use for its node.
    if (registry === undefined) await registries.remove(trx, taskName)
    const origin: DistributionOrigin = { name: request.name, kind: request.target.kind }
    await updateTask(trx, key, { distribution: JSON.stringify(origin) })
  }
  async function storeAll(
    requests: readonly DistributionRequest[],
    how: Storing,
    userId: string,
    signal: AbortSignal,
  ): Promise<void> {
    const each = (request: DistributionRequest, stop: AbortSignal) => prepare(request, how, stop)
    const prepared = await mapConcurrent(requests, CONNECTIONS_AT_ONCE, each, signal)
    await db
      .transact(async (trx) => {
        for (const one of prepared) await store(trx, one, how, userId)
      })
      .catch(async (error: unknown) => {
        const [taken] = isUniqueViolation(error) ? requests : []
        throw taken === undefined ? error : nameTaken(String(taken.task.name))
      })
    deps.onPlanned()
  }

  const find = (project: string, repo: string, name: string): Promise<TaskRow | undefined> =>
    findDistributionRow(db.read, distributionTaskName(project, repo, name))
  /** @throws AppError TASK_NOT_FOUND. */
  async function get(project: string, repo: string, name: string): Promise<TaskRow> {
    const row = await find(project, repo, name)
    if (row !== undefined) return row
    throw notFound(distributionTaskName(project, repo, name))
  }
  /** @throws AppError RESOURCE_NOT_FOUND. */
  async function getRunOnce(project: string, repo: string, name: string): Promise<TaskRow> {
    const row = await find(project, repo, name)
    if (row === undefined) throw new AppError('RESOURCE_NOT_FOUND', `Resource [${name}] not found`, { name })
    if (row.replica_type === 'RUN_ONCE') return row
    const why = `[${name}] is ${row.replica_type}, and only RUN_ONCE tasks are run by this call`
    throw new AppError('TASK_TYPE_UNSUITED', `Method not allowed, reason: ${why}`, { name })
  }
  /** The node of its registry goes with it. */
  async function remove(trx: Transaction, { key }: TaskRow): Promise<void> {
    await deleteRecordsOfTask(trx, key)
    await deleteTaskRows(trx, key)
  }
  const pushVersion = createVersionPush(deps)

  return {
    async create(project, repo, body, userId, signal) {
      await storeAll(checkConfigs(body, await repositoryOf(project, repo)), 'create', userId, signal)
    },
    async update(project, repo, name, body, userId, signal) {
      const repository = await repositoryOf(project, repo)
      const row = await get(project, repo, name)
      const stored = { replicaType: row.replica_type, enabled: row.enabled === 1 }
      await storeAll([checkConfig(fieldsOf(body), name, repository, stored)], 'update', userId, signal)
    },
    list: (project, repo, name) =>
      ofOneMoment(db, async (reader) => {
        const prefix = distributionTaskName(project, repo, '')
        const rows = (await listDistributionRows(reader, project, prefix)).filter(
          (row) => name === undefined || row.name === `${prefix}${name}`,
        )
        const tasks = await tasksFromRows(reader, rows)
        const found: Distribution[] = []
        for (const [n, task] of tasks.entries()) {
          const origin = JSON.parse(rows[n]!.distribution!) as DistributionOrigin
          const node = origin.kind === 'registry' ? await registries.find(reader, task.name) : undefined
          const registry = node && { url: node.url, username: node.username, certificate: node.certificate }
          found.push({ origin, task, object: (await objectsOfTask(reader, task.key))[0]!, registry })
        }
        return found
      }),
    async delete(project, repo, name) {
      await get(project, repo, name)
      await db.transact(async (trx) => {
        const row = await lockDistribution(trx, distributionTaskName(project, repo, name))
        if (row !== undefined) await remove(trx, row)
      })
    },
    async toggle(project, repo, name, userId) {
      await control.toggle((await get(project, repo, name)).key, userId)
    },
    async push(project, repo, name, version) {
      const repository = await repositoryOf(project, repo)
      await pushVersion(repository, await get(project, repo, name), version)
    },

    async createRunOnce(project, repo, body, userId, signal) {
      await storeAll([checkRunOnce(body, await repositoryOf(project, repo))], 'create', userId, signal)
    },
    async executeRunOnce(project, repo, name) {
      await control.execute((await getRunOnce(project, repo, name)).key)
    },
    async statusOfRunOnce(project, repo, name) {
      const row = await find(project, repo, name)
      if (row === undefined) throw new AppError('RESOURCE_NOT_FOUND', `Resource [${name}] not found`, { name })
      return (await records.page(row.key, undefined, { pageNumber: 1, pageSize: 1 })).records[0]
    },
    async deleteRunOnce(project, repo, name) {
      await db.transact(async (trx) => {
        const row = await lockDistribution(trx, distributionTaskName(project, repo, name))
        if (row === undefined) return
        if (row.replica_type !== 'RUN_ONCE' && row.status !== 'COMPLETED') {
          throw refused(name, `it is ${row.replica_type} and has not ended; delete it as a configuration`)
        }
        if (await hasRunningRecord(trx, row.key)) throw refused(name, 'it is running; wait for its end, or stop it')
        await remove(trx, row)
      })
    },
  }
}

const notFound = (taskName: string): AppError =>
  new AppError('TASK_NOT_FOUND', `replica task [${taskName}] not found`, { name: taskName })

const refused = (name: string, why: string): AppError =>
  new AppError('DELETION_REFUSED', `Access denied: [${name}] is not deleted, ${why}`, { name })
const nameTaken = (name: string): AppError => new AppError('RESOURCE_EXISTED', `Resource [${name}] existed`, { name })

/** Of a registry that has no node yet. */
const idToCome = (taskName: string): string => createHash('sha256').update(taskName).digest('hex').slice(0, 24)
