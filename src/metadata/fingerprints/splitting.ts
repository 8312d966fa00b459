import { sql } from 'kysely'
import type { MetadataDatabase } from '../database.ts'
import type { BucketSize } from './bucket-size.ts'
import { type Bucket, type BucketId, bucketsIn, rangeOfBucket, replaceBuckets } from './buckets.ts'
import { readBuiltTo, readFoldState, takeVersion } from './fold-state.ts'
import { pieces } from './pieces.ts'
import { isSameSum, sumOfAll } from './sum-columns.ts'

/** No other bucket begins between: no path of a node holds U+0001, and in that of a version something follows it. */
const justAfter = (lo: string) => `${lo}\u0001`
/** Splits of one transaction. */
const SPLITS_AT_ONCE = 8

export interface Split {
  /** Buckets made in place of larger ones. */
  readonly made: number
  /** Buckets whose sums were not those of their rows; they are now. */
  readonly wrong: readonly Bucket[]
}

/**
 * Splits a few buckets with too many rows, and these few, at their landmarks. The parts are measured, not divided, so a split proves the bucket's sums.
 * @returns undefined: somebody else changed buckets at the same time; nothing is written.
 */
export async function splitBuckets(
  db: MetadataDatabase,
  size: BucketSize,
  marked: readonly BucketId[],
): Promise<Split | undefined> {
  const reader = db.slow
  const seen = await readFoldState(reader)
  const { rows: full } = await sql<{ repo_id: number; lo: string }>`
    select b.repo_id, b.lo from fp_bucket as b join fp_repository as r on r.repo_id = b.repo_id
    where b.n > ${sql.lit(size.most)} and (r.built_to is null or b.lo < r.built_to)
    order by b.repo_id, b.lo limit ${sql.lit(SPLITS_AT_ONCE)}`.execute(reader)
  const parts: Bucket[][] = []
  const wrong: Bucket[] = []
  const wanted = [...full.map((row) => ({ repoId: row.repo_id, lo: row.lo })), ...marked]
  const due = new Map(wanted.map((bucket) => [JSON.stringify(bucket), bucket]))
  for (const { repoId, lo } of due.values()) {
    const range = await rangeOfBucket(reader, { repoId, lo }, await readBuiltTo(reader, repoId))
    const [before] = await bucketsIn(reader, repoId, range, 1)
    // A marked one was split or merged meanwhile.
    if (before?.lo !== lo) continue
    const made = await pieces(reader, repoId, range, seen.foldedSeq, size)
    const isRight = isSameSum(before.sum, sumOfAll(made.map(({ sum }) => sum)))
    if (!isRight) wrong.push(before)
    if (made.length > 1 || !isRight) parts.push(made)
  }
  if (parts.length === 0) return { made: 0, wrong }
  const isWritten = await db.transact(async (trx) => {
    if (!(await takeVersion(trx, seen))) return false
    for (const made of parts) {
      const { repoId, lo } = made[0]!
      await replaceBuckets(trx, repoId, { lo, hi: justAfter(lo) }, made)
    }
    return true
  })
  return isWritten ? { made: parts.flat().length, wrong } : undefined
}
