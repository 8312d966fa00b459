import { createCipheriv, createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { SentFile } from '../demo/upload.ts'
import type { Content } from '../test/helpers/api.ts'

const BLOCK_BYTES = 1024 * 1024
/** Different blocks that a large file repeats: making bytes must not cost the sender anything while we measure. */
const BLOCKS = 32

/** A file together with what both sides must hold at the end. */
export interface BenchFile {
  readonly expected: SentFile
  readonly content: Content
}

/** Bytes without a pattern, the same for the same seed. */
export function patternless(sizeBytes: number, seed: number): Buffer {
  const key = createHash('sha256').update(`entrepot bench ${seed}`).digest().subarray(0, 16)
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes))
}

export function largeFile(path: string, sizeBytes: number, seed: number): BenchFile {
  const blocks = Array.from({ length: BLOCKS }, (_, index) => patternless(BLOCK_BYTES, seed * BLOCKS + index))
  function* chunks(): Generator<Buffer> {
    for (let at = 0, left = sizeBytes; left > 0; at++, left -= BLOCK_BYTES) {
      yield blocks[at % BLOCKS]!.subarray(0, Math.min(left, BLOCK_BYTES))
    }
  }
  const hash = createHash('sha256')
  for (const chunk of chunks()) hash.update(chunk)
  const content = { sizeBytes, open: () => Readable.from(chunks(), { objectMode: false, highWaterMark: BLOCK_BYTES }) }
  return { expected: { path, sizeBytes, sha256: hash.digest('hex'), metadata: {} }, content }
}

/** `count` different files of `sizeBytes`, spread over folders of 100. */
export function smallFiles(count: number, sizeBytes: number, seed: number): BenchFile[] {
  const all = patternless(count * sizeBytes, seed)
  return Array.from({ length: count }, (_, index) => {
    const content = all.subarray(index * sizeBytes, (index + 1) * sizeBytes)
    const path = `/small/${String(Math.floor(index / 100)).padStart(4, '0')}/${String(index).padStart(6, '0')}.bin`
    const sha256 = createHash('sha256').update(content).digest('hex')
    return { expected: { path, sizeBytes, sha256, metadata: {} }, content }
  })
}
