import { type PackageKey, packagePath, parsePackagePath } from '../../core/package-key.ts'
import { comparePaths } from '../../core/paths.ts'
import type { MetadataDatabase, Reader } from '../database.ts'
import type { BucketSize } from './bucket-size.ts'
import { replaceBuckets } from './buckets.ts'
import { nextUnbuilt, readFoldState, saveBuiltTo, takeVersion } from './fold-state.ts'
import { AFTER_PACKAGES } from './live-rows.ts'
import { pieces } from './pieces.ts'

const PACKAGES_AT_ONCE = 200

/**
 * Makes the buckets of one more slice of a repository that lacks some: what is there from before its sums were kept, or was asked
 * to be built again. Small at first glance: folding goes on between slices.
 * @returns 'done' when no repository lacks any. Undefined: somebody else changed buckets at the same time; nothing is written.
 */
export async function buildSlice(
  db: MetadataDatabase,
  rows: number,
  size: BucketSize,
): Promise<'more' | 'done' | undefined> {
  const reader = db.slow
  const seen = await readFoldState(reader)
  const unbuilt = await nextUnbuilt(reader)
  if (unbuilt === undefined) return 'done'
  const { repoId, builtTo: lo } = unbuilt
  const hi = await endOfSlice(reader, repoId, lo, rows)
  const made = await pieces(reader, repoId, { lo, hi }, seen.foldedSeq, size)
  const isWritten = await db.transact(async (trx) => {
    if (!(await takeVersion(trx, seen))) return false
    // Those from before a rebuild go.
    await replaceBuckets(trx, repoId, { lo, hi }, made)
    await saveBuiltTo(trx, repoId, hi)
    return true
  })
  return isWritten ? 'more' : undefined
}

/** Any path will do; this one has about `rows` rows before it. Null: the end. */
async function endOfSlice(reader: Reader, repoId: number, lo: string, rows: number): Promise<string | null> {
  if (comparePaths(lo, AFTER_PACKAGES) < 0) {
    const row = await reader
      .selectFrom('package')
      .select('key')
      .where('repo_id', '=', repoId)
      .where('key', '>', parsePackagePath(lo)?.key ?? '')
      .orderBy('key')
      .offset(PACKAGES_AT_ONCE)
      .limit(1)
      .executeTakeFirst()
    return row === undefined ? AFTER_PACKAGES : packagePath(row.key as PackageKey)
  }
  const row = await reader
    .selectFrom('node')
    .select('path')
    .where('repo_id', '=', repoId)
    .where('deleted_at', 'is', null)
    .where('path', '>', lo)
    .orderBy('path')
    .offset(rows)
    .limit(1)
    .executeTakeFirst()
  return row?.path ?? null
}
