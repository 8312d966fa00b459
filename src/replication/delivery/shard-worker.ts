import { heartbeatShard, leaveShard, type ShardClaim } from '../../metadata/replication/exec-shards.ts'
import { putDetails } from '../../metadata/replication/record-details.ts'
import type { ClusterClient } from '../../remotes/cluster/cluster-client.ts'
import type { FrameStream } from '../../remotes/cluster/frame-stream.ts'
import type { StreamBegin } from '../../remotes/cluster/frames/frame.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import type { Concurrency } from '../limits/concurrency.ts'
import type { InFlight } from '../limits/in-flight.ts'
import type { RateLimit } from '../limits/rate-limiter.ts'
import type { RunObject, RunSpec } from '../runs/run-spec.ts'
import { LeaseLost, LinkStopped } from '../runs/stop-reasons.ts'
import { type BatchLimits, inBatches } from './batches.ts'
import { type CheckpointDeps, checkpoint } from './checkpoint.ts'
import { createContents } from './contents.ts'
import { type DeliveryContext, deliverBatch } from './deliver-batch.ts'
import { runningDetail } from './detail-rows.ts'
import type { Outcome } from './outcome.ts'
import { createBlobSender } from './send-blobs.ts'
import { keepShard } from './shard-lease.ts'
import { sizeOf, type WorkItem } from './work-item.ts'

export interface ShardContext extends CheckpointDeps, Pick<DeliveryContext, 'originOf' | 'random' | 'retryDelaysMs'> {
  readonly spec: RunSpec
  readonly object: RunObject
  readonly client: ClusterClient
  readonly store: BlobStore
  readonly linkKey: string
  readonly begin: Omit<StreamBegin, 'stream' | 'fence'>
  readonly batch: BatchLimits
  /** From here on a file is sent in parts, and shows as RUNNING meanwhile. */
  readonly partThresholdBytes: number
  /** Contents at once in requests of their own. */
  readonly transfers: number
  readonly concurrency: Concurrency
  readonly inFlight: InFlight
  /** Of the task. */
  readonly rate: RateLimit
  onStored(): void
  onOutcomes(outcomes: readonly Outcome[], sentBytes: number): void
}

/** Batches of one shard under way at once: one is read and sent while another is made durable over there. */
const BATCHES_AT_ONCE = 3

/**
 * Works through one shard over a stream of its own, until its end. Batches overlap, their checkpoints keep the order. On the way out for
 * any other reason the shard is left to the next owner at its last checkpoint.
 * @throws LeaseLost, LinkStopped, LinkDown, NotOurProtocol, RemoteRefusal.
 */
export async function workShard(
  claim: ShardClaim,
  pages: AsyncIterable<readonly WorkItem[]>,
  ctx: ShardContext,
  signal: AbortSignal,
): Promise<void> {
  const { spec, clock, db } = ctx
  const stop = new AbortController()
  const traffic = { sentBytes: 0 }
  const lease = keepShard(db, clock, claim, ctx.leaseMs, () => traffic.sentBytes)
  const all = AbortSignal.any([signal, lease.lost, stop.signal])
  const rate = ctx.rate.nested(`${claim.recordId}/${claim.linkId}/${claim.shardNo}`, undefined)
  const place = { spec, object: ctx.object, linkId: claim.linkId }
  const stopAtFailure = spec.errorStrategy === 'FAST_FAIL'
  const underWay: { readonly batch: readonly WorkItem[]; readonly delivered: Promise<Outcome[]> }[] = []

  async function deliver(batch: readonly WorkItem[], delivery: DeliveryContext): Promise<Outcome[]> {
    await showLargeTransfers(batch, claim, ctx)
    return deliverBatch(batch, delivery, all)
  }
  async function settleOldest(): Promise<void> {
    const { batch, delivered } = underWay.shift()!
    const outcomes = await delivered
    const isWhole = outcomes.length === batch.length
    if (!isWhole && !outcomes.some(({ result }) => result === 'failed'))
      throw new Error('files of a batch were left out')
    const { sentBytes } = traffic
    traffic.sentBytes = 0
    await checkpoint(ctx, place, claim, { outcomes, pos: lastPath(batch, outcomes), sentBytes })
    ctx.onOutcomes(outcomes, sentBytes)
    const failure = outcomes.find(({ result }) => result === 'failed')
    if (failure !== undefined && stopAtFailure) throw new LinkStopped(failure.reason ?? 'failed')
  }
  async function deliverAll(stream: FrameStream): Promise<void> {
    const progress = progressOf(traffic, ctx)
    const { client, store, inFlight, partThresholdBytes } = ctx
    const sender = createBlobSender(client, store, rate, { partThresholdBytes, concurrency: ctx.transfers })
    const contents = createContents({
      ...{ client, store, sender, inFlight, progress },
      inlineMaxBytes: ctx.batch.inlineMaxBytes,
    })
    const { includeMetadata, conflictStrategy } = spec
    const delivery = { ...ctx, stream, contents, rate, includeMetadata, conflictStrategy, stopAtFailure }
    for await (const batch of inBatches(pages, ctx.batch)) {
      all.throwIfAborted()
      const delivered = deliver(batch, delivery)
      delivered.catch(() => undefined)
      underWay.push({ batch, delivered })
      if (underWay.length === (stopAtFailure ? 1 : BATCHES_AT_ONCE)) await settleOldest()
    }
    while (underWay.length > 0) await settleOldest()
    await stream.end()
  }

  const leave = async (state: 'DONE' | 'READY') => {
    stop.abort()
    await Promise.allSettled(underWay.map(({ delivered }) => delivered))
    rate.close()
    await lease.stop()
    return db.transact((trx) => leaveShard(trx, claim, state))
  }
  try {
    const begin = { ...ctx.begin, stream: `${claim.recordId}/${claim.shardNo}`, fence: claim.token }
    await using stream = ctx.client.openStream(ctx.linkKey, begin, streamProgress(traffic, ctx), all)
    await deliverAll(stream)
  } catch (error) {
    await leave('READY')
    throw lease.lost.aborted ? new LeaseLost() : error
  }
  if (!(await leave('DONE'))) throw new LeaseLost()
}

interface Traffic {
  /** Since the last checkpoint. */
  sentBytes: number
}
function progressOf(traffic: Traffic, { onStored }: ShardContext) {
  return {
    sent(count: number) {
      traffic.sentBytes += count
    },
    stored: onStored,
  }
}
function streamProgress(traffic: Traffic, ctx: ShardContext) {
  const { sent, stored } = progressOf(traffic, ctx)
  return { sent, acknowledged: stored }
}

/** Where the shard goes on: after the last file of the batch that was dealt with. */
function lastPath(batch: readonly WorkItem[], outcomes: readonly Outcome[]): string {
  const dealtWith = new Set(outcomes.map(({ item }) => item.path))
  return batch.findLast(({ path }) => dealtWith.has(path))!.path
}

/** A detail in state RUNNING exists only for transfers in parts (replication.md 8). */
async function showLargeTransfers(batch: readonly WorkItem[], claim: ShardClaim, ctx: ShardContext): Promise<void> {
  const large = batch.flatMap((item) =>
    item.kind === 'file' && sizeOf(item) > ctx.partThresholdBytes ? [item.file] : [],
  )
  if (large.length === 0 || !ctx.spec.keepsDetails) return
  const startedAt = ctx.clock.now()
  const place = { spec: ctx.spec, object: ctx.object, linkId: claim.linkId }
  const rows = large.map((file) => runningDetail(place, file, startedAt))
  await ctx.db.transact(async (trx) => {
    if (!(await heartbeatShard(trx, claim, startedAt + ctx.leaseMs, 0))) throw new LeaseLost()
    await putDetails(trx, rows)
  })
}
