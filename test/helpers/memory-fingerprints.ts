import { addSums, EMPTY_SUM, type FingerprintRow, type RangeSum } from '../../src/core/fingerprint.ts'
import type { PathRange } from '../../src/core/path-range.ts'
import { comparePaths } from '../../src/core/paths.ts'
import { type Fingerprints, sumOfRows } from '../../src/replication/recon/fingerprints.ts'

/** Fingerprints over rows in memory, with sums kept per so many rows as buckets are. */
export interface MemoryFingerprints extends Fingerprints {
  /** Ascending. */
  readonly all: () => readonly FingerprintRow[]
  /** Puts rows there; undefined takes one away. */
  change(rows: readonly (readonly [path: string, row: FingerprintRow | undefined])[]): void
}

/** @param bucketRows where `cuts` may cut: at every so many rows. */
export function memoryFingerprints(rows: readonly FingerprintRow[], bucketRows = 256): MemoryFingerprints {
  let sorted = [...rows].sort((a, b) => comparePaths(a.path, b.path))
  let buckets = bucketSums()

  function bucketSums(): RangeSum[] {
    return Array.from({ length: Math.ceil(sorted.length / bucketRows) }, (_, index) =>
      sumOfRows(sorted.slice(index * bucketRows, (index + 1) * bucketRows)),
    )
  }
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
  function sum({ lo, hi }: PathRange): RangeSum {
    const [from, to] = [below(lo), below(hi)]
    const [first, end] = [Math.ceil(from / bucketRows), Math.floor(to / bucketRows)]
    if (first >= end) return sumOfRows(sorted.slice(from, Math.max(from, to)))
    let total = addSums(
      sumOfRows(sorted.slice(from, first * bucketRows)),
      sumOfRows(sorted.slice(end * bucketRows, to)),
    )
    for (let bucket = first; bucket < end; bucket++) total = addSums(total, buckets[bucket] ?? EMPTY_SUM)
    return total
  }

  return {
    all: () => sorted,
    sums: async (ranges) => ranges.map(sum),
    async cuts({ lo, hi }, pieces) {
      const [from, to] = [below(lo), below(hi)]
      const starts: number[] = []
      for (let at = (Math.floor(from / bucketRows) + 1) * bucketRows; at < to; at += bucketRows) starts.push(at)
      const step = Math.max(1, (starts.length + 1) / pieces)
      const cuts: string[] = []
      for (let piece = 1; piece < pieces && Math.round(piece * step) <= starts.length; piece++) {
        cuts.push(sorted[starts[Math.round(piece * step) - 1]!]!.path)
      }
      return cuts
    },
    rows: async ({ lo, hi }, limit) => sorted.slice(below(lo), Math.min(below(hi), below(lo) + limit)),
    change(changes) {
      const rowOf = new Map(sorted.map((row) => [row.path, row]))
      for (const [path, row] of changes) {
        if (row === undefined) rowOf.delete(path)
        else rowOf.set(path, row)
      }
      sorted = [...rowOf.values()].sort((a, b) => comparePaths(a.path, b.path))
      buckets = bucketSums()
    },
  }
}
