import type { ClusterTarget } from '../clusters/cluster.ts'
import type { Clock } from '../core/clock.ts'
import { messageOf } from '../core/errors.ts'
import type { Random } from '../core/ids.ts'
import type { Metrics } from '../core/metrics.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import { type ExecLink, findExecLink, noteDown } from '../metadata/replication/exec-links.ts'
import { claimShard, openShards } from '../metadata/replication/exec-shards.ts'
import { findLink, type Link } from '../metadata/replication/links.ts'
import { listPeers } from '../metadata/replication/peers.ts'
import { type ClusterClient, createClusterClient } from '../remotes/cluster/cluster-client.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import { shardFiles } from './find-difference.ts'
import type { LinkClose } from './link-close.ts'
import { describeLink, type LinkPlanner, type LinkWork } from './link-plan.ts'
import type { RunSpec } from './run-spec.ts'
import { createBlobSender } from './send-blobs.ts'
import { type ShardContext, workShard } from './shard-worker.ts'
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
  getTarget(clusterId: string): Promise<ClusterTarget>
  loadSpec(recordId: string): Promise<RunSpec | undefined>
  /** A fault of ours that ended the work on a link; it is logged. */
  onDefect(error: unknown, about: { recordId: string; linkId: number }): void
}

export type LinkEnd = 'ended' | { readonly retryAt: number }

/** Shards of one link that one process works on at a time. */
const SHARDS_AT_ONCE = 2
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
      using client = createClusterClient(await deps.getTarget(execLink.cluster_id))
      await client.hello(signal)
      const planned = await deps.planner.plan(work, client, signal)
      if (planned === undefined) return 'ended'
      await workShards(
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

  async function workShards(
    work: LinkWork,
    client: ClusterClient,
    onStored: () => void,
    signal: AbortSignal,
  ): Promise<void> {
    const link = (await findLink(db.read, work.link.id))!
    const stop = new AbortController()
    const both = AbortSignal.any([signal, stop.signal])
    const context = await shardContext(work, link, client, onStored)
    const { recordId } = work.spec
    const workOne = async (): Promise<void> => {
      while (!both.aborted) {
        const lease = { owner: deps.owner, now: clock.now(), leaseMs: settings.leaseMs }
        const claim = await db.transact((trx) => claimShard(trx, recordId, link.id, lease))
        if (claim === undefined) return
        const plan = { mode: work.execLink.mode, fromSeq: work.execLink.from_seq, toSeq: work.execLink.to_seq }
        const files = shardFiles(db, link, work.scope, plan, claim, () => clock.now())
        await workShard(claim, files, context, both)
      }
    }
    const failures: unknown[] = []
    const guarded = () =>
      workOne().catch((error) => {
        failures.push(error)
        stop.abort(error)
      })
    await Promise.all(Array.from({ length: SHARDS_AT_ONCE }, guarded))
    if (failures.length > 0) throw failures[0]
    signal.throwIfAborted()
  }

  async function shardContext(
    work: LinkWork,
    link: Link,
    client: ClusterClient,
    onStored: () => void,
  ): Promise<ShardContext> {
    const { spec } = work
    const peers = await listPeers(db.read)
    const partThresholdBytes = settings.partSizeBytes
    const { inlineMaxBytes, concurrency } = settings
    return {
      db,
      spec,
      object: work.object,
      client,
      sender: createBlobSender(client, deps.store, { inlineMaxBytes, partThresholdBytes, concurrency }),
      linkKey: link.key,
      stream: {
        sourceId: deps.clusterId,
        project: work.object.remoteProject,
        repo: work.object.remoteRepo,
        epoch: work.execLink.remote_epoch!,
        run: spec.run,
      },
      conflictStrategy: spec.conflictStrategy,
      errorStrategy: spec.errorStrategy,
      includeMetadata: spec.includeMetadata,
      originOf: (origin) => (origin === 0 ? deps.clusterId : (peers.get(origin) ?? deps.clusterId)),
      clock,
      random: deps.random,
      retryDelaysMs: settings.retryDelaysMs,
      batchFiles: settings.batchFiles,
      partThresholdBytes,
      leaseMs: settings.leaseMs,
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
