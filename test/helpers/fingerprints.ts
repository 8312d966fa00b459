import assert from 'node:assert/strict'
import { addSums, EMPTY_SUM, type FingerprintRow, type RangeSum, sumOfRow } from '../../src/core/fingerprint.ts'
import { type PackageKey, packagePath, versionPath } from '../../src/core/package-key.ts'
import { type PathRange, rangeHolds } from '../../src/core/path-range.ts'
import { comparePaths } from '../../src/core/paths.ts'
import { numberChanges } from '../../src/metadata/changes/sequencer.ts'
import type { MetadataDatabase } from '../../src/metadata/database.ts'
import type { BucketSize } from '../../src/metadata/fingerprints/bucket-size.ts'
import { createFingerprintUpkeep, type UpkeepOptions } from '../../src/metadata/fingerprints/upkeep.ts'

/** Buckets so small that a few files split and merge them. */
export const TINY_SIZE: BucketSize = { target: 4, most: 8, least: 2, rowsPerLandmark: 8 }
export const TINY_BUCKETS: Partial<UpkeepOptions> = {
  size: TINY_SIZE,
  changesAtOnce: 5,
  rowsAtOnce: 5,
}

/** Files, packages and versions without paths below or above; both ends open. */
export const WHOLE: PathRange = { lo: '', hi: null }

/** What is live, read the plainest way there is. */
export async function liveRowsOf({ read }: Pick<MetadataDatabase, 'read'>, repoId: number): Promise<FingerprintRow[]> {
  const nodes = await read
    .selectFrom('node')
    .selectAll()
    .where('repo_id', '=', repoId)
    .where('deleted_at', 'is', null)
    .where('folder', '=', 0)
    .execute()
  const packages = await read.selectFrom('package').selectAll().where('repo_id', '=', repoId).execute()
  const versions = await read
    .selectFrom('package_version')
    .innerJoin('package', 'package.id', 'package_version.package_id')
    .selectAll('package_version')
    .select('package.key as key')
    .where('package.repo_id', '=', repoId)
    .execute()
  const content = (row: { c0: number; c1: number; c2: number; c3: number }) => [row.c0, row.c1, row.c2, row.c3] as const
  const metadata = (row: { m0: number; m1: number; m2: number; m3: number }) =>
    [row.m0, row.m1, row.m2, row.m3] as const
  const rows: FingerprintRow[] = [
    ...nodes.map((row) => ({ path: row.path, content: content(row), metadata: metadata(row) })),
    ...packages.map((row) => ({
      path: packagePath(row.key as PackageKey),
      content: [0, 0, 0, 0] as const,
      metadata: metadata(row),
    })),
    ...versions.map((row) => ({
      path: versionPath(row.key as PackageKey, row.name),
      content: content(row),
      metadata: metadata(row),
    })),
  ]
  return rows.sort((a, b) => comparePaths(a.path, b.path))
}

export const sumWithin = (rows: readonly FingerprintRow[], range: PathRange): RangeSum =>
  rows.filter(({ path }) => rangeHolds(range, path)).reduce((sum, row) => addSums(sum, sumOfRow(row)), EMPTY_SUM)

/** Numbers, folds, splits, merges and builds until nothing is due. */
export async function foldAll(db: MetadataDatabase, options: Partial<UpkeepOptions> = {}): Promise<void> {
  const onWrong = () => assert.fail('a bucket was wrong')
  await numberChanges(db)
  const upkeep = createFingerprintUpkeep(db, { onWrong, ...options })
  for (let steps = 0; (await upkeep.step()) !== 'idle'; steps++) assert.ok(steps < 10_000, 'it comes to an end')
}
