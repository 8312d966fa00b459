import { mapConcurrent } from '../../core/concurrency.ts'
import type { Digest } from '../../core/digest.ts'
import type { BlobStore } from '../../storage/blob-store.ts'

const LOOKS_AT_ONCE = 16

/** "Have you got these, and are the bytes there?": what the rows say, and a look at the storage for each that they know. */
export function createMissingInStorage(
  store: Pick<BlobStore, 'find'>,
  missing: (digests: readonly Digest[]) => Promise<Buffer>,
) {
  return async (digests: readonly Digest[], signal: AbortSignal): Promise<Buffer> => {
    const bits = await missing(digests)
    const look = async (n: number, stop: AbortSignal) => {
      const bit = 0x80 >> (n & 7)
      if ((bits[n >> 3]! & bit) === 0 && (await store.find(digests[n]!, stop)) === undefined) bits[n >> 3]! |= bit
    }
    await mapConcurrent([...digests.keys()], LOOKS_AT_ONCE, look, signal)
    return bits
  }
}
