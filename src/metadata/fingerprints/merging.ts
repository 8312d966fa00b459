import { sql } from 'kysely'
import type { MetadataDatabase, Reader } from '../database.ts'
import { givenRows } from '../sql/given-rows.ts'
import type { BucketSize } from './bucket-size.ts'
import { type BucketId, bucketsIn, replaceBuckets } from './buckets.ts'
import { readBuiltTo, readFoldState, takeVersion } from './fold-state.ts'
import { planMerges } from './merge-plan.ts'

/** Buckets looked at for one transaction. */
const BUCKETS_AT_ONCE = 100

/** Those of the buckets that have fewer than `least` rows. */
export async function smallAmong(reader: Reader, buckets: readonly BucketId[], least: number): Promise<BucketId[]> {
  if (buckets.length === 0) return []
  const given = givenRows(
    reader,
    'g',
    { repo_id: 'bigint', lo: 'text' },
    buckets.map(({ repoId, lo }) => [repoId, lo]),
  )
  const { rows } = await sql<{ repo_id: number; lo: string }>`select b.repo_id, b.lo from ${given}
    join fp_bucket as b on b.repo_id = g.repo_id and b.lo = g.lo where b.n < ${sql.lit(least)}`.execute(reader)
  return rows.map(({ repo_id, lo }) => ({ repoId: repo_id, lo }))
}

/**
 * Merges small buckets with their neighbours, from the one before `from` on.
 * @returns where the look ended, null at the end of the repository. Undefined: somebody else changed buckets at the same time.
 */
export async function mergeBuckets(
  db: MetadataDatabase,
  { repoId, lo: from }: BucketId,
  size: BucketSize,
): Promise<{ readonly lookedTo: string | null } | undefined> {
  const reader = db.slow
  const seen = await readFoldState(reader)
  const before = await reader
    .selectFrom('fp_bucket')
    .select('lo')
    .where('repo_id', '=', repoId)
    .where('lo', '<', from)
    .orderBy('lo', 'desc')
    .limit(1)
    .executeTakeFirst()
  const builtTo = await readBuiltTo(reader, repoId)
  const window = { lo: before?.lo ?? from, hi: builtTo }
  const buckets = await bucketsIn(reader, repoId, window, BUCKETS_AT_ONCE + 1)
  const lookedTo = buckets.length > BUCKETS_AT_ONCE ? buckets.pop()!.lo : null
  const wanted = planMerges(buckets, size)
  if (wanted.length === buckets.length) return { lookedTo }
  // What stays as it is at either end is not written.
  const first = wanted.findIndex((bucket, at) => bucket !== buckets[at])
  let kept = 0
  while (wanted.at(-1 - kept) === buckets.at(-1 - kept)) kept++
  const range = { lo: buckets[first]!.lo, hi: kept > 0 ? buckets.at(-kept)!.lo : (lookedTo ?? builtTo) }
  const isWritten = await db.transact(async (trx) => {
    if (!(await takeVersion(trx, seen))) return false
    await replaceBuckets(trx, repoId, range, wanted.slice(first, wanted.length - kept))
    return true
  })
  return isWritten ? { lookedTo } : undefined
}
