import type { FileHandle } from 'node:fs/promises'
import { unlessAborted } from '../../core/unless-aborted.ts'
import { createRunningHashes, type HashName, type HashValues, type RunningHashes } from '../running-hashes.ts'
import { fileSlices } from './file-slices.ts'
import type { FileHash, HashThread } from './hash-thread.ts'

/** Files up to this size are hashed on this thread, while their bytes are at hand. */
export const NEAR_BYTES = 1024 * 1024
/** Asked of the thread at once: some 20 ms, after which it is another file's turn. */
const TURN_BYTES = 8 * 1024 * 1024

/**
 * The hashes of a file that grows at its end. Those of a small file come from its chunks as they pass; those of a large one are
 * made in a thread, from the file, behind the writer (docs/design/blobs.md).
 */
export interface GrowingHash {
  /** How many bytes are in it, or are asked for. */
  readonly reached: number
  /** Bytes are written at `offset`. */
  follow(chunk: Buffer, offset: number): void
  /**
   * The file has so many bytes, which may be hashed from it meanwhile. Resolves when they are. @throws when it cannot be read:
   * then all begins again.
   */
  reach(file: FileHandle, length: number): Promise<void>
  /** Bytes from `length` on are void, or will be others. */
  cut(length: number): void
  /** Of all `length` bytes of the file. What is missing is read. */
  values(file: FileHandle, length: number, signal: AbortSignal): Promise<HashValues>
  /** It ends here. Resolves when nobody reads the file any more. */
  end(): Promise<void>
}

/** @param expected how large the file will be, when that is known. */
export function createGrowingHash(thread: HashThread, names: readonly HashName[], expected = 0): GrowingHash {
  /** Undefined: it is the thread's. */
  let near: RunningHashes | undefined = expected > NEAR_BYTES ? undefined : createRunningHashes(names)
  let far: FileHash | undefined
  let hashed = 0
  let wanted = 0
  let reading: Promise<void> | undefined
  let isOver = false

  function startOver(): void {
    far?.drop()
    far = undefined
    hashed = 0
    wanted = 0
    near = createRunningHashes(names)
  }
  function leaveToThread(): void {
    if (near === undefined) return
    near = undefined
    hashed = 0
  }
  async function readOn(file: FileHandle): Promise<void> {
    while (hashed < wanted && !isOver) {
      far ??= thread.begin(names)
      const asked = far
      const to = Math.min(wanted, hashed + TURN_BYTES)
      try {
        await asked.read(file, hashed, to)
        if (far === asked) hashed = to
      } catch (error) {
        // What was started over meanwhile may well be shorter.
        if (far !== asked) continue
        startOver()
        throw error
      }
    }
  }
  async function reach(file: FileHandle, length: number): Promise<void> {
    wanted = Math.max(wanted, length)
    if (wanted > NEAR_BYTES) leaveToThread()
    if (near !== undefined) return
    while (hashed < Math.min(length, wanted) && !isOver) {
      reading ??= readOn(file).finally(() => {
        reading = undefined
      })
      await reading
    }
  }
  async function catchUp(hashes: RunningHashes, file: FileHandle, length: number, signal: AbortSignal): Promise<void> {
    if (hashed >= length) return
    for await (const slice of fileSlices(file, { offset: hashed, sizeBytes: length - hashed })) {
      signal.throwIfAborted()
      hashes.update(slice)
      hashed += slice.length
    }
  }

  return {
    get reached() {
      return Math.max(hashed, wanted)
    },
    follow(chunk, offset) {
      if (near === undefined || offset !== hashed) return
      if (hashed + chunk.length > NEAR_BYTES) return leaveToThread()
      near.update(chunk)
      hashed += chunk.length
    },
    reach,
    cut(length) {
      if (Math.max(hashed, wanted) > length) startOver()
    },
    async values(file, length, signal) {
      if (near !== undefined && length <= NEAR_BYTES) {
        await catchUp(near, file, length, signal)
        return near.values()
      }
      // A failure while others waited is forgotten: the same bytes are read again.
      await unlessAborted(
        reach(file, length).catch(() => reach(file, length)),
        signal,
      )
      try {
        far ??= thread.begin(names)
        return await far.values(length)
      } catch (error) {
        startOver()
        throw error
      }
    },
    async end() {
      isOver = true
      await reading?.catch(() => {})
      far?.drop()
    },
  }
}
