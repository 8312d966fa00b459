import { sql } from 'kysely'
import type { MetadataDatabase } from '../database.ts'
import { BUCKET_SIZE, type BucketSize } from './bucket-size.ts'
import { addToBuckets, type BucketDelta, type BucketId } from './buckets.ts'
import { readFoldState, takeVersion } from './fold-state.ts'
import { isLandmark } from './landmarks.ts'
import { OF_CHANGES, type SumRow, summed, toRangeSum } from './sum-columns.ts'
import { bucketOf } from './unfolded.ts'

export interface Folded {
  /** Changes that the batch had; 0: nothing to do. */
  readonly changes: number
  /** What it added to which buckets. */
  readonly deltas: readonly BucketDelta[]
  /** Buckets that got a landmark at which none begins yet. */
  readonly marked: readonly BucketId[]
}

/**
 * Adds up to `limit` numbered changes to their buckets, those that come next, of all repositories. What lies where no bucket is yet
 * is left to the scan that makes the bucket. Everything but the writing is done beside the writer: log rows do not change, and buckets that
 * changed meanwhile void the batch.
 * @returns undefined: somebody else changed buckets at the same time; nothing is written.
 */
export async function foldBatch(
  db: MetadataDatabase,
  limit: number,
  size: Pick<BucketSize, 'rowsPerLandmark'> = BUCKET_SIZE,
): Promise<Folded | undefined> {
  const reader = db.slow
  const seen = await readFoldState(reader)
  // SQLite's number is the id, and the id has the index that all repositories share.
  const seq = sql.ref(db.dialect === 'sqlite' ? 'id' : 'seq')
  const { rows: spans } = await sql<{ changes: number; last: number | null }>`
    select count(*) as changes, max(seq) as last from (
      select ${seq} as seq from change_log where ${seq} > ${seen.foldedSeq} order by ${seq} limit ${sql.lit(limit)}) as n`.execute(
    reader,
  )
  const { changes, last } = spans[0]!
  if (last === null) return { changes: 0, deltas: [], marked: [] }
  const { rows } = await sql<SumRow & { repo_id: number; lo: string; mark: string | null }>`
    select c.repo_id, ${bucketOf(sql`c.repo_id`, sql`c.path`)} as lo, ${summed(OF_CHANGES)},
      max(case when dn = 1 and ${isLandmark(size, 'd0', 'd1')} then c.path end) as mark
    from (select * from change_log where ${seq} > ${seen.foldedSeq} and ${seq} <= ${last}) as c
    cross join fp_repository as r
    where r.repo_id = c.repo_id and (r.built_to is null or c.path < r.built_to) group by 1, 2`.execute(reader)
  const deltas = rows.map((row) => ({ repoId: row.repo_id, lo: row.lo, sum: toRangeSum(row) }))
  const isWritten = await db.transact(async (trx) => {
    if (!(await takeVersion(trx, seen, last))) return false
    await addToBuckets(trx, deltas)
    return true
  })
  const marked = rows.filter(({ lo, mark }) => mark !== null && mark !== lo)
  return isWritten
    ? { changes: Number(changes), deltas, marked: marked.map(({ repo_id, lo }) => ({ repoId: repo_id, lo })) }
    : undefined
}
