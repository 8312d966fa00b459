import { leaveShard, type ShardClaim } from '../../metadata/replication/exec-shards.ts'
import { LeaseLost } from '../runs/stop-reasons.ts'
import { inBatches } from './batches.ts'
import { checkpoint } from './checkpoint.ts'
import type { ShardContext } from './shard-worker.ts'
import type { WorkItem } from './work-item.ts'

/** Files that the ledger proves to be kept at the target as they were: they get their details again, and the target is not asked. */
export async function workKeptShard(
  claim: ShardClaim,
  pages: AsyncIterable<readonly WorkItem[]>,
  ctx: ShardContext,
  signal: AbortSignal,
): Promise<void> {
  try {
    await keepAll(claim, pages, ctx, signal)
  } catch (error) {
    await ctx.db.transact((trx) => leaveShard(trx, claim, 'READY'))
    throw error
  }
  if (!(await ctx.db.transact((trx) => leaveShard(trx, claim, 'DONE')))) throw new LeaseLost()
}

async function keepAll(
  claim: ShardClaim,
  pages: AsyncIterable<readonly WorkItem[]>,
  ctx: ShardContext,
  signal: AbortSignal,
): Promise<void> {
  const place = { spec: ctx.spec, object: ctx.object, linkId: claim.linkId }
  for await (const batch of inBatches(pages, ctx.batch)) {
    signal.throwIfAborted()
    const at = ctx.clock.now()
    const times = { attempts: 1, startedAt: at, endedAt: at }
    const outcomes = batch.map(
      (item) => ({ ...times, item, result: 'kept', conflict: true, blob: 'not-sent' }) as const,
    )
    await checkpoint(ctx, place, claim, { outcomes, pos: batch.at(-1)!.path, sentBytes: 0 })
    ctx.onOutcomes(outcomes, 0)
  }
}
