import type { Clock } from '../../core/clock.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { claimShard } from '../../metadata/replication/exec-shards.ts'
import { workKeptShard } from '../delivery/kept-shard.ts'
import { shardFiles } from '../delivery/shard-files.ts'
import { type ShardContext, workShard } from '../delivery/shard-worker.ts'
import type { LinkScope } from '../planning/difference.ts'
import type { RemoteState } from './remote-states.ts'

interface StreamDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  /** `installationId:bootId`. */
  readonly owner: string
  readonly remote: RemoteState
}

/**
 * Works on the shards of one link until none is free, each over a stream of its own, as many at once as the target takes well. Every
 * link has at least one, with FAST_FAIL exactly one. The first failure ends the others at their last checkpoint and is thrown.
 */
export async function workShards(
  { db, clock, owner, remote }: StreamDeps,
  link: { readonly recordId: string; readonly linkId: number; readonly taskKey: string; readonly scope: LinkScope },
  context: ShardContext,
  signal: AbortSignal,
): Promise<void> {
  const stop = new AbortController()
  const both = AbortSignal.any([signal, stop.signal])
  const failures: unknown[] = []
  const working = new Set<Promise<void>>()
  const seat = remote.shares.join(link.taskKey)
  // Whoever stops at the first failure means the first in order, every time.
  const isInOrder = context.spec.errorStrategy === 'FAST_FAIL'
  let exhausted = false

  const claim = () => {
    const lease = { owner, now: clock.now(), leaseMs: context.leaseMs }
    return db.transact((trx) => claimShard(trx, link.recordId, link.linkId, lease))
  }
  async function work(): Promise<void> {
    for (let first = true; first || seat.mayGoOn(); first = false) {
      if (both.aborted) return
      const shard = await claim()
      if (shard === undefined) {
        exhausted = true
        seat.hasEnough()
        return
      }
      grow()
      const pages = shardFiles(db, link.scope, shard, clock)
      await (shard.kind === 'kept' ? workKeptShard : workShard)(shard, pages, growing, both)
    }
  }
  const begin = () => {
    seat.begin()
    const one = work()
      .catch((error) => {
        failures.push(error)
        stop.abort(error)
      })
      .finally(() => {
        seat.end()
        working.delete(one)
      })
    working.add(one)
  }
  function grow(): void {
    if (isInOrder) return
    while (!exhausted && !both.aborted && seat.mayBegin()) begin()
  }
  const growing: ShardContext = {
    ...context,
    onOutcomes(outcomes, sentBytes) {
      context.onOutcomes(outcomes, sentBytes)
      grow()
    },
  }
  begin()
  while (working.size > 0) await Promise.race(working)
  seat.leave()
  if (failures.length > 0) throw failures[0]
  signal.throwIfAborted()
}
