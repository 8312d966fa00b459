import { open } from 'node:fs/promises'
import type { Digest } from '../../core/digest.ts'
import type { UploadLayout } from '../upload-spool.ts'
import { createGrowingHash, NEAR_BYTES } from './growing-hash.ts'
import type { HashThread } from './hash-thread.ts'
import { partAt } from './upload-notes.ts'

/**
 * SHA-256 over the parts of an upload in their order, as far as they are there without a gap: read from the file, which still lies
 * in the page cache as a rule, while other parts arrive.
 */
export interface PrefixHash {
  /** The part is durable. */
  finished(part: number): void
  /** The bytes of the part are about to change. */
  forget(part: number): void
  /** All parts are finished and none will change: hashes what is left. */
  digest(signal: AbortSignal): Promise<Digest>
  /** Ends the reading in the background. */
  stop(): Promise<void>
}

export interface HashedUpload {
  readonly path: string
  readonly layout: UploadLayout
  /** Parts that were finished before. */
  readonly done: readonly boolean[]
  readonly hashing: HashThread
}

export function createPrefixHash({ path, layout, done, hashing }: HashedUpload): PrefixHash {
  const { sizeBytes } = layout
  const finished = new Set(done.flatMap((isDone, part) => (isDone ? [part] : [])))
  const hash = createGrowingHash(hashing, ['sha256'], sizeBytes)
  /** The first part that is missing. */
  let next = 0
  let reading: Promise<void> | undefined

  function prefixBytes(): number {
    while (finished.has(next)) next++
    return Math.min(next * layout.partSizeBytes, sizeBytes)
  }
  async function readOn(): Promise<void> {
    await using file = await open(path, 'r')
    for (let length = 0; length < prefixBytes(); ) {
      length = prefixBytes()
      await hash.reach(file, length)
    }
  }

  return {
    finished(part) {
      finished.add(part)
      if (sizeBytes <= NEAR_BYTES || prefixBytes() <= hash.reached) return
      // An error here is not lost: `digest` comes to the same bytes and says it.
      reading ??= readOn()
        .catch(() => {})
        .finally(() => {
          reading = undefined
        })
    },
    forget(part) {
      finished.delete(part)
      if (part >= next) return
      next = part
      hash.cut(partAt(layout, part).offset)
    },
    async digest(signal) {
      await reading
      await using file = await open(path, 'r')
      const { sha256 } = await hash.values(file, sizeBytes, signal)
      return `sha256:${sha256}` as Digest
    },
    async stop() {
      await hash.end()
      await reading
    },
  }
}
