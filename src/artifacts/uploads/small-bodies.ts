import type { Readable } from 'node:stream'
import { refuseLonger, refuseShorter } from '../../storage/announced-size.ts'
import { readChunks } from '../../storage/chunk-reader.ts'
import { type ContentDigests, contentDigestsOf, type HashOptions } from '../../storage/content-hashes.ts'
import type { FileUpload } from './file-placement.ts'

/** Files up to this size lie in segments together (sync design B.5). */
export const SMALL_BYTES = 64 * 1024
/** Of bodies in memory at one time; more are taken in by way of the disk. */
const MOST_MEMORY_BYTES = 16 * 1024 * 1024

/** Memory that is set aside for one body until it is disposed. */
export interface SmallBody extends Disposable {
  /** @throws as `readChunks`; AppError ARTIFACT_BROKEN when it is longer or shorter than announced. */
  read(source: Readable, hashed: HashOptions, signal: AbortSignal): Promise<SmallContent>
}
export type SmallContent = ContentDigests & { readonly bytes: Buffer }

export interface SmallBodies {
  /** Undefined: its size is not announced or not small, it waits for an invitation, or there is no memory left. */
  reserve(announced: Pick<FileUpload, 'sizeBytes' | 'sending'>): SmallBody | undefined
}

export function createSmallBodies(): SmallBodies {
  let reserved = 0
  return {
    reserve({ sizeBytes: announcedBytes, sending }) {
      if (announcedBytes === undefined || announcedBytes > SMALL_BYTES || sending === 'when-invited') return undefined
      if (reserved + announcedBytes > MOST_MEMORY_BYTES) return undefined
      reserved += announcedBytes
      return {
        read: (source, hashed, signal) => readSmall(source, announcedBytes, hashed, signal),
        [Symbol.dispose]() {
          reserved -= announcedBytes
        },
      }
    },
  }
}

async function readSmall(
  source: Readable,
  announcedBytes: number,
  hashed: HashOptions,
  signal: AbortSignal,
): Promise<SmallContent> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  const take = (chunk: Buffer) => {
    sizeBytes += chunk.length
    refuseLonger(sizeBytes, announcedBytes)
    chunks.push(chunk)
    return undefined
  }
  await readChunks(source, take, signal)
  refuseShorter(sizeBytes, announcedBytes)
  const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
  return { ...contentDigestsOf(bytes, hashed), bytes }
}
