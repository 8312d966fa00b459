import { comparePaths, type NodePath, ROOT } from './paths.ts'

/** Paths in [lo, hi) by their UTF-8 bytes; `hi` null: to the end. */
export interface PathRange {
  readonly lo: string
  readonly hi: string | null
}

export const EVERY_PATH: PathRange = { lo: '/', hi: null }

/** The path itself and all below it: `/a` → [`/a`, `/a\u0001`) and [`/a/`, `/a0`); `0` is the byte after `/`. */
export function rangesOfTree(path: NodePath): PathRange[] {
  if (path === ROOT) return [EVERY_PATH]
  return [
    { lo: path, hi: `${path}\u0001` },
    { lo: `${path}/`, hi: `${path}0` },
  ]
}

/** Sorted, and free of overlap: each path lies in at most one of the result. */
export function mergeRanges(ranges: readonly PathRange[]): PathRange[] {
  const sorted = [...ranges].sort((a, b) => comparePaths(a.lo, b.lo))
  const merged: PathRange[] = []
  for (const range of sorted) {
    const last = merged.at(-1)
    if (last === undefined || (last.hi !== null && comparePaths(range.lo, last.hi) > 0)) merged.push(range)
    else if (last.hi !== null && (range.hi === null || comparePaths(range.hi, last.hi) > 0)) {
      merged[merged.length - 1] = { lo: last.lo, hi: range.hi }
    }
  }
  return merged
}

/** At most so many ranges that hold what these do: neighbours are put together. @param ranges sorted and merged. */
export function coarsened(ranges: readonly PathRange[], atMost: number): readonly PathRange[] {
  if (ranges.length <= atMost) return ranges
  const together = Math.ceil(ranges.length / atMost)
  const wider: PathRange[] = []
  for (let at = 0; at < ranges.length; at += together) {
    wider.push({ lo: ranges[at]!.lo, hi: ranges[Math.min(at + together, ranges.length) - 1]!.hi })
  }
  return wider
}

export function rangeHolds(range: PathRange, path: string): boolean {
  return comparePaths(path, range.lo) >= 0 && (range.hi === null || comparePaths(path, range.hi) < 0)
}

/** The part of the ranges that lies in `window`. */
export function clipRanges(ranges: readonly PathRange[], window: PathRange): PathRange[] {
  return ranges.flatMap((range) => {
    const lo = comparePaths(range.lo, window.lo) >= 0 ? range.lo : window.lo
    const hi =
      range.hi === null
        ? window.hi
        : window.hi === null || comparePaths(range.hi, window.hi) <= 0
          ? range.hi
          : window.hi
    return hi !== null && comparePaths(lo, hi) >= 0 ? [] : [{ lo, hi }]
  })
}

/** Whether any of the ranges holds a path, which costs the logarithm of their number. They may come in any order, and overlap. */
export function holderOf(ranges: readonly PathRange[]): (path: string) => boolean {
  const merged = mergeRanges(ranges.filter(({ lo, hi }) => hi === null || comparePaths(lo, hi) < 0))
  return (path) => {
    const range = merged[firstEndingAbove(merged, path)]
    return range !== undefined && comparePaths(path, range.lo) >= 0
  }
}

/** Place of the first of the sorted, merged ranges that ends above `path`; their number when none does. */
export function firstEndingAbove(ranges: readonly PathRange[], path: string): number {
  let [low, high] = [0, ranges.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const { hi } = ranges[middle]!
    if (hi !== null && comparePaths(hi, path) <= 0) low = middle + 1
    else high = middle
  }
  return low
}
