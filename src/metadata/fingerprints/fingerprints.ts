import type { FingerprintRow, RangeSum } from '../../core/fingerprint.ts'
import type { PathRange } from '../../core/path-range.ts'
import type { MetadataDatabase } from '../database.ts'
import { rangeCuts } from './range-cuts.ts'
import { rangeRows } from './range-rows.ts'
import { rangeSums } from './range-sums.ts'
import { snapshot } from './snapshot.ts'

/**
 * What a repository holds, by ranges of paths: exact at any moment, whatever is folded and built. Live rows are files (expired ones
 * until a sweep deletes them), versions and packages (`core/package-key.ts`); folders are none. Reads beside all other work.
 */
export interface Fingerprints {
  /** What the live rows of each range add up to, in order of the ranges, all at one moment. Hundreds of ranges are one question. */
  sums(repoId: number, ranges: readonly PathRange[]): Promise<RangeSum[]>
  /**
   * Inner points, ascending, that cut the range into at most `pieces` pieces of about equal rows: starts of buckets where it has
   * many, else paths of rows.
   */
  cuts(repoId: number, range: PathRange, pieces: number): Promise<string[]>
  /** The first `limit` live rows of the range, ascending by path bytes. */
  rows(repoId: number, range: PathRange, limit: number): Promise<FingerprintRow[]>
}

export function createFingerprints(db: MetadataDatabase): Fingerprints {
  return {
    sums: async (repoId, ranges) =>
      ranges.length === 0 ? [] : snapshot(db, (reader) => rangeSums(reader, repoId, ranges)),
    cuts: (repoId, range, pieces) => rangeCuts(db.slow, repoId, range, pieces),
    rows: (repoId, range, limit) => snapshot(db, (reader) => rangeRows(reader, repoId, range, limit)),
  }
}
