import type { Clock } from '../core/clock.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import { listRollOvers } from '../metadata/replication/live-links.ts'
import { lockTask } from '../metadata/replication/tasks.ts'
import type { LiveTasks } from './live-tasks.ts'

export interface LiveRollOver {
  /**
   * A new day has begun in the server's zone: records of REAL_TIME tasks that were opened before it close, and others open. One that is
   * being filled with what exists waits for that, for a day at most.
   */
  run(signal: AbortSignal): Promise<void>
}

interface LiveRollOverDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly live: LiveTasks
  /** IANA name. */
  readonly timeZone: string
}

const DAY_MS = 86_400_000

export function createLiveRollOver({ db, clock, live, timeZone }: LiveRollOverDeps): LiveRollOver {
  return {
    async run(signal) {
      const now = Temporal.Instant.fromEpochMilliseconds(Math.trunc(clock.now()))
      const before = now.toZonedDateTimeISO(timeZone).startOfDay().epochMilliseconds
      for (const key of await listRollOvers(db.read, { before, atLatest: before - DAY_MS })) {
        if (signal.aborted) return
        await db.transact(async (trx) => {
          const row = await lockTask(trx, key)
          if (row !== undefined) await live.rollOver(trx, row, before)
        })
      }
    },
  }
}
