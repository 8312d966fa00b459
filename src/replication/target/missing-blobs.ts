import { setImmediate as yieldThread } from 'node:timers/promises'
import type { Clock } from '../../core/clock.ts'
import type { Digest } from '../../core/digest.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { touchBlobs, touchesOf } from '../../metadata/storage/blobs.ts'

interface MissingBlobsDeps {
  readonly db: MetadataDatabase
  readonly clock: Pick<Clock, 'now'>
  /** Of the collection. */
  readonly graceMs: number
}

/** Digests that are looked up in one go: a millisecond or two of this thread. */
const LOOKED_UP_AT_ONCE = 500

/**
 * "Have you got these?": answered so that the source can refer to them afterwards. A row that was touched within the last quarter
 * of the grace time is kept long enough as it is, and not written again.
 */
export function createMissingBlobs({ db, clock, graceMs }: MissingBlobsDeps) {
  async function here(digests: readonly Digest[]): Promise<Pick<ReadonlySet<Digest>, 'has'>> {
    const now = clock.now()
    const touches = await touchesOf(db.read, digests)
    const stale = digests.filter((digest) => (touches.get(digest) ?? now) <= now - graceMs / 4)
    if (stale.length === 0) return touches
    const kept = await db.transact((trx) => touchBlobs(trx, stale, now))
    for (const digest of stale) if (!kept.has(digest)) touches.delete(digest)
    return touches
  }

  /** @returns bit `n` (most significant first) is 1 when the bytes of digest `n` are not here. */
  return async function missing(digests: readonly Digest[]): Promise<Buffer> {
    const bits = Buffer.alloc(Math.ceil(digests.length / 8))
    for (let at = 0; at < digests.length; at += LOOKED_UP_AT_ONCE) {
      if (at > 0) await yieldThread()
      const slice = digests.slice(at, at + LOOKED_UP_AT_ONCE)
      const found = await here(slice)
      for (const [index, digest] of slice.entries()) {
        const n = at + index
        if (!found.has(digest)) bits[n >> 3]! |= 0x80 >> (n & 7)
      }
    }
    return bits
  }
}
