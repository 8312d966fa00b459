import { type OpenData, readInto } from './data-object.ts'
import type { EntryPlace } from './entry.ts'
import { FRAME_BYTES, frameBytes, frameOverhead, sealedBytes } from './frame.ts'
import { SLOT_BYTES } from './frame-threads.ts'
import { brokenObject } from './object-seal.ts'

/** A frame as it is stored, in a slot of some memory. */
export interface StoredFrame {
  readonly from: number
  readonly length: number
  readonly position: 'more' | 'last'
}

/** The frames of one entry, read one after another. */
export interface StoredFrames {
  /** Reads the next into a slot of the memory; undefined after the last. The slot before must still be as it was. @throws AppError ARTIFACT_BROKEN. */
  next(slot: number, signal: AbortSignal): Promise<StoredFrame | undefined>
}

export function createStoredFrames({ seal, reader }: OpenData, place: EntryPlace, memory: Buffer): StoredFrames {
  const end = place.offset + place.storedBytes
  const longest = sealedBytes(seal, FRAME_BYTES)
  let at = place.offset
  /** Of what was read beyond the frame before; frames that were compressed are shorter than could be foreseen. */
  let [restFrom, restLength] = [0, 0]
  return {
    async next(slot, signal) {
      if (at >= end) return undefined
      const from = slot * SLOT_BYTES
      const wanted = Math.min(longest, end - at)
      memory.copy(memory, from, restFrom, restFrom + restLength)
      await readInto(reader, memory.subarray(from + restLength, from + wanted), at + restLength, signal)
      if (wanted < frameOverhead(seal)) throw brokenObject('an entry ends early')
      const length = frameBytes(seal, memory.subarray(from))
      if (length > wanted) throw brokenObject('a frame is longer than there are bytes')
      ;[restFrom, restLength] = [from + length, wanted - length]
      at += length
      return { from, length, position: at === end ? 'last' : 'more' }
    },
  }
}
