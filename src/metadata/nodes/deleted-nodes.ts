import { digestFromBytes } from '../../core/digest.ts'
import type { Transaction } from '../database.ts'
import { anyOf } from '../sql/any-of.ts'
import { touchBlobs } from '../storage/blobs.ts'

/**
 * Removes rows of nodes that were deleted before `deletedBefore`, for good, the oldest first. Their blobs count as touched now,
 * so that the grace time begins when the last way to them is gone. @returns how many rows; fewer than `limit`: none is left.
 */
export async function purgeNodes(trx: Transaction, deletedBefore: number, limit: number, now: number): Promise<number> {
  const oldest = await trx
    .selectFrom('node')
    .select('id')
    .where('deleted_at', 'is not', null)
    .where('deleted_at', '<', deletedBefore)
    .orderBy('deleted_at')
    .limit(limit)
    .execute()
  if (oldest.length === 0) return 0
  const ids = oldest.map(({ id }) => id)
  const gone = await trx
    .deleteFrom('node')
    .where(anyOf(trx, 'id', ids))
    .where('deleted_at', 'is not', null)
    .returning('sha256')
    .execute()
  const digests = new Set(gone.flatMap(({ sha256 }) => (sha256 === null ? [] : [digestFromBytes(sha256)])))
  await touchBlobs(trx, [...digests], now)
  return oldest.length
}
