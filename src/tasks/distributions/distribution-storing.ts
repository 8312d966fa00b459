import type { Clusters } from '../../clusters/clusters.ts'
import type { Registries } from '../../clusters/registries.ts'
import type { Clock } from '../../core/clock.ts'
import { mapConcurrent } from '../../core/concurrency.ts'
import { AppError, invalid } from '../../core/errors.ts'
import { isWithinRepository } from '../../core/server-mark.ts'
import type { MetadataDatabase, Reader, Transaction } from '../../metadata/database.ts'
import { longReads } from '../../metadata/long-reads.ts'
import { findDistributionRow, lockDistribution } from '../../metadata/replication/distributions.ts'
import { updateTask } from '../../metadata/replication/tasks.ts'
import { isUniqueViolation } from '../../metadata/sql/unique-violation.ts'
import type { TaskJudge } from '../judge-task.ts'
import { plannedBytesOf } from '../planned-bytes.ts'
import type { TaskPlan, TaskTarget } from '../task.ts'
import type { TaskPlacing } from '../task-placing.ts'
import { nameTaken } from '../task-store.ts'
import { type DistributionOrigin, taskNotFound } from './distribution.ts'
import { withStoredSetting, withTargetVersions } from './distribution-plan.ts'
import type { DistributionRequest } from './distribution-request.ts'
import type { GivenClusterTarget, GivenRegistry } from './given-target.ts'
import { idToCome, type ReachedRegistry, type RegistryWays, reachRegistry } from './registry-ways.ts'

export interface DistributionStoringDeps {
  readonly db: MetadataDatabase
  readonly clock: Pick<Clock, 'now'>
  readonly judge: Pick<TaskJudge, 'judgeGiven' | 'connect'>
  readonly placing: TaskPlacing
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
  /** `serverMark` of this installation. */
  readonly server: string
  /** Something was planned: the scheduler looks at once. */
  onPlanned(): void
}

const CONNECTIONS_AT_ONCE = 4

/** An update keeps what it says nothing of. */
type Storing = 'create' | 'update'

/** What is stored of a request, and how its target is reached. */
interface Prepared {
  readonly request: DistributionRequest
  readonly registry: ReachedRegistry | undefined
  readonly plannedBytes: number | null
}

/**
 * All requests are judged and connected to before any is stored, then all are stored at once.
 * @throws AppError of `TaskJudge`, `RegistryWays`; CLUSTER_NOT_FOUND, TASK_NOT_FOUND, RESOURCE_EXISTED; then nothing is stored.
 */
export type StoreDistributions = (
  requests: readonly DistributionRequest[],
  how: Storing,
  userId: string,
  signal: AbortSignal,
) => Promise<void>

export function createDistributionStoring(deps: DistributionStoringDeps): StoreDistributions {
  const { db, judge, placing, registries, clusters, foreign } = deps

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
    how: Storing,
  ): Promise<TaskPlan> {
    const known = await findDistributionRow(reader, String(task.name))
    const asked = await judge.judgeGiven(reader, task, { targets: [goes], exceptKey: known?.key })
    const keepsSetting = how === 'update' && !hasSetting && known !== undefined
    const plan = keepsSetting ? withStoredSetting(asked, known, target.kind) : asked
    const { repoType } = plan.objects[0]!
    if (target.kind === 'registry' && !foreign.has(repoType)) {
      const types = [...foreign.keys()].join(', ')
      throw invalid('registry', `versions of ${types} repositories go to registries, and this one is ${repoType}`)
    }
    return plan
  }

  /** Judges, then connects. */
  async function prepare(request: DistributionRequest, how: Storing, signal: AbortSignal): Promise<Prepared> {
    const { target } = request
    const goes = await targetOf(request)
    const plan = await judged(db.read, request, goes, how)
    const reached = target.kind === 'registry' ? await reach(plan, target, signal) : undefined
    if (target.kind === 'cluster') await connect(plan, goes, target, signal)
    const plannedBytes = await plannedBytesOf(longReads(db), plan, deps.clock.now())
    return { request, registry: reached, plannedBytes }
  }
  async function reach(plan: TaskPlan, target: GivenRegistry, signal: AbortSignal): Promise<ReachedRegistry> {
    const { localRepo, repoType } = plan.objects[0]!
    const known = await registries.find(db.read, plan.name)
    const reached = await reachRegistry(foreign.get(repoType)!, target, known, registries, signal)
    if (reached.server === deps.server && isWithinRepository(reached.url, plan.project, localRepo)) {
      throw invalid(
        'registry',
        `[${reached.url}] is ${plan.project}/${localRepo} of this server: it would go to itself`,
      )
    }
    return reached
  }
  async function connect(plan: TaskPlan, goes: TaskTarget, target: GivenClusterTarget, signal: AbortSignal) {
    await judge.connect(plan, signal)
    const { user, remoteProject: project, remoteRepo: repo } = target
    if (user !== undefined) await deps.checkWriter(goes.id, user, { project, repo }, signal)
  }

  async function store(
    trx: Transaction,
    { request, registry, plannedBytes }: Prepared,
    how: Storing,
    userId: string,
  ): Promise<void> {
    const taskName = String(request.task.name)
    // The task comes first, as in every transaction that changes or deletes one; its registry is locked after it.
    const known = await lockDistribution(trx, taskName)
    if (known === undefined && how === 'update') throw taskNotFound(taskName)
    const goes =
      registry === undefined ? await targetOf(request) : await registries.put(trx, taskName, registry, userId)
    const plan = { ...withTargetVersions(await judged(trx, request, goes, how), request), plannedBytes }
    const key = known?.key ?? (await placing.add(trx, plan, userId))
    if (known !== undefined) await placing.replace(trx, key, plan, userId)
    // One that went to a registry and goes to a cluster now has no more use for its node.
    if (registry === undefined) await registries.remove(trx, taskName)
    const origin: DistributionOrigin = { name: request.name, kind: request.target.kind }
    await updateTask(trx, key, { distribution: JSON.stringify(origin) })
  }

  return async (requests, how, userId, signal) => {
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
}
