import { sql } from 'kysely'
import { addSums, EMPTY_SUM, type RangeSum } from '../../core/fingerprint.ts'
import type { PathRange } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import type { Reader } from '../database.ts'
import { givenRows } from '../sql/given-rows.ts'
import { bucketStarts } from './buckets.ts'
import { type BuiltTo, readBuiltTo, readFoldState } from './fold-state.ts'
import { AFTER_ALL_PATHS } from './live-rows.ts'
import { rowSums } from './row-sums.ts'
import { OF_BUCKETS, subtractSum } from './sum-columns.ts'
import { sumsByRange } from './sums-by-range.ts'
import { unfoldedByBucket } from './unfolded.ts'

/**
 * What the live rows of each range add up to, exactly, in order of the ranges. The reader sees one moment (`snapshot`).
 *
 * A bound x cuts the bucket that begins at b(x) ≤ x. The range [x, y) is the buckets from b(x) to b(y) with their unfolded changes, plus
 * the rows of [b(y), y), less those of [b(x), x). Neighbours share a bound, so its bucket is read once, half of it on average. Where no
 * buckets are built yet, all is one bucket without a sum, of which only rows are read.
 */
export async function rangeSums(reader: Reader, repoId: number, ranges: readonly PathRange[]): Promise<RangeSum[]> {
  const { foldedSeq } = await readFoldState(reader)
  const builtTo = await readBuiltTo(reader, repoId)
  const startOf = await bucketStartsOf(reader, repoId, ranges, builtTo)
  const rows = createIntervals()
  const buckets = createIntervals()
  const plans = ranges.map(({ lo, hi }) => {
    if (hi !== null && comparePaths(lo, hi) >= 0) return { rows: [], less: [], buckets: [] }
    const from = startOf(lo)
    const to = startOf(hi)
    if (from === to || from === null) return { rows: [rows.add({ lo, hi })], less: [], buckets: [] }
    return {
      rows: to === hi || to === null ? [] : [rows.add({ lo: to, hi })],
      less: from === lo ? [] : [rows.add({ lo: from, hi: lo })],
      buckets: [buckets.add({ lo: from, hi: to })],
    }
  })
  const ofRows = await rowSums(reader, repoId, rows.all)
  const ofBuckets = await bucketSums(reader, repoId, buckets.all)
  const ofChanges =
    buckets.all.length === 0 ? [] : sumsWithin(await unfoldedByBucket(reader, repoId, foldedSeq, builtTo), buckets.all)
  return plans.map((plan) => {
    const added = [
      ...plan.rows.map((at) => ofRows[at]!),
      ...plan.buckets.flatMap((at) => [ofBuckets[at]!, ofChanges[at]!]),
    ].reduce(addSums, EMPTY_SUM)
    return plan.less.map((at) => ofRows[at]!).reduce(subtractSum, added)
  })
}

/** Ranges, each once. */
function createIntervals() {
  const all: PathRange[] = []
  const known = new Map<string, number>()
  return {
    all,
    /** @returns its place in `all`. */
    add(range: PathRange): number {
      const key = JSON.stringify([range.lo, range.hi])
      const place = known.get(key) ?? all.length
      if (place === all.length) {
        known.set(key, place)
        all.push(range)
      }
      return place
    },
  }
}

/** For each bound where its bucket begins; null for the end of all buckets. */
async function bucketStartsOf(reader: Reader, repoId: number, ranges: readonly PathRange[], builtTo: BuiltTo) {
  const isBuilt = (path: string) => builtTo === null || comparePaths(path, builtTo) < 0
  const bounds = new Set(ranges.flatMap(({ lo, hi }) => (hi === null ? [lo] : [lo, hi])))
  const built = [...bounds].filter(isBuilt)
  const starts = await bucketStarts(reader, repoId, built)
  const known = new Map(built.map((path, at) => [path, starts[at]!]))
  return (bound: string | null): string | null => (bound === null ? builtTo : (known.get(bound) ?? builtTo))
}

/** What whole buckets add up to, those that begin in each range. */
async function bucketSums(reader: Reader, repoId: number, ranges: readonly PathRange[]): Promise<RangeSum[]> {
  const sums: RangeSum[] = ranges.map(() => EMPTY_SUM)
  if (ranges.length === 0) return sums
  const given = givenRows(
    reader,
    'g',
    { i: 'bigint', lo: 'text', hi: 'text' },
    ranges.map(({ lo, hi }, i) => [i, lo, hi ?? AFTER_ALL_PATHS]),
  )
  const found = await sumsByRange(reader, {
    given,
    columns: sql.join(OF_BUCKETS.map((name) => sql.ref(`b.${name}`))),
    tables: sql`fp_bucket as b`,
    condition: sql<boolean>`b.repo_id = ${repoId} and b.lo >= g.lo and b.lo < g.hi`,
    sums: OF_BUCKETS,
  })
  for (const { i, sum } of found) sums[i] = sum
  return sums
}

/** Of sums at places, ascending: what those within each range add up to. */
function sumsWithin(
  places: readonly { readonly lo: string; readonly sum: RangeSum }[],
  ranges: readonly PathRange[],
): RangeSum[] {
  const starts = places.map(({ lo }) => Buffer.from(lo))
  const upTo: RangeSum[] = [EMPTY_SUM]
  for (const { sum } of places) upTo.push(addSums(upTo.at(-1)!, sum))
  const countBelow = (bound: string | null): number => {
    if (bound === null) return starts.length
    const wanted = Buffer.from(bound)
    let [low, high] = [0, starts.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (Buffer.compare(starts[middle]!, wanted) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
  return ranges.map(({ lo, hi }) => subtractSum(upTo[countBelow(hi)]!, upTo[countBelow(lo)]!))
}
