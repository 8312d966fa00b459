import type { ClusterTarget } from '../../clusters/cluster.ts'
import type { Clock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import type { Random } from '../../core/ids.ts'
import type { Metrics } from '../../core/metrics.ts'
import {
  type ExecLink,
  findExecLink,
  type LinkOutage,
  noteAnswer,
  noteDown,
  noteUp,
  noteWaiting,
} from '../../metadata/replication/exec-links.ts'
import { hasFailedFiles, openShards } from '../../metadata/replication/exec-shards.ts'
import { findLiveLink } from '../../metadata/replication/live-links.ts'
import { listPeers } from '../../metadata/replication/peers.ts'
import { firstFailure } from '../../metadata/replication/record-details.ts'
import { type ClusterClient, createClusterClient } from '../../remotes/cluster/cluster-client.ts'
import { LinkDown, NotOurProtocol, RemoteRefusal } from '../../remotes/transport/failures.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import type { AccessSender } from '../access/send-access.ts'
import type { ShardContext } from '../delivery/shard-worker.ts'
import { createSuspects } from '../delivery/suspects.ts'
import { openUnsettled } from '../delivery/unsettled.ts'
import type { Outage } from '../limits/circuit.ts'
import type { RateLimit } from '../limits/rate-limiter.ts'
import { describeLink, type LinkPlanner, type LinkWork } from '../planning/link-plan.ts'
import type { ScopeSource } from '../planning/link-scope.ts'
import { followedPaths } from '../planning/unsettled-paths.ts'
import type { ImportLinks } from '../registries/import-links.ts'
import type { RegistryLinks } from '../registries/registry-links.ts'
import { createDoubtfulRefusals } from './doubtful-refusals.ts'
import type { LinkClose } from './link-close.ts'
import { workShards } from './link-streams.ts'
import { linkFailureReason, outageError } from './outage-words.ts'
import { meterOutcomes } from './outcome-metrics.ts'
import type { RemoteState, RemoteStates } from './remote-states.ts'
import type { RunSpec } from './run-spec.ts'
import { LinkStopped, linkFate } from './stop-reasons.ts'
import { batchLimits, beginOf, originsBy } from './stream-begin.ts'

export interface ReplicationSettings {
  /** An outage of the target is waited for that long before the link FAILED. */
  readonly linkTimeoutMs: number
  readonly reconnectDelaysMs: readonly number[]
  readonly retryDelaysMs: readonly number[]
  readonly batchFiles: number
  readonly leaseMs: number
  readonly inlineMaxBytes: number
  readonly partSizeBytes: number
  /** Contents at once in requests of their own. */
  readonly concurrency: number
  readonly storageCheckMs: number
}

export interface LinkRunnerDeps extends ScopeSource {
  readonly store: BlobStore
  readonly clock: Clock
  readonly random: Random
  readonly metrics: Metrics
  /** `installationId:bootId`. */
  readonly owner: string
  readonly clusterId: string
  readonly settings: ReplicationSettings
  readonly planner: LinkPlanner
  readonly close: LinkClose
  readonly access: Pick<AccessSender, 'send'>
  readonly registries: Pick<RegistryLinks, 'run'>
  readonly imports: ImportLinks
  readonly remotes: RemoteStates
  getTarget(clusterId: string): Promise<ClusterTarget>
  loadSpec(recordId: string): Promise<RunSpec | undefined>
  /** A fault of ours that ended the work on a link; it is logged. */
  onDefect(error: unknown, about: { recordId: string; linkId: number }): void
}

/** `reason`: the target does not answer. */
export type LinkEnd = 'ended' | { readonly retryAt: number; readonly reason?: string }
/** What it takes to work on one link, for whoever opens a stream of it. */
export type LinkContexts = ReturnType<typeof createLinkRunner>['contextOf']

type ContextWork = Pick<LinkWork, 'spec' | 'link' | 'object' | 'scope'> & {
  readonly execLink: Pick<ExecLink, 'remote_epoch'>
}

const LOOK_AGAIN_MS = 1_000
/** Of `linkTimeoutMs`, for a target that answers and takes nothing. */
const STALLED_TIMES = 5

/**
 * Works on one link of one record until it has ended, or until its target stops answering: then it says when to come again, and
 * keeps nothing (no slot, no lease) meanwhile. May run again at any time: what is done is found done.
 */
export function createLinkRunner(deps: LinkRunnerDeps) {
  const { db, clock, settings, close } = deps
  const suspects = createSuspects(settings.batchFiles)
  const refusals = createDoubtfulRefusals()

  async function runLink(recordId: string, linkId: number, signal: AbortSignal): Promise<LinkEnd> {
    const spec = await deps.loadSpec(recordId)
    const execLink = await findExecLink(db.read, recordId, linkId)
    if (spec === undefined || execLink === undefined) return 'ended'
    if (execLink.state === 'DONE' || execLink.state === 'FAILED') {
      await close.record(spec)
      return 'ended'
    }
    const { circuit } = deps.remotes.of(execLink.cluster_id)
    const asked = circuit.ask(endOfWait(spec, execLink))
    if (typeof asked === 'object') return waitOut(asked, spec, execLink)
    let progressed = false
    const both = AbortSignal.any([signal, circuit.broken])
    try {
      const work = await describeLink(deps, spec, execLink)
      const target = await deps.getTarget(execLink.cluster_id)
      const onStored = () => {
        if (progressed) return
        progressed = true
        // Who is killed before the next checkpoint has got on all the same.
        void db.transact((trx) => noteUp(trx, recordId, linkId)).catch(() => undefined)
      }
      if (target.isRegistry === true) {
        const way = spec.imports === undefined ? deps.registries : deps.imports
        return (await way.run(work, target, onStored, both)) === 'ended' ? 'ended' : later()
      }
      using client = createClusterClient(target, clock)
      const planned = await deps.planner.plan(work, client, both)
      if (planned === undefined) return 'ended'
      if (planned.state === 'PENDING') return later()
      await stopAtFailure(spec, linkId)
      // Many short outages are not one long one.
      await client.greeting(both)
      await db.transact((trx) => noteAnswer(trx, recordId, linkId))
      await workOn({ ...work, execLink: planned }, target, client, onStored, both)
      if ((await openShards(db.read, recordId, linkId)) > 0) return later()
      // What was read is still what the name stands for.
      await describeLink(deps, spec, planned)
      // What follows changes sends them when they change (`access/access-watch.ts`).
      if (spec.follows === undefined) await deps.access.send(work, client, signal)
      await close.link({ ...work, execLink: planned }, client, both)
      refusals.forget({ recordId, linkId })
      return 'ended'
    } catch (error) {
      if (signal.aborted) throw error
      return afterFailure(error, spec, execLink, progressed)
    }
  }

  /** What failed counts before the link has ended: whoever goes on after a kill must not pass it. So does what the plan itself found missing. */
  async function stopAtFailure({ recordId, errorStrategy }: RunSpec, linkId: number): Promise<void> {
    if (errorStrategy !== 'FAST_FAIL' || !(await hasFailedFiles(db.read, recordId, linkId))) return
    throw new LinkStopped((await firstFailure(db.read, recordId)).get(linkId)?.reason ?? 'failed')
  }

  async function workOn(
    work: LinkWork,
    target: ClusterTarget,
    client: ClusterClient,
    onStored: () => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { spec, link, scope, execLink } = work
    const remote = deps.remotes.of(execLink.cluster_id)
    const rate = deps.remotes.rate(spec.taskKey, spec.rateLimit, target)
    const turns = remote.gate.join({ kind: 'backfill', taskKey: spec.taskKey })
    try {
      const context = await shardContext(work, client, remote, rate, onStored, signal)
      const { owner } = deps
      const about = { recordId: spec.recordId, linkId: link.id, taskKey: spec.taskKey, scope }
      await workShards({ db, clock, owner, remote }, about, { ...context, turns }, signal)
    } catch (error) {
      if (linkFate(error) === 'down') remote.concurrency.congested()
      throw error
    } finally {
      turns.close()
      rate.close()
    }
  }

  async function shardContext(
    { spec, link, object, scope, execLink }: ContextWork,
    client: ClusterClient,
    remote: RemoteState,
    rate: RateLimit,
    onStored: () => void,
    signal: AbortSignal,
  ): Promise<ShardContext> {
    const peers = await listPeers(db.read)
    const { leaseMs, retryDelaysMs } = settings
    const { limits, features } = await client.greeting(signal)
    remote.circuit.succeeded()
    const followed = await followedBefore({ spec, link, scope })
    const unsettled = await openUnsettled({ db, linkId: link.id, spec, followed })
    return {
      ...{ db, clock, leaseMs, spec, object, client, rate, retryDelaysMs },
      store: deps.store,
      random: deps.random,
      linkKey: link.key,
      begin: {
        ...beginOf({ spec, object }, deps.clusterId, execLink.remote_epoch!),
        earlierRuns: features.earlierRuns ? unsettled.runs : undefined,
      },
      unsettled,
      originOf: originsBy(peers, deps.clusterId),
      batch: batchLimits(settings, limits),
      partThresholdBytes: settings.partSizeBytes,
      transfers: settings.concurrency,
      concurrency: remote.concurrency,
      inFlight: remote.inFlight,
      readAhead: remote.readAhead,
      places: remote.places,
      suspects,
      storageCheckMs: settings.storageCheckMs,
      onStored,
      onOutcomes: meterOutcomes(deps.metrics),
    }
  }

  /** A link that follows changes has a number of its own, which is not that of the run that compares it. */
  async function followedBefore({ spec, link, scope }: Pick<ContextWork, 'spec' | 'link' | 'scope'>) {
    const live = spec.follows === undefined ? undefined : await findLiveLink(db.read, link.id)
    if (live === undefined || live.run === spec.run) return undefined
    return { run: live.run, paths: new Set((await followedPaths(db, link, scope)).keys()) }
  }

  /** Nobody talks to the target at the moment: come again when somebody does. Only an attempt after the time of this link ends it. */
  async function waitOut(outage: Outage, spec: RunSpec, execLink: ExecLink): Promise<LinkEnd> {
    const { link_id: linkId } = execLink
    const now = clock.now()
    const reason = messageOf(outageError(outage))
    const down = await db.transact((trx) => noteWaiting(trx, spec.recordId, linkId, { now, reason }))
    if (down === undefined) return 'ended'
    if (outage.failedAt < endOfWait(spec, execLink)) return { retryAt: outage.nextTryAt, reason }
    await close.failed(spec, linkId, gaveUp(now - down.stalledSince, reason))
    return 'ended'
  }

  async function afterFailure(
    error: unknown,
    spec: RunSpec,
    execLink: ExecLink,
    progressed: boolean,
  ): Promise<LinkEnd> {
    const { recordId } = spec
    const { link_id: linkId, cluster_id: clusterId, cluster_name: cluster } = execLink
    const fate = linkFate(error)
    if (error instanceof NotOurProtocol || (error instanceof RemoteRefusal && fate !== 'down')) {
      deps.remotes.of(clusterId).circuit.succeeded()
    }
    if (fate === 'lost') return later()
    if (fate === 'defect') deps.onDefect(error, { recordId, linkId })
    if (fate === 'down') {
      const now = clock.now()
      deps.remotes.of(clusterId).circuit.failed(messageOf(error))
      const outage = await db.transact((trx) =>
        noteDown(trx, recordId, linkId, { now, progressed, reason: messageOf(error) }),
      )
      if (outage === undefined) return 'ended'
      if (spec.follows !== undefined || now < endOfPatience(outage)) {
        return { retryAt: now + Math.max(delayAfter(outage.attempts), asksFor(error)), reason: messageOf(error) }
      }
      await close.failed(spec, linkId, gaveUp(now - outage.stalledSince, linkFailureReason(error, cluster)))
      return 'ended'
    }
    const times = refusals.again(error, { recordId, linkId, progressed })
    if (times !== undefined) return { retryAt: clock.now() + delayAfter(times), reason: messageOf(error) }
    const reason = fate === 'defect' ? 'an internal error, see the server log' : linkFailureReason(error, cluster)
    await close.failed(spec, linkId, reason)
    return 'ended'
  }

  /** @param times attempts in a row, from 1. */
  const delayAfter = (times: number): number =>
    settings.reconnectDelaysMs[Math.min(times, settings.reconnectDelaysMs.length) - 1]!

  /** A target that answers, but takes nothing, has more time than one that is away: the fault may be on the way. */
  const endOfPatience = ({ since, stalledSince }: Omit<LinkOutage, 'attempts'>): number =>
    Math.min(since + settings.linkTimeoutMs, stalledSince + STALLED_TIMES * settings.linkTimeoutMs)

  /** When a link gives up that hears nothing of its target until then. */
  function endOfWait({ follows }: RunSpec, { down_since, stalled_since }: ExecLink): number {
    if (follows !== undefined) return Number.POSITIVE_INFINITY
    const now = clock.now()
    return endOfPatience({ since: down_since ?? now, stalledSince: stalled_since ?? now })
  }

  /** Somebody else holds a shard: look again whether he finished it, or died over it. */
  const later = (): LinkEnd => ({ retryAt: clock.now() + LOOK_AGAIN_MS })

  return { runLink, contextOf: shardContext }
}

const gaveUp = (waitedMs: number, reason: string) => `gave up after ${Math.round(waitedMs / 1000)} s: ${reason}`

/** However long a target asks to be left alone. */
const MOST_RETRY_AFTER_MS = 5 * 60_000
const asksFor = (error: unknown): number =>
  error instanceof RemoteRefusal || error instanceof LinkDown
    ? Math.min(error.retryAfterMs ?? 0, MOST_RETRY_AFTER_MS)
    : 0
