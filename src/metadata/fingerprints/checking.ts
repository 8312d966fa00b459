import { sql } from 'kysely'
import { addSums, EMPTY_SUM, type RangeSum } from '../../core/fingerprint.ts'
import type { PathRange } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import type { MetadataDatabase, Reader } from '../database.ts'
import { bucketStarts, bucketsIn } from './buckets.ts'
import { readBuiltTo, readFoldState } from './fold-state.ts'
import { rowSums } from './row-sums.ts'
import { snapshot } from './snapshot.ts'
import { isSameSum } from './sum-columns.ts'
import { unfoldedByBucket } from './unfolded.ts'

/** About 16,000 rows: some tens of milliseconds of a thread that others wait for as well. */
const BUCKETS_AT_ONCE = 64

export interface WrongRange {
  readonly range: PathRange
  /** What the buckets and the changes since say. */
  readonly kept: RangeSum
  /** What the rows say. */
  readonly found: RangeSum
}
export interface CheckedSlice {
  /** Live rows that were read. */
  readonly rows: number
  readonly wrong: readonly WrongRange[]
  /** Where to go on; null: that was all. */
  readonly next: string | null
}

/** Compares some buckets, from the one that holds `from` on, with the rows they stand for, all of one moment. */
export function checkSlice(db: MetadataDatabase, repoId: number, from: string): Promise<CheckedSlice> {
  return snapshot(db, async (reader) => {
    const { foldedSeq } = await readFoldState(reader)
    const builtTo = await readBuiltTo(reader, repoId)
    if (builtTo !== null && comparePaths(from, builtTo) >= 0) return { rows: 0, wrong: [], next: null }
    const [lo = from] = await bucketStarts(reader, repoId, [from])
    const buckets = await bucketsIn(reader, repoId, { lo, hi: builtTo }, BUCKETS_AT_ONCE + 1)
    const next = buckets.length > BUCKETS_AT_ONCE ? buckets.pop()!.lo : null
    const since = new Map((await unfoldedByBucket(reader, repoId, foldedSeq, builtTo)).map(({ lo, sum }) => [lo, sum]))
    const ranges = buckets.map((bucket, at) => ({ lo: bucket.lo, hi: buckets[at + 1]?.lo ?? next ?? builtTo }))
    const sums = await rowSums(reader, repoId, ranges)
    const compared = ranges.map((range, at) => {
      const kept = addSums(buckets[at]!.sum, since.get(range.lo) ?? EMPTY_SUM)
      return { range, kept, found: sums[at]! }
    })
    return {
      rows: sums.reduce((total, { rows }) => total + rows, 0),
      wrong: compared.filter(({ kept, found }) => !isSameSum(kept, found)),
      next,
    }
  })
}

export interface SumsState {
  readonly buckets: number
  /** That the buckets count. */
  readonly rows: number
  /** False: some are still to be built. Sums are exact all the same, but slow. */
  readonly complete: boolean
}
export async function sumsState(reader: Reader, repoId: number): Promise<SumsState> {
  const { rows } = await sql<{ buckets: number; rows: number }>`
    select count(*) as buckets, coalesce(sum(n), 0) as "rows" from fp_bucket where repo_id = ${repoId}`.execute(reader)
  return { ...rows[0]!, complete: (await readBuiltTo(reader, repoId)) === null }
}
