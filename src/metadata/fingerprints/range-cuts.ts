import { type RawBuilder, sql } from 'kysely'
import type { PathRange } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import type { Reader } from '../database.ts'
import { type BuiltTo, readBuiltTo } from './fold-state.ts'
import { AFTER_ALL_PATHS, liveRows, within } from './live-rows.ts'

/** As far as is looked whether there are enough landmarks; there are about five buckets to each. */
const BUCKETS_PER_LANDMARK = 8

/**
 * Inner points, ascending, that cut the range into at most `pieces` pieces of about equal rows: landmarks where the range has enough of
 * them, else starts of buckets, else paths of rows. None: fewer than two rows.
 */
export async function rangeCuts(reader: Reader, repoId: number, range: PathRange, pieces: number): Promise<string[]> {
  if (pieces < 2) return []
  const byBucket = await bucketCuts(reader, repoId, range, pieces, await readBuiltTo(reader, repoId))
  if (byBucket !== undefined) return byBucket
  const rows = sql`select path as at, 1 as n, 0 as landmark from ${liveRows(reader, repoId, range)} as l`
  return cutEvenly(reader, range, rows, pieces, 'all')
}

/** Undefined: fewer buckets than half the pieces begin in the range, or a part of it has none yet. */
async function bucketCuts(reader: Reader, repoId: number, range: PathRange, pieces: number, builtTo: BuiltTo) {
  if (builtTo !== null && (range.hi === null || comparePaths(range.hi, builtTo) > 0)) return undefined
  const inside = sql`repo_id = ${repoId} and ${within(sql.ref('lo'), { lo: range.lo, hi: range.hi ?? AFTER_ALL_PATHS })}`
  const enough = Math.ceil(pieces / 2)
  const { rows } = await sql<{ buckets: number; landmarks: number }>`
    select count(*) as buckets, coalesce(sum(landmark), 0) as landmarks
    from (select landmark from fp_bucket where ${inside} limit ${pieces * BUCKETS_PER_LANDMARK}) as few`.execute(reader)
  const { buckets, landmarks } = rows[0]!
  if (buckets < enough) return undefined
  const only = landmarks < pieces ? 'all' : 'landmarks'
  return cutEvenly(reader, range, sql`select lo as at, n, landmark from fp_bucket where ${inside}`, pieces, only)
}

async function cutEvenly(
  reader: Reader,
  range: PathRange,
  steps: RawBuilder<unknown>,
  pieces: number,
  only: 'all' | 'landmarks',
): Promise<string[]> {
  const chosen = only === 'all' ? sql`at` : sql`case when landmark = 1 then at end`
  const { rows } = await sql<{ at: string | null }>`select piece, min(${chosen}) as at from (
      select at, landmark, case when total < 1 then 0 else ("before" * ${sql.lit(pieces)}) / total end as piece from (
        select at, landmark, cast(sum(n) over (order by at) - n as bigint) as "before", cast(sum(n) over () as bigint) as total from (${steps}) as steps) as run) as cut
    where piece > 0 group by piece order by piece`.execute(reader)
  return rows.flatMap(({ at }) => at ?? []).filter((at) => comparePaths(at, range.lo) > 0)
}
