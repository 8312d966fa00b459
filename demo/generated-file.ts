import { createCipheriv } from 'node:crypto'
import { Readable } from 'node:stream'
import type { Content } from '../test/helpers/api.ts'

const CHUNK_BYTES = 1024 * 1024

/** Bytes that do not compress and are the same for the same seed (0 to 255), made while they are read. */
export function generatedFile(sizeBytes: number, seed: number): Exclude<Content, Buffer> {
  return {
    sizeBytes,
    open: () => Readable.from(chunks(sizeBytes, seed), { objectMode: false, highWaterMark: CHUNK_BYTES }),
  }
}

function* chunks(sizeBytes: number, seed: number): Generator<Buffer> {
  // The key stream of AES in counter mode is a fast source of bytes without a pattern.
  const stream = createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16))
  const zeros = Buffer.alloc(CHUNK_BYTES)
  for (let left = sizeBytes; left > 0; left -= CHUNK_BYTES) {
    yield stream.update(left < CHUNK_BYTES ? zeros.subarray(0, left) : zeros)
  }
}
