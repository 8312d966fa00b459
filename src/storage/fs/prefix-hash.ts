import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { type Digest, digestFromBytes } from '../../core/digest.ts'
import type { UploadLayout } from '../upload-spool.ts'
import { partAt, partCount } from './upload-notes.ts'

/** Hashed in one go on the main thread: half a millisecond. */
const SLICE_BYTES = 1024 * 1024

/**
 * SHA-256 over the parts of an upload in their order, as far as they are there without a gap. The part that is next in order is
 * hashed while it arrives; one that came too early is read again from the file, which still lies in the page cache as a rule.
 */
export interface PrefixHash {
  /** What to feed with the bytes of a part while they arrive; undefined: the part is not next, it will be read again. */
  follow(part: number): FollowedPart | undefined
  /** The part is durable. `followed` is what `follow` gave, its hash fed with all bytes of the part. */
  finished(part: number, followed: FollowedPart | undefined): void
  /** The bytes of the part are about to change. */
  forget(part: number): void
  /** All parts are finished and none will change: hashes what is left. */
  digest(signal: AbortSignal): Promise<Digest>
  /** Ends the reading in the background. */
  stop(): Promise<void>
}

export interface FollowedPart {
  readonly hash: Hash
  /** Of the bytes before the part. */
  readonly generation: number
}

/** @param done parts that were finished before. */
export function createPrefixHash(path: string, layout: UploadLayout, done: readonly boolean[]): PrefixHash {
  const finished = new Set(done.flatMap((isDone, part) => (isDone ? [part] : [])))
  let hash = createHash('sha256')
  /** The first part that is not in `hash`. */
  let next = 0
  /** Grows when bytes change that were hashed, or are being hashed: that is void. */
  let generation = 0
  let reading: Promise<void> | undefined
  let stopped = false

  async function hashNext(file: FileHandle, signal: AbortSignal | undefined): Promise<void> {
    const begun = generation
    const longer = hash.copy()
    for await (const slice of slicesOf(file, partAt(layout, next))) {
      signal?.throwIfAborted()
      if (stopped || generation !== begun) return
      longer.update(slice)
    }
    hash = longer
    next++
  }
  async function readOn(isWanted: () => boolean, signal: AbortSignal | undefined): Promise<void> {
    await using file = await open(path, 'r')
    while (isWanted() && !stopped) await hashNext(file, signal)
  }
  function readInBackground(): void {
    if (reading !== undefined || !finished.has(next)) return
    // An error here is not lost: `digest` comes to the same bytes and says it.
    reading = readOn(() => finished.has(next), undefined)
      .catch(() => {})
      .finally(() => {
        reading = undefined
      })
  }

  return {
    follow: (part) => (part === next && reading === undefined ? { hash: hash.copy(), generation } : undefined),
    finished(part, followed) {
      finished.add(part)
      if (followed?.generation === generation && part === next && reading === undefined) {
        hash = followed.hash
        next++
      }
      readInBackground()
    },
    forget(part) {
      finished.delete(part)
      if (part > next) return
      generation++
      if (part === next) return
      hash = createHash('sha256')
      next = 0
    },
    async digest(signal) {
      await reading
      if (next < partCount(layout)) await readOn(() => next < partCount(layout), signal)
      return digestFromBytes(hash.copy().digest())
    },
    async stop() {
      stopped = true
      await reading
    },
  }
}

/** The bytes of a part; the next slice is read while the caller hashes the one before. */
async function* slicesOf(file: FileHandle, { offset, sizeBytes }: { offset: number; sizeBytes: number }) {
  const buffers = [Buffer.allocUnsafe(SLICE_BYTES), Buffer.allocUnsafe(SLICE_BYTES)] as const
  const end = offset + sizeBytes
  const read = (at: number, turn: number) =>
    file.read(buffers[turn % 2 === 0 ? 0 : 1], 0, Math.min(SLICE_BYTES, end - at), at)
  let reading = read(offset, 0)
  try {
    for (let at = offset, turn = 0; at < end; turn++) {
      const { buffer, bytesRead } = await reading
      if (bytesRead === 0) throw new Error('An upload is shorter than its parts')
      at += bytesRead
      if (at < end) reading = read(at, turn + 1)
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    // The file is closed next, also when the caller leaves early.
    await reading.catch(() => {})
  }
}
