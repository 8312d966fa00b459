import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../../core/clock.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { settle } from '../nodes/settle.ts'
import { createSliceSize } from './slice-size.ts'

interface SliceDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  /** Of the first slice, for tests. */
  readonly firstRows?: number | undefined
  /** `background`: nobody waits for it, so on SQLite it takes smaller slices and longer pauses. */
  readonly pace?: 'background' | undefined
}

const BACKGROUND_ROWS = 50
const BACKGROUND_PAUSES = 2

/**
 * Works through many rows, each slice in a transaction of its own, as many rows at a time as keep nobody waiting for long. What
 * was done when the signal aborts stays done. `work` may run again for one slice (`settle`), `committed` runs once for each.
 */
export async function inSlices<T>(
  { db, clock, firstRows, pace }: SliceDeps,
  work: (trx: Transaction, rows: number) => Promise<T>,
  committed: (done: T, rows: number) => 'more' | 'done',
  signal: AbortSignal,
): Promise<void> {
  const size = createSliceSize(db.dialect, firstRows)
  const gentle = pace === 'background' && db.dialect === 'sqlite'
  for (;;) {
    signal.throwIfAborted()
    const rows = gentle ? Math.min(size.rows, BACKGROUND_ROWS) : size.rows
    let startedAt = clock.now()
    const done = await settle(() =>
      db.transact((trx) => {
        startedAt = clock.now()
        return work(trx, rows)
      }),
    )
    if (committed(done, rows) === 'done') return
    const tookMs = clock.now() - startedAt
    size.took(tookMs)
    const pauseMs = size.pauseAfter(tookMs) * (gentle ? BACKGROUND_PAUSES : 1)
    if (pauseMs > 0) await clock.sleep(pauseMs, signal)
    else await setImmediate()
  }
}
