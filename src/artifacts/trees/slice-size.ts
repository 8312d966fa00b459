import type { Dialect } from '../../metadata/database.ts'

/**
 * SQLite works in the server's thread: a slice and its commit keep every request waiting this long. PostgreSQL works elsewhere, and
 * waiting for it costs nobody anything but the rows that are locked.
 */
const WANTED_MS = { sqlite: 15, postgres: 60 } as const satisfies Record<Dialect, number>
const FIRST_ROWS = 100
const LEAST_ROWS = 20
/** Rows of one statement of `node-writes.ts`: a longer slice would build several texts of thousands of parameters in this thread. */
const MOST_ROWS = 250
/** A pause lets requests through that need several turns of the event loop, such as uploads; a longer one does not help them. */
const LONGEST_PAUSE_MS = 40

export interface SliceSize {
  readonly rows: number
  /** Tells how long a slice of `rows` took. */
  took(ms: number): void
  /** How long to wait after such a slice: on SQLite the operation has half of the thread, everybody else the other half. */
  pauseAfter(ms: number): number
}

/** Grows and shrinks with what the machine manages. */
export function createSliceSize(dialect: Dialect, firstRows = FIRST_ROWS): SliceSize {
  let rows = firstRows
  return {
    get rows() {
      return rows
    },
    took(ms) {
      if (ms <= 0) return
      // Half at once when it was too long; slowly back, so that one quick slice is not followed by a slow one.
      const factor = Math.min(Math.max(WANTED_MS[dialect] / ms, 0.5), 1.25)
      rows = Math.min(Math.max(Math.round(rows * factor), LEAST_ROWS), MOST_ROWS)
    },
    pauseAfter: (ms) => (dialect === 'sqlite' ? Math.min(ms, LONGEST_PAUSE_MS) : 0),
  }
}
