import { type RawBuilder, sql } from 'kysely'
import type { RangeSum } from '../../core/fingerprint.ts'
import type { Reader } from '../database.ts'
import { dialectOf } from '../sql/dialect-of.ts'
import type { BuiltTo } from './fold-state.ts'
import { OF_CHANGES, type SumRow, summed, toRangeSum } from './sum-columns.ts'

const COLUMNS = sql`path, dn, d0, d1, d2, d3, e0, e1, e2, e3`

/** The repository's changes that no bucket holds, numbered or not, as a table. */
export function unfoldedRows(reader: Reader, repoId: number, foldedSeq: number): RawBuilder<unknown> {
  const numbered = sql`select ${COLUMNS} from change_log where repo_id = ${repoId} and seq > ${foldedSeq}`
  if (dialectOf(reader) === 'sqlite') return sql`(${numbered})`
  return sql`(${numbered} union all select ${COLUMNS} from change_log where repo_id = ${repoId} and seq is null)`
}

/** What they add to each bucket, ascending by `lo`. */
export async function unfoldedByBucket(
  reader: Reader,
  repoId: number,
  foldedSeq: number,
  builtTo: BuiltTo,
): Promise<{ readonly lo: string; readonly sum: RangeSum }[]> {
  const inBuckets = builtTo === null ? sql`1 = 1` : sql`u.path < ${builtTo}`
  const { rows } = await sql<SumRow & { lo: string }>`
    select ${bucketOf(sql`${repoId}`, sql`u.path`)} as lo, ${summed(OF_CHANGES)}
    from ${unfoldedRows(reader, repoId, foldedSeq)} as u where ${inBuckets} group by 1 order by 1`.execute(reader)
  return rows.map((row) => ({ lo: row.lo, sum: toRangeSum(row) }))
}

/** Start of the bucket that a path is in. */
export const bucketOf = (repoId: RawBuilder<unknown>, path: RawBuilder<unknown>): RawBuilder<string> =>
  sql<string>`(select max(b.lo) from fp_bucket as b where b.repo_id = ${repoId} and b.lo <= ${path})`
