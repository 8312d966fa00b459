import { addSums } from '../../core/fingerprint.ts'
import type { BucketSize } from './bucket-size.ts'
import type { Bucket } from './buckets.ts'

/**
 * Neighbours put together until none is small, as far as the sum stays near the target.
 * @param buckets one after the other, of one repository.
 * @returns what they become, in the same order; buckets that stay as they are are the same objects.
 */
export function planMerges(buckets: readonly Bucket[], { target, least }: BucketSize): Bucket[] {
  const merged: Bucket[] = []
  for (const bucket of buckets) {
    const last = merged.at(-1)
    const isSmall = last !== undefined && (last.sum.rows < least || bucket.sum.rows < least)
    // A landmark goes only when hardly anything is left around it.
    if (isSmall && last.sum.rows + bucket.sum.rows <= (bucket.landmark ? least : target)) {
      merged[merged.length - 1] = { ...last, sum: addSums(last.sum, bucket.sum) }
    } else merged.push(bucket)
  }
  return merged
}
