import type { Digest } from '../../core/digest.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import type { Contents } from '../delivery/contents.ts'
import { type BlobFailure, MISSING_HERE } from '../delivery/send-blobs.ts'

/** Of a batch: below, the bytes are there before the answer to a question would be. */
const UNASKED_BYTES = 256 * 1024

/** Small batches go without asking first what the target lacks. */
export function unasked(asking: Contents, store: BlobStore, inlineMaxBytes: number): Contents {
  return {
    async supply(blobs, signal) {
      const bytes = blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
      if (bytes > UNASKED_BYTES || blobs.some(({ sizeBytes }) => sizeBytes > inlineMaxBytes)) {
        return asking.supply(blobs, signal)
      }
      const inline = blobs.length === 0 ? new Map<Digest, Buffer>() : await store.readMany([...blobs], signal)
      const failed = new Map<Digest, BlobFailure>()
      for (const { digest, sizeBytes } of blobs) {
        if (inline.get(digest)?.length !== sizeBytes) failed.set(digest, MISSING_HERE)
      }
      return {
        inline,
        ours: new Set(inline.keys()),
        failed,
        elsewhere: new Map(),
        settle: () => undefined,
      }
    },
  }
}
