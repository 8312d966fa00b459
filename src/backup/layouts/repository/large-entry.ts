import { type Digest, digestFromBytes } from '../../../core/digest.ts'
import { AppError } from '../../../core/errors.ts'
import type { PullSource } from '../../../core/pull-source.ts'
import type { ObjectWriter } from '../../../storage/backup-location.ts'
import type { BlobStat } from '../../../storage/blob-store.ts'
import type { OpenData } from './data-object.ts'
import { contentKey, type EntryPlace } from './entry.ts'
import { type Compression, FRAME_BYTES } from './frame.ts'
import { type FrameThreads, SLOT_BYTES, SLOTS } from './frame-threads.ts'
import { brokenObject, HEADER_BYTES, type ObjectSeal } from './object-seal.ts'
import { createStoredFrames } from './stored-frames.ts'

/** Half of the slots hold plain bytes, half sealed ones. */
const WAYS = SLOTS / 2

export interface LargeWork {
  readonly threads: FrameThreads
  readonly seal: ObjectSeal
  readonly compression: Compression
  /** Hears of frames once they are written; may hold them up. */
  readonly onFrame: (plainBytes: number, storedBytes: number) => Promise<void> | undefined
}

/**
 * Writes the frames of a content after the header of its object: the next is read while one is hashed and sealed and one is written.
 * @returns bytes of the frames. @throws AppError ARTIFACT_BROKEN when it is not what its digest says.
 */
export async function writeLarge(
  { threads, seal, compression, onFrame }: LargeWork,
  blob: BlobStat,
  source: PullSource,
  writer: ObjectWriter,
  signal: AbortSignal,
): Promise<number> {
  const about = contentKey(blob.digest)
  using lane = threads.begin({ seal, about, offset: HEADER_BYTES, compression, hashing: 'sha256' })
  const ways: Promise<void>[] = Array.from({ length: WAYS }, () => Promise.resolve())
  const frames = Math.max(1, Math.ceil(blob.sizeBytes / FRAME_BYTES))
  let stored = 0
  let written = Promise.resolve()
  try {
    for (let frame = 0; frame < frames; frame++) {
      const way = frame % WAYS
      await ways[way]
      signal.throwIfAborted()
      const length = Math.min(FRAME_BYTES, blob.sizeBytes - frame * FRAME_BYTES)
      const from = way * SLOT_BYTES
      const to = (WAYS + way) * SLOT_BYTES
      if (length > 0 && (await source.read(lane.memory.subarray(from, from + length), signal)) < length) {
        throw notWhatItWas(blob.digest)
      }
      const sealing = lane.seal(from, length, to, frame === frames - 1 ? 'last' : 'more')
      const before = written
      written = (async () => {
        const bytes = await sealing
        await before
        await writer.write(lane.memory.subarray(to, to + bytes))
        stored += bytes
        await onFrame(length, bytes)
      })()
      written.catch(() => undefined)
      ways[way] = written
    }
    await written
  } finally {
    await Promise.allSettled(ways)
  }
  if ((await source.read(Buffer.alloc(1), signal)) > 0) throw notWhatItWas(blob.digest)
  const digest = digestFromBytes((await lane.digest())!)
  if (digest !== blob.digest) throw notWhatItWas(blob.digest)
  return stored
}

const notWhatItWas = (digest: Digest): AppError =>
  new AppError('ARTIFACT_BROKEN', `The content ${digest} is not what its digest says: it was not backed up`, { digest })

/** What a content is, frame by frame, some ahead. @throws AppError ARTIFACT_BROKEN. */
export async function* readLarge(
  threads: FrameThreads,
  data: OpenData,
  key: Buffer,
  place: EntryPlace,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  using lane = threads.begin({
    seal: data.seal,
    about: key,
    offset: place.offset,
    compression: 'none',
    hashing: 'none',
  })
  const frames = createStoredFrames(data, place, lane.memory)
  const ahead: Promise<Buffer>[] = []
  let plain = 0
  for (let slot = 0; ; slot = (slot + 1) % SLOTS) {
    if (ahead.length === WAYS) {
      const bytes = await ahead.shift()!
      plain += bytes.length
      yield bytes
    }
    const frame = await frames.next(slot, signal)
    if (frame === undefined) break
    const opening = lane.give(frame.from, frame.length, frame.position)
    opening.catch(() => undefined)
    ahead.push(opening)
  }
  for (const opening of ahead) {
    const bytes = await opening
    plain += bytes.length
    yield bytes
  }
  if (plain !== place.plainBytes) throw brokenObject('an entry has another size')
}

/** Reads an entry of any size and drops it. @param hashing whether its bytes must have its digest, too. @throws AppError ARTIFACT_BROKEN. */
export async function checkLarge(
  threads: FrameThreads,
  data: OpenData,
  key: Buffer,
  place: EntryPlace,
  hashing: 'sha256' | 'none',
  signal: AbortSignal,
): Promise<void> {
  using lane = threads.begin({ seal: data.seal, about: key, offset: place.offset, compression: 'none', hashing })
  const frames = createStoredFrames(data, place, lane.memory)
  const ahead: Promise<number>[] = []
  let plain = 0
  for (let slot = 0; ; slot = (slot + 1) % SLOTS) {
    if (ahead.length === WAYS) plain += await ahead.shift()!
    const frame = await frames.next(slot, signal)
    if (frame === undefined) break
    const opening = lane.verify(frame.from, frame.length, frame.position)
    opening.catch(() => undefined)
    ahead.push(opening)
  }
  for (const opening of ahead) plain += await opening
  const digest = await lane.digest()
  const isSame = digest === undefined || Buffer.from(digest).equals(key.subarray(0, 32))
  if (plain !== place.plainBytes || !isSame) throw brokenObject('a content is not what its digest says')
}
