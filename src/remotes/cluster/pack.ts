import type { Readable } from 'node:stream'
import { type Digest, digestBytes, digestFromBytes } from '../../core/digest.ts'
import { AppError } from '../../core/errors.ts'

/** Body of `PUT /sync/v1/blobs/pack`: for each blob its 32-byte digest, its length as u32 big-endian, its bytes. */
export const PACK_HEADER_BYTES = 36

export function packHeader(digest: Digest, sizeBytes: number): Buffer {
  const header = Buffer.allocUnsafe(PACK_HEADER_BYTES)
  digestBytes(digest).copy(header, 0)
  header.writeUInt32BE(sizeBytes, 32)
  return header
}

/** What our own packs stay far below: 4 MiB of empty blobs would be 100,000 files to make. */
const MAX_BLOBS = 8_192

/**
 * Blobs of a pack as they arrive; one blob in memory at a time. The body is left as it is when reading stops before its end: the
 * edge still has to answer on its connection.
 * @throws AppError ARTIFACT_BROKEN when a blob is announced larger than `maxBytes`, there are too many, or the body ends inside one.
 */
export async function* readPack(body: Readable, maxBytes: number): AsyncIterable<{ digest: Digest; bytes: Buffer }> {
  let held: Buffer[] = []
  let heldBytes = 0
  let wanted = PACK_HEADER_BYTES
  let digest: Digest | undefined
  let blobs = 0
  for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    held.push(chunk)
    heldBytes += chunk.length
    while (heldBytes >= wanted) {
      const all = held.length === 1 ? held[0]! : Buffer.concat(held)
      const part = all.subarray(0, wanted)
      held = [all.subarray(wanted)]
      heldBytes = all.length - wanted
      if (digest === undefined) {
        if (++blobs > MAX_BLOBS) throw broken(`it holds more than ${MAX_BLOBS} blobs`)
        digest = digestFromBytes(part.subarray(0, 32))
        wanted = part.readUInt32BE(32)
        if (wanted > maxBytes)
          throw broken(`a blob of ${wanted} bytes is larger than the ${maxBytes} allowed in a pack`)
      } else {
        yield { digest, bytes: part }
        digest = undefined
        wanted = PACK_HEADER_BYTES
      }
    }
  }
  if (digest !== undefined || heldBytes > 0) throw broken('it ends inside a blob')
}

const broken = (why: string) =>
  new AppError('ARTIFACT_BROKEN', `The pack of blobs is broken: ${why}`, {}, { retryable: true })
