import { heartbeatShard, leaveShard, type ShardClaim } from '../../metadata/replication/exec-shards.ts'
import { putDetails } from '../../metadata/replication/record-details.ts'
import type { ClusterClient } from '../../remotes/cluster/cluster-client.ts'
import type { FrameStream } from '../../remotes/cluster/frame-stream.ts'
import type { StreamBegin } from '../../remotes/cluster/frames/frame.ts'
import { LinkDown } from '../../remotes/transport/failures.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import type { Concurrency } from '../limits/concurrency.ts'
import type { InFlight } from '../limits/in-flight.ts'
import type { RateLimit } from '../limits/rate-limiter.ts'
import type { ReadAhead } from '../limits/read-ahead.ts'
import type { StreamPlaces } from '../limits/stream-places.ts'
import type { RunObject, RunSpec } from '../runs/run-spec.ts'
import { LeaseLost, LinkStopped } from '../runs/stop-reasons.ts'
import { type BatchLimits, inBatches, inlineBytesOf, MAX_INLINE_BYTES } from './batches.ts'
import { deliverCarefully } from './careful.ts'
import { type CheckpointDeps, checkpoint } from './checkpoint.ts'
import { createContents } from './contents.ts'
import { type DeliveryContext, deliverBatch } from './deliver-batch.ts'
import { runningDetail } from './detail-rows.ts'
import type { Outcome } from './outcome.ts'
import { createBlobSender } from './send-blobs.ts'
import { keepShard } from './shard-lease.ts'
import type { Suspects } from './suspects.ts'
import type { Unsettled } from './unsettled.ts'
import { verifyStored } from './verify-stored.ts'
import { filesOf, type WorkItem } from './work-item.ts'

export interface ShardContext
  extends CheckpointDeps,
    Pick<DeliveryContext, 'originOf' | 'random' | 'retryDelaysMs' | 'turns'> {
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
  readonly readAhead: ReadAhead
  /** Of streams that links keep open while they follow. */
  readonly places: StreamPlaces
  readonly suspects: Suspects
  readonly unsettled: Unsettled
  /** How long a target may take until what it wrote is in its storage. */
  readonly storageCheckMs: number
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
  const underWay: UnderWay[] = []
  const care = ctx.suspects.of(claim)
  let isStored = false
  const onStored = () => {
    isStored = true
    ctx.onStored()
  }

  async function deliver(batch: readonly WorkItem[], delivery: DeliveryContext): Promise<Outcome[]> {
    await showLargeTransfers(batch, claim, ctx)
    const outcomes = await ctx.unsettled.settle(await deliverBatch(batch, delivery, all))
    const { client, storageCheckMs } = ctx
    return spec.checksStorage ? verifyStored(outcomes, { client, clock, timeoutMs: storageCheckMs }, all) : outcomes
  }
  async function settleOldest(): Promise<void> {
    const [{ batch, delivered, inlineBytes }] = underWay as [UnderWay]
    const outcomes = await delivered
    underWay.shift()
    ctx.readAhead.giveBack(inlineBytes)
    await settle(batch, outcomes)
  }
  async function settle(batch: readonly WorkItem[], outcomes: readonly Outcome[]): Promise<void> {
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
    const progress = progressOf(traffic, onStored)
    const { client, store, inFlight, partThresholdBytes } = ctx
    const sender = createBlobSender(client, store, rate, { partThresholdBytes, concurrency: ctx.transfers })
    // A row alone proves no bytes: what a check found lacking is sent again.
    const askStorage: Pick<ClusterClient, 'missing'> = {
      missing: (digests, stop) => client.missing(digests, stop, spec.checksStorage ? 'in storage' : undefined),
    }
    const contents = createContents({
      ...{ client: askStorage, store, sender, inFlight, progress },
      inlineMaxBytes: ctx.batch.inlineMaxBytes,
    })
    const { includeMetadata, conflictStrategy } = spec
    const delivery = { ...ctx, stream, contents, rate, includeMetadata, conflictStrategy, stopAtFailure }
    const careful = { care, deliver: (some: readonly WorkItem[]) => deliver(some, delivery), settle, now: clock.now }
    const rest = care.isCareful ? await deliverCarefully(pages, careful) : pages
    for await (const batch of inBatches(rest, ctx.batch)) {
      all.throwIfAborted()
      const inlineBytes = heldBytesOf(batch, ctx.batch.inlineMaxBytes)
      while (underWay.length > 0 && !ctx.readAhead.tryTake(inlineBytes)) await settleOldest()
      if (underWay.length === 0) ctx.readAhead.take(inlineBytes)
      const delivered = deliver(batch, delivery)
      delivered.catch(() => undefined)
      underWay.push({ batch, delivered, inlineBytes })
      if (underWay.length === (stopAtFailure ? 1 : BATCHES_AT_ONCE)) await settleOldest()
    }
    while (underWay.length > 0) await settleOldest()
    await stream.end()
  }

  const leave = async (state: 'DONE' | 'READY') => {
    stop.abort()
    await Promise.allSettled(underWay.map(({ delivered }) => delivered))
    for (const { inlineBytes } of underWay) ctx.readAhead.giveBack(inlineBytes)
    rate.close()
    await lease.stop()
    return db.transact((trx) => leaveShard(trx, claim, state))
  }
  try {
    const begin = { ...ctx.begin, stream: `${claim.recordId}/${claim.shardNo}`, fence: claim.token }
    await using stream = ctx.client.openStream(ctx.linkKey, begin, streamProgress(traffic, onStored), all)
    await deliverAll(stream)
  } catch (error) {
    if (error instanceof LinkDown && !all.aborted && !isStored && !care.isCareful) care.broke()
    await leave('READY')
    throw lease.lost.aborted ? new LeaseLost() : error
  }
  if (!(await leave('DONE'))) throw new LeaseLost()
}

interface UnderWay {
  readonly batch: readonly WorkItem[]
  readonly delivered: Promise<Outcome[]>
  /** Held in memory until it is delivered, at most. */
  readonly inlineBytes: number
}
const heldBytesOf = (batch: readonly WorkItem[], inlineMaxBytes: number): number =>
  batch.reduce((sum, item) => sum + Math.min(MAX_INLINE_BYTES, inlineBytesOf(item, inlineMaxBytes)), 0)

interface Traffic {
  /** Since the last checkpoint. */
  sentBytes: number
}
function progressOf(traffic: Traffic, onStored: () => void) {
  return {
    sent(count: number) {
      traffic.sentBytes += count
    },
    stored: onStored,
  }
}
function streamProgress(traffic: Traffic, onStored: () => void) {
  const { sent, stored } = progressOf(traffic, onStored)
  return { sent, acknowledged: stored }
}

/** Where the shard goes on: after the last file of the batch that was dealt with. */
function lastPath(batch: readonly WorkItem[], outcomes: readonly Outcome[]): string {
  const dealtWith = new Set(outcomes.map(({ item }) => item.path))
  return batch.findLast(({ path }) => dealtWith.has(path))!.path
}

/** A detail in state RUNNING exists only for transfers in parts (replication.md 8). */
async function showLargeTransfers(batch: readonly WorkItem[], claim: ShardClaim, ctx: ShardContext): Promise<void> {
  const large = batch.filter((item) => filesOf(item).some(({ sizeBytes }) => sizeBytes > ctx.partThresholdBytes))
  if (large.length === 0 || !ctx.spec.keepsDetails) return
  const startedAt = ctx.clock.now()
  const place = { spec: ctx.spec, object: ctx.object, linkId: claim.linkId }
  const rows = large.map((item) => runningDetail(place, item, startedAt))
  await ctx.db.transact(async (trx) => {
    if (!(await heartbeatShard(trx, claim, startedAt + ctx.leaseMs, 0))) throw new LeaseLost()
    await putDetails(trx, rows)
  })
}
