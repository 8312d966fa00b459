import type { Clock } from '../../core/clock.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { saveNodeAccesses } from '../../metadata/nodes/node-access.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'

/**
 * When files were last read, off the path of the reads themselves: notes gather in memory, a process that dies loses some.
 * More files than `MAX_NOTES` within one interval are not noted: it is a hint for clean-ups, not a record.
 */
export interface AccessTimes {
  note(node: NodeRecord): void
  /** Writes what has gathered. */
  flush(): Promise<void>
  /** Flushes every 5 s until the signal, and once more then. An error is told and its notes are dropped. */
  run(signal: AbortSignal): Promise<void>
}

const INTERVAL_MS = 5_000
const MAX_NOTES = 5_000
/** A file that is read all the time is noted once a minute. */
const PRECISION_MS = 60_000

export function createAccessTimes(deps: {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly onError: (error: unknown) => void
}): AccessTimes {
  const { db, clock, onError } = deps
  let notes = new Map<number, number>()
  const times: AccessTimes = {
    note(node) {
      const now = clock.now()
      if (node.accessedAt !== null && now - node.accessedAt < PRECISION_MS) return
      if (notes.size < MAX_NOTES || notes.has(node.id)) notes.set(node.id, now)
    },
    async flush() {
      if (notes.size === 0) return
      // In order of id, so that two processes over the same files do not lock each other out.
      const gathered = [...notes].sort(([a], [b]) => a - b).map(([nodeId, at]) => ({ nodeId, at }))
      notes = new Map()
      await db.transact((trx) => saveNodeAccesses(trx, gathered))
    },
    async run(signal) {
      while (!signal.aborted) {
        await clock.sleep(INTERVAL_MS, signal).catch(() => {})
        await times.flush().catch(onError)
      }
    },
  }
  return times
}
