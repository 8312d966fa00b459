import type { ClusterTarget } from '../../clusters/cluster.ts'
import type { Clock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import type { Random } from '../../core/ids.ts'
import type { Metrics } from '../../core/metrics.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import {
  type ExecLink,
  findExecLink,
  type LinkOutage,
  noteAnswer,
  noteDown,
  noteUp,
  noteWaiting,
} from '../../metadata/replication/exec-links.ts'
import { openShards } from '../../metadata/replication/exec-shards.ts'
import { listPeers } from '../../metadata/replication/peers.ts'
import { type ClusterClient, createClusterClient } from '../../remotes/cluster/cluster-client.ts'
import { NotOurProtocol, RemoteRefusal } from '../../remotes/transport/failures.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import type { AccessSender } from '../access/send-access.ts'
import type { ShardContext } from '../delivery/shard-worker.ts'
import { createSuspects } from '../delivery/suspects.ts'
import { isArtifact } from '../delivery/work-item.ts'
import type { Outage } from '../limits/circuit.ts'
import type { RateLimit } from '../limits/rate-limiter.ts'
import { describeLink, type LinkPlanner, type LinkWork } from '../planning/link-plan.ts'
import type { LinkClose } from './link-close.ts'
import { workShards } from './link-streams.ts'
import { linkFailureReason, outageError } from './outage-words.ts'
import type { RemoteState, RemoteStates } from './remote-states.ts'
import type { RunSpec } from './run-spec.ts'
import { linkFate } from './stop-reasons.ts'
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

export interface LinkRunnerDeps {
  readonly db: MetadataDatabase
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

type ContextWork = Pick<LinkWork, 'spec' | 'link' | 'object'> & { readonly execLink: Pick<ExecLink, 'remote_epoch'> }

const LOOK_AGAIN_MS = 1_000
/** Of `linkTimeoutMs`, for a target that answers and takes nothing. */
const STALLED_TIMES = 5

const METRIC = {
  written: 'SUCCESS',
  unchanged: 'UNCHANGED',
  kept: 'SKIPPED',
  failed: 'FAILED',
  conflict: 'CONFLICT',
} as const

/**
 * Works on one link of one record until it has ended, or until its target stops answering: then it says when to come again, and
 * keeps nothing (no slot, no lease) meanwhile. May run again at any time: what is done is found done.
 */
export function createLinkRunner(deps: LinkRunnerDeps) {
  const { db, clock, settings, close } = deps
  const suspects = createSuspects(settings.batchFiles)

  async function runLink(recordId: string, linkId: number, signal: AbortSignal): Promise<LinkEnd> {
    const spec = await deps.loadSpec(recordId)
    const execLink = await findExecLink(db.read, recordId, linkId)
    if (spec === undefined || execLink === undefined) return 'ended'
    if (execLink.state === 'DONE' || execLink.state === 'FAILED') {
      await close.record(spec)
      return 'ended'
    }
    const { circuit } = deps.remotes.of(execLink.cluster_id)
    const asked = circuit.ask()
    if (typeof asked === 'object') return waitOut(asked, spec, execLink)
    let progressed = false
    const both = AbortSignal.any([signal, circuit.broken])
    try {
      const work = await describeLink(db, spec, execLink)
      const target = await deps.getTarget(execLink.cluster_id)
      using client = createClusterClient(target, clock)
      const planned = await deps.planner.plan(work, client, both)
      if (planned === undefined) return 'ended'
      if (planned.state === 'PENDING') return later()
      const onStored = () => {
        if (progressed) return
        progressed = true
        // Who is killed before the next checkpoint has got on all the same.
        void db.transact((trx) => noteUp(trx, recordId, linkId)).catch(() => undefined)
      }
      // Many short outages are not one long one.
      await client.greeting(both)
      await db.transact((trx) => noteAnswer(trx, recordId, linkId))
      await workOn({ ...work, execLink: planned }, target, client, onStored, both)
      if ((await openShards(db.read, recordId, linkId)) > 0) return later()
      // What was read is still what the name stands for.
      await describeLink(db, spec, planned)
      // What follows changes sends them when they change (`access/access-watch.ts`).
      if (spec.follows === undefined) await deps.access.send(work, client, signal)
      await close.link({ ...work, execLink: planned }, client, both)
      return 'ended'
    } catch (error) {
      if (signal.aborted) throw error
      return afterFailure(error, spec, execLink, progressed)
    }
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
    { spec, link, object, execLink }: ContextWork,
    client: ClusterClient,
    remote: RemoteState,
    rate: RateLimit,
    onStored: () => void,
    signal: AbortSignal,
  ): Promise<ShardContext> {
    const peers = await listPeers(db.read)
    const { leaseMs, retryDelaysMs } = settings
    const { limits } = await client.greeting(signal)
    remote.circuit.succeeded()
    return {
      ...{ db, clock, leaseMs, spec, object, client, rate, retryDelaysMs },
      store: deps.store,
      random: deps.random,
      linkKey: link.key,
      begin: beginOf({ spec, object }, deps.clusterId, execLink.remote_epoch!),
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
      onOutcomes(outcomes, sentBytes) {
        for (const { item, result, conflict } of outcomes) {
          if (isArtifact(item) || result === 'failed') deps.metrics.artifacts(METRIC[conflict ? 'conflict' : result], 1)
        }
        deps.metrics.replicatedBytes(sentBytes)
      },
    }
  }

  /** Nobody talks to the target at the moment: come again when somebody does, or when the time of this link is over. */
  async function waitOut(outage: Outage, spec: RunSpec, { link_id: linkId }: ExecLink): Promise<LinkEnd> {
    const now = clock.now()
    const reason = messageOf(outageError(outage))
    const down = await db.transact((trx) => noteWaiting(trx, spec.recordId, linkId, { now, reason }))
    if (down === undefined) return 'ended'
    const endsAt = spec.follows === undefined ? endOfPatience(down) : Number.POSITIVE_INFINITY
    if (now < endsAt) return { retryAt: Math.min(outage.nextTryAt, endsAt), reason }
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
        const delays = settings.reconnectDelaysMs
        const delayMs = Math.max(delays[Math.min(outage.attempts, delays.length) - 1]!, asksFor(error))
        return { retryAt: now + delayMs, reason: messageOf(error) }
      }
      await close.failed(spec, linkId, gaveUp(now - outage.stalledSince, linkFailureReason(error, cluster)))
      return 'ended'
    }
    const reason = fate === 'defect' ? 'an internal error, see the server log' : linkFailureReason(error, cluster)
    await close.failed(spec, linkId, reason)
    return 'ended'
  }

  /** A target that answers, but takes nothing, has more time than one that is away: the fault may be on the way. */
  const endOfPatience = ({ since, stalledSince }: LinkOutage): number =>
    Math.min(since + settings.linkTimeoutMs, stalledSince + STALLED_TIMES * settings.linkTimeoutMs)

  /** Somebody else holds a shard: look again whether he finished it, or died over it. */
  const later = (): LinkEnd => ({ retryAt: clock.now() + LOOK_AGAIN_MS })

  return { runLink, contextOf: shardContext }
}

const gaveUp = (waitedMs: number, reason: string) => `gave up after ${Math.round(waitedMs / 1000)} s: ${reason}`

/** However long a target asks to be left alone. */
const MOST_RETRY_AFTER_MS = 5 * 60_000
const asksFor = (error: unknown): number =>
  error instanceof RemoteRefusal ? Math.min(error.retryAfterMs ?? 0, MOST_RETRY_AFTER_MS) : 0
