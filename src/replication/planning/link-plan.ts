import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { NodePath } from '../../core/paths.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { longReads } from '../../metadata/long-reads.ts'
import { tombstonesAt } from '../../metadata/nodes/tombstones.ts'
import { notePeerOf } from '../../metadata/replication/clusters.ts'
import { settleDivergences } from '../../metadata/replication/divergences.ts'
import {
  beginCopying,
  type ExecLink,
  findExecLink,
  holdsPlanning,
  takePlanning,
} from '../../metadata/replication/exec-links.ts'
import { deletePlannedPaths, putPlannedPaths } from '../../metadata/replication/exec-paths.ts'
import { createShards, type NewShard } from '../../metadata/replication/exec-shards.ts'
import { findLink, type Link } from '../../metadata/replication/links.ts'
import { peerLinksOf } from '../../metadata/replication/peers.ts'
import { putDetails } from '../../metadata/replication/record-details.ts'
import { findProject } from '../../metadata/repositories/projects.ts'
import { findRepository, type Repository } from '../../metadata/repositories/repositories.ts'
import type { ClusterClient } from '../../remotes/cluster/cluster-client.ts'
import { type OpenAnswer, type OpenRequest, SYNC_PROTOCOL } from '../../remotes/cluster/messages.ts'
import type { PathSelection } from '../../tasks/constraints/path-selection.ts'
import { missingDetail } from '../delivery/detail-rows.ts'
import type { Fingerprints } from '../recon/fingerprints.ts'
import { linkKeyOf } from '../runs/link-key.ts'
import type { RunObject, RunSpec } from '../runs/run-spec.ts'
import { LinkStopped } from '../runs/stop-reasons.ts'
import { checkDeleteGuard } from './delete-guard.ts'
import type { Difference, LinkScope } from './difference.ts'
import { findDifference } from './find-difference.ts'
import { resolveScope, type ScopeSource, thoseStored } from './link-scope.ts'
import { missingPackages, type PackageScope } from './package-scope.ts'
import { type PlannedShard, planShards } from './plan-shards.ts'
import { retryDifference } from './retry-difference.ts'
import { silentPackages } from './silent-packages.ts'
import { deletionsBefore, guardWindow, type WindowGuard } from './window-guard.ts'

/** One link of one run with all that is needed to work on it. */
export interface LinkWork extends LinkView {
  readonly execLink: ExecLink
}
/** One link, whether a run is under way or not. */
export interface LinkView {
  readonly spec: RunSpec
  readonly link: Link
  readonly object: RunObject
  readonly repository: Repository
  readonly scope: LinkScope
  readonly selection: PathSelection
  /** Packages and versions that the task names. */
  readonly named: PackageScope['named']
}

export interface LinkPlanner {
  /**
   * Opens the link at its target, finds the difference and persists the work. A link that was planned before is left as it is.
   * Undefined: the run is gone; still PENDING: somebody else plans it.
   */
  plan(work: LinkWork, client: ClusterClient, signal: AbortSignal): Promise<ExecLink | undefined>
  /** What there is to do, after `open`. Changes nothing. */
  look(work: LinkView, answer: OpenAnswer, client: ClusterClient, signal: AbortSignal): Promise<Look>
  /** The pieces that the work is done in. Changes nothing. */
  cut(work: LinkView, look: Look): Promise<PlannedShard[]>
  /**
   * For who follows changes (`window-guard.ts`). @param clusterId of the target.
   * @throws AppError TASK_FAILED when changes would delete more there than the task's guard lets through.
   */
  guard(work: LinkView, clusterId: string): Promise<WindowGuard>
  /** What the target is asked when the link begins, and again when it ends. */
  openRequest(work: LinkView): Promise<OpenRequest>
}

export interface Look {
  readonly difference: Difference
  /** Paths of the task that are not there, and patterns that nothing fits. */
  readonly missing: readonly string[]
  readonly now: number
}

/** @throws AppError REPOSITORY_NOT_FOUND when the local repository was deleted since the task was made. */
export async function describeLink(source: ScopeSource, spec: RunSpec, execLink: ExecLink): Promise<LinkWork> {
  const { db } = source
  const link = await findLink(db.read, execLink.link_id)
  const object = link && objectOf(spec, link, execLink)
  if (link === undefined || object === undefined) {
    throw new AppError(
      'REPOSITORY_NOT_FOUND',
      `Repository [${execLink.local_repo}] is no part of the task any more`,
      {},
    )
  }
  const repository = await findRepository(db.read, object.localProject, object.localRepo)
  if (repository === undefined) {
    throw new AppError(
      'REPOSITORY_NOT_FOUND',
      `Repository [${object.localProject}/${object.localRepo}] not found here`,
      {},
    )
  }
  if (repository.id !== link.repoId) {
    const name = `${object.localProject}/${object.localRepo}`
    throw new LinkStopped(`Repository [${name}] was deleted and made again during the run: execute the task again`)
  }
  return { spec, execLink, link, object, repository, ...(await resolveScope(source, repository, object, spec)) }
}

export function objectOf({ taskKey, objects }: RunSpec, link: Link, execLink: ExecLink): RunObject | undefined {
  const { cluster_id: clusterId, local_repo: localRepo } = execLink
  return objects.find(
    (object) => object.localRepo === localRepo && linkKeyOf({ ...object, taskKey, clusterId }) === link.key,
  )
}

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
    const { spec, execLink, link, scope } = work
    if (execLink.state !== 'PENDING') return execLink
    const token = await db.transact((trx) => takePlanning(trx, spec.recordId, link.id))
    if (token === undefined) return findExecLink(db.read, spec.recordId, link.id)
    const answer = await client.open(link.key, await openRequest(work), signal)
    const { difference, missing, now } = await look(work, answer, client, signal)
    await notePeerOf(db, execLink.cluster_id, answer.hello.clusterId)
    checkDeletions(difference, work, answer)
    const shards = await cut(work, { difference, missing, now })
    const settled = { unchanged: difference.unchanged, failed: missing.length }
    const known: NewShard = {
      ...{ shardNo: SETTLED_SHARD, kind: 'range', lo: '/', hi: '/', files: settled.unchanged, bytes: 0, settled },
    }
    const planning = { recordId: spec.recordId, linkId: link.id, token }
    if (!(await persistPaths(planning, shards))) return findExecLink(db.read, spec.recordId, link.id)
    await db.transact(async (trx) => {
      if (!(await holdsPlanning(trx, spec.recordId, link.id, token))) return
      if (!(await beginCopying(trx, spec.recordId, link.id, { ...difference.plan, scopeHash: scope.scopeHash }))) return
      await settleDivergences(trx, link.id, difference.ledger.looked, difference.ledger.found, now)
      await createShards(trx, spec.recordId, link.id, [known, ...shards])
      await putDetails(
        trx,
        missing.map((path) => missingDetail({ spec, object: work.object, linkId: link.id }, path, now)),
      )
    })
    return findExecLink(db.read, spec.recordId, link.id)
  }

  async function look(work: LinkView, answer: OpenAnswer, client: ClusterClient, signal: AbortSignal): Promise<Look> {
    const { spec, link, scope, object } = work
    checkPackages(work, answer)
    const fingerprints = fingerprintsOf(scope.repository.id)
    const now = clock.now()
    const ask = (message: Buffer, stop: AbortSignal) =>
      client.reconcile(object.remoteProject, object.remoteRepo, message, stop)
    const echoes = await echoesOf(object, answer.hello.clusterId)
    const retried = spec.retry?.get(link.key) ?? undefined
    const difference =
      retried === undefined
        ? await findDifference({ db, fingerprints, ask, now, echoes }, link, scope, spec, answer, signal)
        : await retryDifference(db, scope, spec, answer, retried, now)
    const absent = await missingPaths(work)
    const missing =
      spec.follows !== undefined
        ? []
        : [...(retried === undefined ? absent : absent.filter((path) => retried.includes(path))), ...difference.silent]
    // A run that stops at the first failure knows of no other.
    return { difference, missing: spec.errorStrategy === 'FAST_FAIL' ? missing.slice(0, 1) : missing, now }
  }

  function cut({ scope }: LinkView, { difference, now }: Look): Promise<PlannedShard[]> {
    const { filter, repository } = scope
    const fingerprints = fingerprintsOf(repository.id)
    return planShards(
      { reader: longReads(db), repoId: repository.id, fingerprints, now, streams: maxStreams, filter, scope },
      difference,
    )
  }

  /** Before the shards exist nobody reads them; what a planner left that died is replaced. False: somebody else plans the link, or did. */
  async function persistPaths(
    { recordId, linkId, token }: { readonly recordId: string; readonly linkId: number; readonly token: number },
    shards: readonly PlannedShard[],
  ): Promise<boolean> {
    const whilePending = async (write: (trx: Transaction) => Promise<void>) =>
      db.transact(async (trx) => {
        if (!(await holdsPlanning(trx, recordId, linkId, token))) return false
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

  async function openRequest({ spec, object, repository, scope, link }: LinkView): Promise<OpenRequest> {
    const project = await findProject(db.read, object.localProject)
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

  const echoesOf = ({ remoteProject: project, remoteRepo: repo }: RunObject, clusterId: string) =>
    peerLinksOf(db.read, { clusterId, project, repo })

  const guard: LinkPlanner['guard'] = async ({ link, scope, spec, object }, clusterId) => {
    const fingerprints = fingerprintsOf(scope.repository.id)
    const guarded = { link, scope, spec, repository: `${object.remoteProject}/${object.remoteRepo}` }
    const known = async () => ({ db, fingerprints, now: clock.now(), echoes: await echoesOf(object, clusterId) })
    return {
      before: async (seq) => deletionsBefore(await known(), guarded, seq),
      let: async (span, before) => guardWindow(await known(), guarded, span, before),
    }
  }

  /** What the task names and nobody stored; where deletions travel, what was deleted is not missing. */
  async function missingPaths({ selection, named, repository, scope, spec }: LinkView): Promise<string[]> {
    const there = await thoseStored(db, repository.id, selection.named)
    const missing: string[] = selection.named.filter((path) => !there.has(path))
    const absent = await missingPackages(db.read, repository.id, named)
    missing.push(...absent, ...(await silentPackages(longReads(db), { scope, repository }, absent)))
    if (!spec.propagateDelete) return missing
    const deleted = await tombstonesAt(db.read, repository.id, missing)
    return missing.filter((path) => !deleted.has(path as NodePath))
  }

  return { plan, look, cut, openRequest, guard }
}

/** @throws AppError TASK_FAILED when there are versions to bring over, and the target takes none. */
function checkPackages({ scope }: LinkView, { hello }: OpenAnswer): void {
  if (scope.packages === undefined || hello.features.packages) return
  throw new AppError(
    'TASK_FAILED',
    'replica task failed (250314): the target takes no packages: update it to a release that does',
    {},
  )
}

/** @throws AppError TASK_FAILED when there are more than the guard lets through, or the target takes none. */
function checkDeletions({ deletions, deletes }: Difference, { spec, object }: LinkView, { hello }: OpenAnswer): void {
  if (deletions.length === 0) return
  if (!hello.features.deletes) {
    throw new AppError(
      'TASK_FAILED',
      'replica task failed (250314): the target takes no deletions: update it, or set propagateDelete to false',
      {},
    )
  }
  checkDeleteGuard(spec.deleteGuard, deletes, `${object.remoteProject}/${object.remoteRepo}`)
}

/** The target gets the files, not the way in which we came by them: neither the upstream nor a password is told. */
const copyCategory = ({ category }: Repository) => (category === 'COMPOSITE' ? 'COMPOSITE' : 'LOCAL')
function copyConfiguration(repository: Repository): Readonly<Record<string, unknown>> {
  const { settings } = repository.configuration
  return { type: copyCategory(repository).toLowerCase(), settings: settings ?? {} }
}
