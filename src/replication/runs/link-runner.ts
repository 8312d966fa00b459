import type { ClusterTarget } from '../../clusters/cluster.ts'
import type { Clock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import type { Random } from '../../core/ids.ts'
import type { Metrics } from '../../core/metrics.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { type ExecLink, findExecLink, noteDown } from '../../metadata/replication/exec-links.ts'
import { openShards } from '../../metadata/replication/exec-shards.ts'
import { listPeers } from '../../metadata/replication/peers.ts'
import { type ClusterClient, createClusterClient } from '../../remotes/cluster/cluster-client.ts'
import { SYNC_PROTOCOL } from '../../remotes/cluster/messages.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import type { ShardContext } from '../delivery/shard-worker.ts'
import type { RateLimit } from '../limits/rate-limiter.ts'
import { describeLink, type LinkPlanner, type LinkWork } from '../planning/link-plan.ts'
import type { LinkClose } from './link-close.ts'
import { workShards } from './link-streams.ts'
import type { RemoteState, RemoteStates } from './remote-states.ts'
import type { RunSpec } from './run-spec.ts'
import { linkFate } from './stop-reasons.ts'

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
  readonly remotes: RemoteStates
  getTarget(clusterId: string): Promise<ClusterTarget>
  loadSpec(recordId: string): Promise<RunSpec | undefined>
  /** A fault of ours that ended the work on a link; it is logged. */
  onDefect(error: unknown, about: { recordId: string; linkId: number }): void
}

export type LinkEnd = 'ended' | { readonly retryAt: number }

const LOOK_AGAIN_MS = 1_000

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

  async function runLink(recordId: string, linkId: number, signal: AbortSignal): Promise<LinkEnd> {
    const spec = await deps.loadSpec(recordId)
    const execLink = await findExecLink(db.read, recordId, linkId)
    if (spec === undefined || execLink === undefined) return 'ended'
    if (execLink.state === 'DONE' || execLink.state === 'FAILED') {
      await close.record(spec)
      return 'ended'
    }
    let progressed = false
    try {
      const work = await describeLink(db, spec, execLink)
      using client = createClusterClient(await deps.getTarget(execLink.cluster_id), clock)
      const planned = await deps.planner.plan(work, client, signal)
      if (planned === undefined) return 'ended'
      await workOn(
        { ...work, execLink: planned },
        client,
        () => {
          progressed = true
        },
        signal,
      )
      if ((await openShards(db.read, recordId, linkId)) > 0) return later()
      // What was read is still what the name stands for.
      await describeLink(db, spec, planned)
      await close.link({ ...work, execLink: planned }, client, signal)
      return 'ended'
    } catch (error) {
      if (signal.aborted) throw error
      return afterFailure(error, spec, execLink, progressed)
    }
  }

  async function workOn(
    work: LinkWork,
    client: ClusterClient,
    onStored: () => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { spec, link, scope, execLink } = work
    const remote = deps.remotes.of(execLink.cluster_id)
    const rate = deps.remotes.rate(spec.taskKey, spec.rateLimit)
    try {
      const context = await shardContext(work, client, remote, rate, onStored, signal)
      const { owner } = deps
      const about = { recordId: spec.recordId, linkId: link.id, scope }
      await workShards({ db, clock, owner, remote }, about, context, signal)
    } catch (error) {
      if (linkFate(error) === 'down') remote.concurrency.congested()
      throw error
    } finally {
      rate.close()
    }
  }

  async function shardContext(
    { spec, link, object, execLink }: LinkWork,
    client: ClusterClient,
    remote: RemoteState,
    rate: RateLimit,
    onStored: () => void,
    signal: AbortSignal,
  ): Promise<ShardContext> {
    const peers = await listPeers(db.read)
    const { leaseMs, retryDelaysMs } = settings
    const { limits } = await client.greeting(signal)
    const inlineMaxBytes = atMost(settings.inlineMaxBytes, limits?.inlineMaxBytes, 0)
    const files = atMost(settings.batchFiles, limits?.missingDigests, 1)
    return {
      ...{ db, clock, leaseMs, spec, object, client, rate, retryDelaysMs },
      store: deps.store,
      random: deps.random,
      linkKey: link.key,
      begin: {
        protocol: SYNC_PROTOCOL,
        sourceId: deps.clusterId,
        project: object.remoteProject,
        repo: object.remoteRepo,
        epoch: execLink.remote_epoch!,
        run: spec.run,
        includeMetadata: spec.includeMetadata,
        conflictStrategy: spec.conflictStrategy,
        stopAtFailure: spec.errorStrategy === 'FAST_FAIL',
        honourTombstones: false,
      },
      originOf: (origin) => (origin === 0 ? deps.clusterId : (peers.get(origin) ?? deps.clusterId)),
      batch: { files, inlineMaxBytes },
      partThresholdBytes: settings.partSizeBytes,
      transfers: settings.concurrency,
      concurrency: remote.concurrency,
      inFlight: remote.inFlight,
      onStored,
      onOutcomes(outcomes, sentBytes) {
        for (const { result, conflict } of outcomes) deps.metrics.artifacts(METRIC[conflict ? 'conflict' : result], 1)
        deps.metrics.replicatedBytes(sentBytes)
      },
    }
  }

  async function afterFailure(error: unknown, spec: RunSpec, { link_id: linkId }: ExecLink, progressed: boolean) {
    const { recordId } = spec
    const fate = linkFate(error)
    if (fate === 'lost') return later()
    if (fate === 'defect') deps.onDefect(error, { recordId, linkId })
    if (fate === 'down') {
      const now = clock.now()
      const outage = await db.transact((trx) => noteDown(trx, recordId, linkId, { now, progressed }))
      if (outage === undefined) return 'ended'
      if (now - outage.since < settings.linkTimeoutMs) {
        const delays = settings.reconnectDelaysMs
        return { retryAt: now + delays[Math.min(outage.attempts, delays.length) - 1]! }
      }
      const waited = Math.round((now - outage.since) / 1000)
      await close.failed(spec, linkId, `gave up after ${waited} s: ${messageOf(error)}`)
      return 'ended'
    }
    const reason = fate === 'defect' ? 'an internal error, see the server log' : messageOf(error)
    await close.failed(spec, linkId, reason)
    return 'ended'
  }

  /** Somebody else holds a shard: look again whether he finished it, or died over it. */
  const later = (): LinkEnd => ({ retryAt: clock.now() + LOOK_AGAIN_MS })

  return runLink
}

/** Our own limit, or the target's where that is lower; what it says must make sense. */
function atMost(ours: number, theirs: unknown, least: number): number {
  return typeof theirs === 'number' && theirs >= least ? Math.min(ours, theirs) : ours
}
