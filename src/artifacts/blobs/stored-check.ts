import { createHash, type Hash } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'
import { type Digest, digestFromBytes } from '../../core/digest.ts'
import { hasCode } from '../../core/errors.ts'
import type { BlobStore } from '../../storage/blob-store.ts'

/** `DAMAGED`: the stored bytes are others than the digest says, or cannot be read. */
export type StoredFault = 'DAMAGED' | 'MISSING'

/** What one call found out. */
export interface CheckedPart {
  /** That many from the first on are known; another call goes on behind them, also within a large one. */
  readonly done: number
  /** Of those: which are not as they should be, by their place. */
  readonly wrong: readonly { readonly at: number; readonly fault: StoredFault }[]
  /** That were read. Nothing read and nothing done: too many are reading, come again. */
  readonly bytes: number
}

/** Reads stored bytes again and compares them with their digests. Changes nothing (the scrub does, `scrub.ts`). */
export interface StoredCheck {
  /** For a few seconds at most. @throws whatever the storage throws but for a blob that cannot be read. */
  check(digests: readonly Digest[], signal: AbortSignal): Promise<CheckedPart>
}

/** Others wait: reading takes the disk from whoever uploads and downloads. */
const AT_ONCE = 4
/** Of one call, and so between two words about how far it got. */
const SLICE_MS = 2_000
/** Large blobs that are known up to some place. */
const MAX_PAUSED = 32

interface Reading {
  readonly hash: Hash
  bytes: number
  /** Wrong bytes are read twice: a disk may have stumbled. */
  readonly attempt: 1 | 2
}
const begun = (attempt: Reading['attempt']): Reading => ({ hash: createHash('sha256'), bytes: 0, attempt })

export function createStoredCheck({
  store,
  clock,
}: {
  readonly store: Pick<BlobStore, 'open'>
  readonly clock: Pick<Clock, 'now'>
}): StoredCheck {
  const paused = new Map<Digest, Reading>()
  let active = 0

  function pause(digest: Digest, reading: Reading): void {
    const [oldest] = paused.keys()
    if (paused.size >= MAX_PAUSED) paused.delete(oldest!)
    paused.set(digest, reading)
  }

  /** @returns undefined: the time is over. */
  async function faultOf(digest: Digest, slice: Slice, signal: AbortSignal): Promise<StoredFault | 'NONE' | undefined> {
    let reading = paused.get(digest) ?? begun(1)
    paused.delete(digest)
    for (;;) {
      const { hash, bytes, attempt } = reading
      try {
        const range = bytes === 0 ? undefined : { start: bytes }
        for await (const chunk of await store.open(digest, range, signal)) {
          if (slice.isOver()) {
            pause(digest, reading)
            return undefined
          }
          hash.update(chunk as Buffer)
          reading.bytes += (chunk as Buffer).length
          slice.bytes += (chunk as Buffer).length
        }
        if (digestFromBytes(hash.digest()) === digest) return 'NONE'
      } catch (error) {
        if (hasCode(error, 'BLOB_UNKNOWN')) return 'MISSING'
        if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error
      }
      if (attempt === 2) return 'DAMAGED'
      reading = begun(2)
    }
  }

  return {
    async check(digests, signal) {
      if (active === AT_ONCE) return { done: 0, wrong: [], bytes: 0 }
      active++
      try {
        const until = clock.now() + SLICE_MS
        // However slow it is: each call gets on.
        const slice: Slice = { bytes: 0, isOver: () => slice.bytes > 0 && clock.now() >= until }
        const wrong: { at: number; fault: StoredFault }[] = []
        let done = 0
        for (; done < digests.length && !(done > 0 && slice.isOver()); done++) {
          signal.throwIfAborted()
          const fault = await faultOf(digests[done]!, slice, signal)
          if (fault === undefined) break
          if (fault !== 'NONE') wrong.push({ at: done, fault })
        }
        return { done, wrong, bytes: slice.bytes }
      } finally {
        active--
      }
    },
  }
}

interface Slice {
  bytes: number
  isOver(): boolean
}
