import type { Random } from '../../src/core/ids.ts'
import type { Content } from './api.ts'
import { seededBytes, seededDigest, seededStream } from './blobs.ts'

export interface SoakSize {
  readonly smallFiles: number
  readonly largeFiles: number
  readonly largeBytes: number
}
export interface SoakFile {
  readonly path: string
  readonly sha256: string
  /** Made when it is sent: all of them at once would be most of our memory. */
  content(): Content
}
/** What a long run moves, the same for the same numbers. */
export interface SoakContent {
  readonly files: readonly SoakFile[]
  /** Bytes of different contents up to 60 KiB, which travel on streams; those above travel in parts. */
  readonly smallBytes: number
  readonly largeBytes: number
}

const MOST_SMALL_BYTES = 60 * 1024
/** Of a file that is not empty: fewer would be equal by accident. */
const LEAST_BYTES = 8
/** One of so many small files has the content of an earlier one. */
const DUPLICATE_EVERY = 20
const FILES_PER_FOLDER = 250

export function soakContent(size: SoakSize, random: Random): SoakContent {
  const below = (limit: number) => Math.floor(random.next() * limit)
  const seeds: { readonly seed: number; readonly sizeBytes: number }[] = []
  let smallBytes = 0
  for (let n = 0; n < size.smallFiles; n++) {
    const earlier = n > 0 && below(DUPLICATE_EVERY) === 0 ? seeds[below(n)] : undefined
    const sizeBytes = n === 0 ? 0 : LEAST_BYTES + below(MOST_SMALL_BYTES - LEAST_BYTES)
    seeds.push(earlier ?? { seed: n, sizeBytes })
    if (earlier === undefined) smallBytes += sizeBytes
  }
  const small = seeds.map(({ seed, sizeBytes }, n) => ({
    path: `/small/${Math.floor(n / FILES_PER_FOLDER)}/file ${n}.bin`,
    sha256: hexOf(seed, sizeBytes),
    content: () => seededBytes(seed, sizeBytes),
  }))
  const large = Array.from({ length: size.largeFiles }, (_, n) => {
    const seed = size.smallFiles + n
    const sizeBytes = size.largeBytes + n
    return {
      path: `/large/${n}.bin`,
      sha256: hexOf(seed, sizeBytes),
      content: () => ({ sizeBytes, open: () => seededStream(seed, sizeBytes) }),
    }
  })
  const largeBytes = large.reduce((sum, { content }) => sum + content().sizeBytes, 0)
  return { files: [...large, ...small], smallBytes, largeBytes }
}

const hexOf = (seed: number, sizeBytes: number): string => seededDigest(seed, sizeBytes).replace('sha256:', '')
