import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import { EVERY_PATH, mergeRanges, type PathRange, rangesOfTree } from '../../core/path-range.ts'
import type { NodePath } from '../../core/paths.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { longReads } from '../../metadata/long-reads.ts'
import { liveAt } from '../../metadata/nodes/nodes.ts'
import { settleDivergences } from '../../metadata/replication/divergences.ts'
import { beginCopying, type ExecLink, findExecLink } from '../../metadata/replication/exec-links.ts'
import { deletePlannedPaths, putPlannedPaths } from '../../metadata/replication/exec-paths.ts'
import { createShards, type NewShard } from '../../metadata/replication/exec-shards.ts'
import { findLink, type Link } from '../../metadata/replication/links.ts'
import { putDetails } from '../../metadata/replication/record-details.ts'
import { findProject } from '../../metadata/repositories/projects.ts'
import { findRepository, type Repository } from '../../metadata/repositories/repositories.ts'
import type { ClusterClient } from '../../remotes/cluster/cluster-client.ts'
import { type OpenRequest, SYNC_PROTOCOL } from '../../remotes/cluster/messages.ts'
import { missingDetail } from '../delivery/detail-rows.ts'
import type { Fingerprints } from '../recon/fingerprints.ts'
import { linkKeyOf, scopeHashOf } from '../runs/link-key.ts'
import type { RunObject, RunSpec } from '../runs/run-spec.ts'
import { LinkStopped } from '../runs/stop-reasons.ts'
import { findDifference, type LinkScope } from './find-difference.ts'
import { type PlannedShard, planShards } from './plan-shards.ts'

/** One link of one run with all that is needed to work on it. */
export interface LinkWork {
  readonly spec: RunSpec
  readonly execLink: ExecLink
  readonly link: Link
  readonly object: RunObject
  readonly repository: Repository
  readonly scope: LinkScope
}

export interface LinkPlanner {
  /**
   * Opens the link at its target, finds the difference and persists the work. A link that was planned before is left as it is.
   * Undefined: the run is gone.
   */
  plan(work: LinkWork, client: ClusterClient, signal: AbortSignal): Promise<ExecLink | undefined>
  /** What the target is asked when the link begins, and again when it ends. */
  openRequest(work: LinkWork): Promise<OpenRequest>
}

/** @throws AppError REPOSITORY_NOT_FOUND when the local repository was deleted since the task was made. */
export async function describeLink(db: MetadataDatabase, spec: RunSpec, execLink: ExecLink): Promise<LinkWork> {
  const link = await findLink(db.read, execLink.link_id)
  const object = link && objectOf(spec, link, execLink.cluster_id)
  if (link === undefined || object === undefined) {
    throw new AppError(
      'REPOSITORY_NOT_FOUND',
      `Repository [${execLink.local_repo}] is no part of the task any more`,
      {},
    )
  }
  const repository = await findRepository(db.read, spec.project, object.localRepo)
  if (repository === undefined) {
    throw new AppError('REPOSITORY_NOT_FOUND', `Repository [${spec.project}/${object.localRepo}] not found here`, {})
  }
  if (repository.id !== link.repoId) {
    const name = `${spec.project}/${object.localRepo}`
    throw new LinkStopped(`Repository [${name}] was deleted and made again during the run: execute the task again`)
  }
  const ranges = rangesOf(object.paths)
  const scope = { repository, ranges, scopeHash: scopeHashOf(ranges, spec.includeMetadata) }
  return { spec, execLink, link, object, repository, scope }
}

function objectOf(spec: RunSpec, link: Link, clusterId: string): RunObject | undefined {
  return spec.objects.find((object) => linkKeyOf({ ...object, ...identity(spec, clusterId) }) === link.key)
}
const identity = (spec: RunSpec, clusterId: string) => ({
  taskKey: spec.taskKey,
  clusterId,
  localProject: spec.project,
})

export const rangesOf = (paths: readonly NodePath[] | undefined): PathRange[] =>
  paths === undefined ? [EVERY_PATH] : mergeRanges(paths.flatMap(rangesOfTree))

/** Number of the shard that holds what is known without looking. */
const SETTLED_SHARD = 0
/** Of one transaction: nobody else writes meanwhile on SQLite. */
const PATHS_AT_ONCE = 2_000

interface LinkPlannerDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly clusterId: string
  /** Of the source's repository. */
  fingerprintsOf(repoId: number): Fingerprints
  /** Most streams to one target. */
  readonly maxStreams: number
}

export function createLinkPlanner({ db, clock, clusterId, fingerprintsOf, maxStreams }: LinkPlannerDeps): LinkPlanner {
  async function plan(work: LinkWork, client: ClusterClient, signal: AbortSignal): Promise<ExecLink | undefined> {
    const { spec, execLink, link, scope, object } = work
    if (execLink.state !== 'PENDING') return execLink
    const answer = await client.open(link.key, await openRequest(work), signal)
    const fingerprints = fingerprintsOf(scope.repository.id)
    const now = clock.now()
    const ask = (message: Buffer, stop: AbortSignal) =>
      client.reconcile(object.remoteProject, object.remoteRepo, message, stop)
    const difference = await findDifference({ db, fingerprints, ask, now }, link, scope, spec, answer, signal)
    const repoId = scope.repository.id
    const shards = await planShards(
      { reader: longReads(db), repoId, fingerprints, now, streams: maxStreams },
      difference,
    )
    const missing = await missingPaths(work)
    const settled = { unchanged: difference.unchanged, failed: missing.length }
    const known: NewShard = {
      ...{ shardNo: SETTLED_SHARD, kind: 'range', lo: '/', hi: '/', files: settled.unchanged, bytes: 0, settled },
    }
    if (!(await persistPaths(spec.recordId, link.id, shards))) return findExecLink(db.read, spec.recordId, link.id)
    await db.transact(async (trx) => {
      if (!(await beginCopying(trx, spec.recordId, link.id, difference.plan))) return
      await settleDivergences(trx, link.id, difference.ledger.looked, difference.ledger.found, now)
      await createShards(trx, spec.recordId, link.id, [known, ...shards])
      await putDetails(
        trx,
        missing.map((path) => missingDetail({ spec, object: work.object, linkId: link.id }, path, now)),
      )
    })
    return findExecLink(db.read, spec.recordId, link.id)
  }

  /** Before the shards exist nobody reads them; what a planner left that died is replaced. False: the link is planned already. */
  async function persistPaths(recordId: string, linkId: number, shards: readonly PlannedShard[]): Promise<boolean> {
    const whilePending = async (write: (trx: Transaction) => Promise<void>) =>
      db.transact(async (trx) => {
        if ((await findExecLink(trx, recordId, linkId))?.state !== 'PENDING') return false
        await write(trx)
        return true
      })
    if (!(await whilePending((trx) => deletePlannedPaths(trx, { recordId, linkId })))) return false
    for (const { shardNo, paths } of shards) {
      for (let at = 0; at < paths.length; at += PATHS_AT_ONCE) {
        const some = paths.slice(at, at + PATHS_AT_ONCE)
        if (!(await whilePending((trx) => putPlannedPaths(trx, { recordId, linkId, shardNo }, some)))) return false
        await setImmediate()
      }
    }
    return true
  }

  async function openRequest({ spec, object, repository, scope, link }: LinkWork): Promise<OpenRequest> {
    const project = await findProject(db.read, spec.project)
    const { cursor } = link
    return {
      protocol: SYNC_PROTOCOL,
      sourceId: clusterId,
      repository: {
        project: object.remoteProject,
        repo: object.remoteRepo,
        type: repository.type,
        category: copyCategory(repository),
        public: repository.public,
        description: repository.description,
        configuration: copyConfiguration(repository),
        projectDescription: project?.description ?? '',
        create: spec.createsRepositories,
      },
      scope: scope.ranges,
      known: cursor === undefined ? null : cursor.remote,
    }
  }

  async function missingPaths({ object, repository }: LinkWork): Promise<NodePath[]> {
    if (object.paths === undefined) return []
    const there = await liveAt(db.read, repository.id, object.paths)
    return object.paths.filter((path) => path !== '/' && !there.has(path))
  }

  return { plan, openRequest }
}

/** The target gets the files, not the way in which we came by them: neither the upstream nor a password is told. */
const copyCategory = ({ category }: Repository) => (category === 'COMPOSITE' ? 'COMPOSITE' : 'LOCAL')
function copyConfiguration(repository: Repository): Readonly<Record<string, unknown>> {
  const { settings } = repository.configuration
  return { type: copyCategory(repository).toLowerCase(), settings: settings ?? {} }
}
