import { sql } from 'kysely'
import { EMPTY_SUM } from '../../core/fingerprint.ts'
import type { PathRange } from '../../core/path-range.ts'
import type { Reader } from '../database.ts'
import type { BucketSize } from './bucket-size.ts'
import type { Bucket } from './buckets.ts'
import { isLandmark } from './landmarks.ts'
import { liveRows, within } from './live-rows.ts'
import { OF_LIVE_ROWS, type SumRow, summed, toRangeSum } from './sum-columns.ts'
import { unfoldedRows } from './unfolded.ts'

/**
 * The range cut into buckets, at its landmarks and between them evenly, about `size.target` rows each, from the rows themselves: what is
 * live, less the changes after `foldedSeq`, so the sums are those of `foldedSeq`. One statement, so that rows and changes are of one
 * moment. The first bucket begins where the range does; there is always one.
 */
export async function pieces(
  reader: Reader,
  repoId: number,
  range: PathRange,
  foldedSeq: number,
  size: BucketSize,
): Promise<Bucket[]> {
  const target = sql.lit(size.target)
  const half = sql.lit(size.target >> 1)
  // Changes belong to the live row at or before their path; those before all of them to the first bucket.
  const { rows } = await sql<SumRow & { lo: string | null; section: number; piece: number }>`
    with both_kinds as (
      select path, n, c0, c1, c2, c3, m0, m1, m2, m3, 1 as live,
        case when ${isLandmark(size, 'c0', 'c1')} then 1 else 0 end as landmark from ${liveRows(reader, repoId, range)} as l
      union all
      select path, -dn, -d0, -d1, -d2, -d3, -e0, -e1, -e2, -e3, 0, 0
      from ${unfoldedRows(reader, repoId, foldedSeq)} as u where ${within(sql.ref('path'), range)}),
    sectioned as (select both_kinds.*, sum(landmark) over (order by path) as section from both_kinds),
    placed as (
      select sectioned.*, sum(live) over (partition by section order by path) as place,
        sum(live) over (partition by section) as total from sectioned),
    cut as (
      select placed.*, case when place = 0 then 0
        when total < ${target} then 0
        else (place - 1) * ((total + ${half}) / ${target}) / total end as piece from placed)
    select section, piece, min(case when live = 1 then path end) as lo, ${summed(OF_LIVE_ROWS)}
    from cut group by section, piece order by section, piece`.execute(reader)
  const made = rows.map(({ lo, section, piece, ...row }): Bucket => {
    // Only changes before the first row have no row of their own.
    return { repoId, lo: lo ?? range.lo, landmark: section > 0 && piece === 0, sum: toRangeSum(row) }
  })
  const [first] = made
  if (first === undefined || (first.landmark && first.lo !== range.lo)) {
    return [{ repoId, lo: range.lo, landmark: false, sum: EMPTY_SUM }, ...made]
  }
  return [{ ...first, lo: range.lo }, ...made.slice(1)]
}
