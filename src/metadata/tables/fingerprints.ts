/** Sums over ranges of paths, kept up from the change log (docs/design/fingerprints.md). */
export interface FingerprintTables {
  fp_fold: FoldTable
  fp_repository: FingerprintRepositoryTable
  fp_bucket: BucketTable
}

/** One row. */
interface FoldTable {
  /** 1. */
  id: number
  /** Changes numbered up to here are in the buckets, or in no bucket that is built. */
  folded_seq: number
  /** Grows with every change of anything in these three tables: what was computed at another version is void. */
  version: number
}

/** One row for each live repository, made by a trigger. */
interface FingerprintRepositoryTable {
  repo_id: number
  /** Paths below it are in buckets, those from it on are not yet; null: all are. */
  built_to: string | null
}

/**
 * What the live rows from `lo` up to the next bucket's `lo` added up to at `folded_seq`. The first bucket of a repository begins at
 * the empty text. Sums leave 2^53: they are read as text.
 */
interface BucketTable {
  repo_id: number
  lo: string
  /** 1: it begins at a landmark (`landmarks.ts`). */
  landmark: number
  n: number
  /** Content lanes. */
  s0: number
  s1: number
  s2: number
  s3: number
  /** Metadata lanes. */
  t0: number
  t1: number
  t2: number
  t3: number
}
