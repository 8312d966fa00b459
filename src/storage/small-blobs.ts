import { hash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { type Digest, digestFromBytes } from '../core/digest.ts'
import { AppError } from '../core/errors.ts'
import type { BlobStore } from './blob-store.ts'

/** Whole contents of small blobs. Those that were read lately are kept in memory: a digest's bytes never change. */
export interface SmallBlobs {
  /** Up to this size; larger ones are for their reader alone. */
  readonly maxBlobBytes: number
  /**
   * The bytes, which hash to the digest: checked when they come from the store.
   * @throws AppError BLOB_UNKNOWN; DIGEST_MISMATCH when the store holds something else.
   */
  read(digest: Digest, sizeBytes: number, signal: AbortSignal): Promise<Buffer> | Buffer
  /** Content that was stored just now and is about to be read. Only when it hashes to the digest; the bytes stay the caller's. */
  remember(digest: Digest, bytes: Buffer): void
}

/** Larger ones would soon drive out all the others, and hashing them costs more than reading them. */
const MAX_BLOB_BYTES = 16 * 1024

export function createSmallBlobs(store: Pick<BlobStore, 'open' | 'readMany'>, capacityBytes: number): SmallBlobs {
  /** In order of their last use. */
  const kept = new Map<Digest, Buffer>()
  let keptBytes = 0

  function keep(digest: Digest, bytes: Buffer): void {
    if (bytes.length > capacityBytes || kept.has(digest)) return
    kept.set(digest, bytes)
    keptBytes += bytes.length
    for (const [oldest, { length }] of kept) {
      if (keptBytes <= capacityBytes) break
      kept.delete(oldest)
      keptBytes -= length
    }
  }
  async function readStream(digest: Digest, sizeBytes: number, signal: AbortSignal): Promise<Buffer> {
    const stream = await store.open(digest, { start: 0, end: sizeBytes }, signal)
    // A copy of its own: what the stream gave may be a slice of a larger piece of memory.
    return Buffer.from(await buffer(stream))
  }
  async function load(digest: Digest, sizeBytes: number, signal: AbortSignal): Promise<Buffer> {
    // Without a stream when all is well: that would cost more than the read. What is wrong or missing, the store says then.
    const [whole] = (await store.readMany([{ digest, sizeBytes }], signal)).values()
    const bytes = whole ?? (await readStream(digest, sizeBytes, signal))
    if (digestFromBytes(hash('sha256', bytes, 'buffer')) !== digest) {
      throw new AppError('DIGEST_MISMATCH', `The stored bytes of ${digest} hash to something else`, { digest })
    }
    keep(digest, bytes)
    return bytes
  }
  return {
    maxBlobBytes: MAX_BLOB_BYTES,
    read(digest, sizeBytes, signal) {
      const bytes = kept.get(digest)
      if (bytes === undefined) return load(digest, sizeBytes, signal)
      kept.delete(digest)
      kept.set(digest, bytes)
      return bytes
    },
    remember(digest, bytes) {
      if (bytes.length <= MAX_BLOB_BYTES) keep(digest, Buffer.from(bytes))
    },
  }
}
