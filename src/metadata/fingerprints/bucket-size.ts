/** Rows of a bucket (sync.md B.2). */
export interface BucketSize {
  /** What a bucket has that is made by a scan or a split. */
  readonly target: number
  /** One with more is split. */
  readonly most: number
  /** One with fewer is merged with its neighbour. */
  readonly least: number
  /** A power of two: of so many rows one is a landmark (`landmarks.ts`). The same in every cluster, or their buckets fit less well. */
  readonly rowsPerLandmark: number
}
/** `most` is written in an index as well (migration 0011). */
export const BUCKET_SIZE: BucketSize = { target: 256, most: 512, least: 64, rowsPerLandmark: 1_024 }
