import type { EntryPlace } from './entry.ts'
import { type Compression, FRAME_BYTES, frameBytes, frameOverhead, openFrame, sealFrame } from './frame.ts'
import { brokenObject, type ObjectSeal } from './object-seal.ts'

/** Larger ones are read frame by frame; without encryption, anybody may have written what an index says. */
const MOST_PLAIN_BYTES = 1024 * 1024 * 1024

/** Writes the frames of an entry to the beginning of `into`. @param offset of the first in its object. @returns their length. */
export function sealEntry(
  seal: ObjectSeal,
  key: Buffer,
  offset: number,
  plain: Buffer,
  compression: Compression,
  into: Buffer,
): number {
  let stored = 0
  let at = 0
  do {
    const end = Math.min(at + FRAME_BYTES, plain.length)
    const place = { about: key, offset: offset + stored, position: end === plain.length ? 'last' : 'more' } as const
    stored += sealFrame(seal, place, plain.subarray(at, end), compression, into.subarray(stored))
    at = end
  } while (at < plain.length)
  return stored
}

/** @param stored all frames of the entry. @throws AppError ARTIFACT_BROKEN. */
export function openEntry(seal: ObjectSeal, key: Buffer, place: EntryPlace, stored: Buffer): Buffer {
  const most = Math.ceil(stored.length / frameOverhead(seal)) * FRAME_BYTES
  if (place.plainBytes > Math.min(most, MOST_PLAIN_BYTES)) throw brokenObject('an entry says that it is very large')
  const plain = Buffer.allocUnsafe(place.plainBytes)
  let filled = 0
  let at = 0
  do {
    if (stored.length - at < frameOverhead(seal)) throw brokenObject('an entry ends early')
    const end = at + frameBytes(seal, stored.subarray(at))
    const position = end === stored.length ? 'last' : 'more'
    const frame = { about: key, offset: place.offset + at, position } as const
    filled += openFrame(seal, frame, stored.subarray(at, end), plain.subarray(filled, filled + FRAME_BYTES))
    at = end
  } while (at < stored.length)
  if (filled !== place.plainBytes) throw brokenObject('an entry has another size')
  return plain
}
