import type { Readable } from 'node:stream'
import { type Digest, digestOfBytes } from '../../core/digest.ts'
import { AppError } from '../../core/errors.ts'
import type { BlobStore, ByteRange } from '../../storage/blob-store.ts'
import { giveBytes } from '../../storage/given-chunks.ts'
import type { SmallBlobs } from '../../storage/small-blobs.ts'
import { exactLength } from './exact-length.ts'

/** Small files come as they are: a stream costs more than they do. */
export type FileBody = Readable | Buffer
export interface StoredContent {
  readonly digest: Digest
  readonly sizeBytes: number
}

/** Stored bytes, whatever they are called. */
export interface ContentReads {
  /** The caller consumes or destroys a stream. @throws AppError BLOB_UNKNOWN, DIGEST_MISMATCH. */
  open(content: StoredContent, range: ByteRange | undefined, signal: AbortSignal): Promise<FileBody>
  /** What `open` would find, for answers without a body. @throws AppError BLOB_UNKNOWN. */
  check(content: StoredContent, signal: AbortSignal): Promise<void>
}

/** A stream over an open file costs as much as sending so many bytes. */
const AT_ONCE_BYTES = 256 * 1024
/** Blobs up to this size are sent only when they are right (docs/design/blobs.md, "Scrub"). */
const VERIFIED_BYTES = 64 * 1024

export function createContentReads({
  blobs,
  smallBlobs,
}: {
  readonly blobs: BlobStore
  readonly smallBlobs: SmallBlobs
}): ContentReads {
  async function readAtOnce(digest: Digest, range: ByteRange | undefined, length: number, signal: AbortSignal) {
    await using source = await blobs.pull(digest, range, signal)
    // One byte more than there should be tells a longer content.
    const bytes = Buffer.allocUnsafeSlow(length + 1)
    const count = await source.read(bytes, signal)
    if (count === length) return bytes.subarray(0, length)
    throw new AppError('DIGEST_MISMATCH', `The stored bytes of ${digest} are not as many as they were`, { digest })
  }
  async function readVerified(digest: Digest, sizeBytes: number, signal: AbortSignal): Promise<Buffer> {
    const [whole] = (await blobs.readMany([{ digest, sizeBytes }], signal)).values()
    const bytes = whole ?? (await readAtOnce(digest, undefined, sizeBytes, signal))
    if (whole !== undefined || digestOfBytes(bytes) === digest) return bytes
    throw new AppError('DIGEST_MISMATCH', `The stored bytes of ${digest} hash to something else`, { digest })
  }
  return {
    async open({ digest, sizeBytes }, range, signal) {
      if (sizeBytes <= smallBlobs.maxBlobBytes)
        return (await smallBlobs.read(digest, sizeBytes, signal)).subarray(range?.start, range?.end)
      const length = range === undefined ? sizeBytes : (range.end ?? sizeBytes) - range.start
      if (sizeBytes <= VERIFIED_BYTES) {
        return giveBytes((await readVerified(digest, sizeBytes, signal)).subarray(range?.start, range?.end))
      }
      if (length <= AT_ONCE_BYTES) return giveBytes(await readAtOnce(digest, range, length, signal))
      return exactLength(await blobs.open(digest, range, signal), length)
    },
    async check({ digest }, signal) {
      if ((await blobs.find(digest, signal)) === undefined) {
        throw new AppError('BLOB_UNKNOWN', `The content ${digest} is missing`, { digest })
      }
    },
  }
}
