import type { Clock } from '../../core/clock.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { heartbeatShard, type ShardClaim } from '../../metadata/replication/exec-shards.ts'
import { LeaseLost } from '../runs/stop-reasons.ts'

/** Keeps a shard while it is worked on, and tells watchers how much goes out. */
export interface ShardLease {
  /** Aborts with LeaseLost when somebody else has the shard. */
  readonly lost: AbortSignal
  stop(): Promise<void>
}

const HEARTBEAT_MS = 1_000

export function keepShard(
  db: MetadataDatabase,
  clock: Clock,
  claim: ShardClaim,
  leaseMs: number,
  inFlightBytes: () => number,
): ShardLease {
  const lost = new AbortController()
  const done = new AbortController()
  const beat = async () => {
    while (!done.signal.aborted && !lost.signal.aborted) {
      await clock.sleep(HEARTBEAT_MS, done.signal).catch(() => undefined)
      if (done.signal.aborted) return
      const mine = await db
        .transact((trx) => heartbeatShard(trx, claim, clock.now() + leaseMs, inFlightBytes()))
        .catch(() => true)
      if (!mine) lost.abort(new LeaseLost())
    }
  }
  const beating = beat()
  return {
    lost: lost.signal,
    async stop() {
      done.abort()
      await beating
    },
  }
}
