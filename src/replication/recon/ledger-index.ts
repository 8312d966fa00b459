import { setImmediate } from 'node:timers/promises'
import { EMPTY_SUM, type RangeSum } from '../../core/fingerprint.ts'
import type { PathRange } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'

/** An accepted difference: as long as nobody changes either side, the target's row is the source's plus this. */
export interface LedgerEntry {
  readonly path: string
  /** What the target adds up to at this path, minus what the source does. */
  readonly delta: RangeSum
}

/** The ledger, for questions about ranges of paths: a range costs O(log n) whatever it holds. */
export interface LedgerIndex {
  sumIn(range: PathRange): RangeSum
  countIn(range: PathRange): number
  /** Ascending. */
  entriesIn(range: PathRange): readonly LedgerEntry[]
}

export const NO_LEDGER: LedgerIndex = { sumIn: () => EMPTY_SUM, countIn: () => 0, entriesIn: () => [] }

const COLUMNS = 9
const ENTRIES_PER_TURN = 5_000

/** @param entries at most one per path. */
export async function createLedgerIndex(entries: readonly LedgerEntry[]): Promise<LedgerIndex> {
  const sorted = [...entries].sort((a, b) => comparePaths(a.path, b.path))
  // Running totals: 72 bytes an entry, where objects of BigInts would take ten times that. They wrap at 2^64, as fingerprints do.
  const totals = new BigInt64Array(COLUMNS * (sorted.length + 1))
  for (const [index, { delta }] of sorted.entries()) {
    const at = COLUMNS * (index + 1)
    const columns = [BigInt(delta.rows), ...delta.content, ...delta.metadata]
    for (let column = 0; column < COLUMNS; column++) {
      totals[at + column] = totals[at + column - COLUMNS]! + columns[column]!
    }
    if (index % ENTRIES_PER_TURN === ENTRIES_PER_TURN - 1) await setImmediate()
  }

  /** Number of entries below the path. */
  function below(path: string | null): number {
    let [lo, hi] = [0, sorted.length]
    if (path === null) return hi
    while (lo < hi) {
      const middle = (lo + hi) >>> 1
      if (comparePaths(sorted[middle]!.path, path) < 0) lo = middle + 1
      else hi = middle
    }
    return lo
  }

  return {
    sumIn(range) {
      const [from, to] = [COLUMNS * below(range.lo), COLUMNS * below(range.hi)]
      if (from === to) return EMPTY_SUM
      const column = (at: number) => totals[to + at]! - totals[from + at]!
      return {
        rows: Number(column(0)),
        content: [column(1), column(2), column(3), column(4)],
        metadata: [column(5), column(6), column(7), column(8)],
      }
    },
    countIn: (range) => below(range.hi) - below(range.lo),
    entriesIn: (range) => sorted.slice(below(range.lo), below(range.hi)),
  }
}
