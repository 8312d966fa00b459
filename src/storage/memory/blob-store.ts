import { Readable } from 'node:stream'
import type { Digest } from '../../core/digest.ts'
import { AppError } from '../../core/errors.ts'
import type { BlobStore } from '../blob-store.ts'
import { collectBytes } from './collected-bytes.ts'

/** For tests. `blobs` is what is published, so that a second store on the same map is the first one after a restart. */
export function createMemoryBlobStore(blobs = new Map<Digest, Buffer>()): BlobStore {
  return {
    capabilities: { presignedUrl: false },

    async receive(source, options, signal) {
      const { bytes, digests } = await collectBytes(source, options, signal)
      return {
        ...digests,
        sizeBytes: bytes.length,
        async publish(publishSignal) {
          publishSignal.throwIfAborted()
          blobs.set(digests.digest, bytes)
        },
        async [Symbol.asyncDispose]() {},
      }
    },

    async open(digest, range, signal) {
      signal.throwIfAborted()
      const bytes = blobs.get(digest)
      if (bytes === undefined) throw new AppError('BLOB_UNKNOWN', `Blob [${digest}] is not in the store`, { digest })
      const wanted = range === undefined ? bytes : bytes.subarray(range.start, range.end)
      return Readable.from(wanted.length === 0 ? [] : [wanted], { objectMode: false, signal })
    },

    async find(digest, signal) {
      signal.throwIfAborted()
      const bytes = blobs.get(digest)
      return bytes === undefined ? undefined : { digest, sizeBytes: bytes.length }
    },

    async *list(signal) {
      for (const digest of [...blobs.keys()].sort()) {
        signal.throwIfAborted()
        const bytes = blobs.get(digest)
        if (bytes !== undefined) yield { digest, sizeBytes: bytes.length }
      }
    },

    async delete(digest, signal) {
      signal.throwIfAborted()
      blobs.delete(digest)
    },

    async quarantine(digest, signal) {
      signal.throwIfAborted()
      blobs.delete(digest)
    },
  }
}
