import { Readable } from 'node:stream'
import type { Digest } from '../../core/digest.ts'
import { AppError } from '../../core/errors.ts'
import { pulledFrom } from '../../core/pull-source.ts'
import type { BlobStore, ByteRange, PackPlace } from '../blob-store.ts'
import type { SegmentIndex } from '../segments/segment-index.ts'
import { collectBytes } from './collected-bytes.ts'
import { createMemorySegmentIndex } from './segment-index.ts'

/** Packed contents, by segment and offset. */
export type MemorySegments = Map<number, Map<number, Buffer>>

const OWNER = 'memory'

/**
 * For tests. `blobs` is what is published, so that a second store on the same maps is the first one after a restart. Contents that
 * rows of a database are to name need its index.
 */
export function createMemoryBlobStore(
  blobs = new Map<Digest, Buffer>(),
  index: SegmentIndex = createMemorySegmentIndex(),
  segments: MemorySegments = new Map(),
): BlobStore {
  let opening: Promise<number> | undefined
  let current: number | undefined

  async function packed(digest: Digest): Promise<Buffer | undefined> {
    const place = (await index.placesOf([digest])).get(digest)
    return place && segments.get(place.segment)?.get(place.offset)
  }
  async function open(digest: Digest, range: ByteRange | undefined, signal: AbortSignal): Promise<Readable> {
    signal.throwIfAborted()
    const bytes = blobs.get(digest) ?? (await packed(digest))
    if (bytes === undefined) throw new AppError('BLOB_UNKNOWN', `Blob [${digest}] is not in the store`, { digest })
    const wanted = range === undefined ? bytes : bytes.subarray(range.start, range.end)
    return Readable.from(wanted.length === 0 ? [] : [wanted], { objectMode: false, signal })
  }
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

    async putMany(contents, signal) {
      signal.throwIfAborted()
      if (contents.length === 0) return []
      opening ??= index.begin(OWNER)
      const segment = await opening
      current = segment
      const records = segments.get(segment) ?? new Map<number, Buffer>()
      segments.set(segment, records)
      let end = [...records].reduce((last, [offset, { length }]) => Math.max(last, offset + length), 0)
      return contents.map(({ bytes }): PackPlace => {
        // One byte between two, so that empty ones have places of their own.
        const offset = end + 1
        records.set(offset, Buffer.from(bytes))
        end = offset + bytes.length
        return { segment, owner: OWNER, offset }
      })
    },

    leaveSegment({ segment }) {
      if (segment === current) opening = undefined
    },

    async readMany(wanted, signal) {
      signal.throwIfAborted()
      const found = new Map<Digest, Buffer>()
      for (const { digest, sizeBytes } of wanted) {
        const bytes = blobs.get(digest) ?? (await packed(digest))
        if (bytes?.length === sizeBytes) found.set(digest, Buffer.from(bytes))
      }
      return found
    },

    open,
    pull: async (digest, range, signal) => pulledFrom(await open(digest, range, signal)),

    async find(digest, signal) {
      signal.throwIfAborted()
      const bytes = blobs.get(digest) ?? (await packed(digest))
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

    async *listSegments(signal) {
      for (const [segment, records] of segments) {
        signal.throwIfAborted()
        const sizeBytes = [...records.values()].reduce((sum, { length }) => sum + length, 0)
        yield { segment, owner: OWNER, sizeBytes }
      }
    },

    async removeSegment({ segment }) {
      segments.delete(segment)
    },
  }
}
