import type { MetadataDatabase } from '../metadata/database.ts'
import { heartbeatShard, leaveShard, type ShardClaim } from '../metadata/replication/exec-shards.ts'
import { putDetails } from '../metadata/replication/record-details.ts'
import type { SourceFile } from '../metadata/replication/source-files.ts'
import { checkpoint } from './checkpoint.ts'
import { type BatchContext, copyBatch } from './copy-batch.ts'
import { runningDetail } from './detail-rows.ts'
import type { Outcome } from './outcome.ts'
import type { RunObject, RunSpec } from './run-spec.ts'
import { LeaseLost, LinkStopped } from './stop-reasons.ts'

export interface ShardContext extends Omit<BatchContext, 'stream' | 'progress'> {
  readonly db: MetadataDatabase
  readonly spec: RunSpec
  readonly object: RunObject
  readonly stream: Omit<BatchContext['stream'], 'stream' | 'fence'>
  readonly batchFiles: number
  /** From here on a file is sent in parts, and shows as RUNNING meanwhile. */
  readonly partThresholdBytes: number
  readonly leaseMs: number
  onStored(): void
  onOutcomes(outcomes: readonly Outcome[], sentBytes: number): void
}

/** Bounds what a kill can cost: a batch that did not reach its checkpoint is compared again. */
const MAX_BATCH_BYTES = 64 * 1024 * 1024
/** Characters, up to 3 bytes each: with 500 long paths they stay below the 10 MiB that a request may have. */
const MAX_BATCH_METADATA = 2_500_000
const HEARTBEAT_MS = 1_000
/** So many batches that failed as a whole mean that the target, not the artifacts, is at fault. */
const MAX_LOST_BATCHES = 2

/**
 * Works through one shard, batch by batch, until its end. On the way out for any other reason the shard is left to the next
 * owner at its last checkpoint. @throws LeaseLost, LinkStopped, LinkDown, NotOurProtocol, RemoteRefusal.
 */
export async function workShard(
  claim: ShardClaim,
  files: AsyncIterable<SourceFile>,
  ctx: ShardContext,
  signal: AbortSignal,
): Promise<void> {
  const lost = new AbortController()
  const done = new AbortController()
  const both = AbortSignal.any([signal, lost.signal])
  let sentBytes = 0
  let lostBatches = 0
  const stream = { ...ctx.stream, stream: `${claim.recordId}/${claim.shardNo}`, fence: claim.token }
  const progress = {
    sent(count: number) {
      sentBytes += count
    },
    stored: ctx.onStored,
  }
  const batchContext: BatchContext = { ...ctx, stream, progress }
  const beating = keepLease(claim, ctx, () => sentBytes, lost, done.signal)

  async function copy(batch: readonly SourceFile[]): Promise<void> {
    await showLargeTransfers(batch, claim, ctx)
    const outcomes = await copyBatch(batch, batchContext, both)
    const now = ctx.clock.now()
    const pos = lastPath(batch, outcomes)
    const place = { spec: ctx.spec, object: ctx.object, linkId: claim.linkId }
    await checkpoint(ctx.db, place, claim, { outcomes, pos, sentBytes, now, leaseUntil: now + ctx.leaseMs })
    ctx.onOutcomes(outcomes, sentBytes)
    sentBytes = 0
    const failure = outcomes.find(({ result }) => result === 'failed')
    if (failure !== undefined && ctx.spec.errorStrategy === 'FAST_FAIL')
      throw new LinkStopped(failure.reason ?? 'failed')
    lostBatches = outcomes.every(({ batchLost }) => batchLost) ? lostBatches + 1 : 0
    if (lostBatches === MAX_LOST_BATCHES) throw new LinkStopped(failure?.reason ?? 'the target refuses everything')
  }

  const leave = async (state: 'DONE' | 'READY') => {
    done.abort()
    await beating
    return ctx.db.transact((trx) => leaveShard(trx, claim, state))
  }
  try {
    for await (const batch of inBatches(files, ctx.batchFiles)) {
      both.throwIfAborted()
      await copy(batch)
    }
  } catch (error) {
    await leave('READY')
    throw lost.signal.aborted ? new LeaseLost() : error
  }
  if (!(await leave('DONE'))) throw new LeaseLost()
}

/** Where the shard goes on: after the last file of the batch that was dealt with. */
function lastPath(batch: readonly SourceFile[], outcomes: readonly Outcome[]): string {
  const dealtWith = new Set(outcomes.map(({ file }) => file.path))
  return batch.findLast(({ path }) => dealtWith.has(path))!.path
}

/** At most `batchFiles` files, 64 MiB of content and what one request may hold of metadata; a larger file is a batch of its own. */
async function* inBatches(files: AsyncIterable<SourceFile>, batchFiles: number): AsyncIterable<SourceFile[]> {
  let batch: SourceFile[] = []
  let bytes = 0
  let metadata = 0
  for await (const file of files) {
    const tooMuch = bytes + file.sizeBytes > MAX_BATCH_BYTES || metadata + file.metadataLength > MAX_BATCH_METADATA
    if (batch.length === batchFiles || (batch.length > 0 && tooMuch)) {
      yield batch
      batch = []
      bytes = 0
      metadata = 0
    }
    batch.push(file)
    bytes += file.sizeBytes
    metadata += file.metadataLength
  }
  if (batch.length > 0) yield batch
}

async function keepLease(
  claim: ShardClaim,
  { db, clock, leaseMs }: ShardContext,
  inFlight: () => number,
  lost: AbortController,
  done: AbortSignal,
): Promise<void> {
  while (!done.aborted && !lost.signal.aborted) {
    await clock.sleep(HEARTBEAT_MS, done).catch(() => undefined)
    if (done.aborted) return
    const mine = await db
      .transact((trx) => heartbeatShard(trx, claim, clock.now() + leaseMs, inFlight()))
      .catch(() => true)
    if (!mine) lost.abort(new LeaseLost())
  }
}

/** A detail in state RUNNING exists only for transfers in parts (replication.md 8). */
async function showLargeTransfers(batch: readonly SourceFile[], claim: ShardClaim, ctx: ShardContext): Promise<void> {
  const large = batch.filter(({ sizeBytes }) => sizeBytes > ctx.partThresholdBytes)
  if (large.length === 0 || !ctx.spec.keepsDetails) return
  const startedAt = ctx.clock.now()
  const place = { spec: ctx.spec, object: ctx.object, linkId: claim.linkId }
  const rows = large.map((file) => runningDetail(place, file, startedAt))
  await ctx.db.transact(async (trx) => {
    if (!(await heartbeatShard(trx, claim, startedAt + ctx.leaseMs, 0))) throw new LeaseLost()
    await putDetails(trx, rows)
  })
}
