import type { Clock } from '../../core/clock.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { noteLiveTraffic } from '../../metadata/replication/live-counters.ts'
import type { LiveClaim } from '../../metadata/replication/live-links.ts'

interface TrafficDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly claim: LiveClaim
  /** Bytes that went out since the last checkpoint, and how many checkpoints there were. */
  traffic(): { readonly bytes: number; readonly checkpoints: number }
}

const LOOK_MS = 1_000

/** Tells watchers how much of something large went out, which no checkpoint does before it has arrived. */
export function noteTraffic({ db, clock, claim, traffic }: TrafficDeps): AsyncDisposable {
  const over = new AbortController()
  async function watch(): Promise<void> {
    let before = traffic()
    let noted = 0
    while (!over.signal.aborted) {
      await clock.sleep(LOOK_MS, over.signal).catch(() => undefined)
      const now = traffic()
      const isLong = now.checkpoints === before.checkpoints && now.bytes > 0
      before = now
      if (over.signal.aborted || !isLong || now.bytes === noted) continue
      noted = now.bytes
      // Whoever holds the link by now says it better.
      await db.transact((trx) => noteLiveTraffic(trx, claim, now.bytes)).catch(() => undefined)
    }
  }
  const watching = watch()
  return {
    async [Symbol.asyncDispose]() {
      over.abort()
      await watching
    },
  }
}
