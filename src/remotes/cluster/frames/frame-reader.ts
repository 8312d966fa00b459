import { unpackBundle } from './bundle.ts'
import type { Frame, SourceFrame, TargetFrame } from './frame.ts'
import { decodeFrame } from './frame-decoder.ts'
import { BUNDLE, FRAME_NUMBER, usesCredit, ZSTD } from './frame-kinds.ts'
import {
  broken,
  FRAME_BYTES,
  HEADER_BYTES,
  MAX_BUNDLE_FRAMES,
  MAX_WITHOUT_ITEM,
  PREFIX_BYTES,
  SLICE_FRAMES,
} from './frame-limits.ts'

/** Frames of one direction of a stream, from bytes that come in any pieces. @throws AppError ARTIFACT_BROKEN from both calls. */
export interface FrameReader<F extends Frame> {
  /**
   * The frames that are whole with these bytes, in slices of at most 256. A bundle is unpacked when its first slice is asked for, and no
   * slice holds frames of two: so a small chunk never becomes more than one bundle in memory. Inline contents lie in the chunk: it must
   * not be used again. The slices of one chunk are taken to their end before the next chunk.
   */
  slices(chunk: Buffer): Generator<F[], void>
  /** All of them at once: for where there are no bundles, or few. */
  push(chunk: Buffer): F[]
  /** The bytes ended. @throws when that was inside a frame. */
  end(): void
  /** Bytes of all frames 1 to 5 and 14 so far, those of bundles as they are without it: what credit counts. */
  readonly creditBytes: number
}

const LENGTH_AND_TYPE = 5

const FROM_TARGET: ReadonlySet<number> = new Set([
  FRAME_NUMBER.ack,
  FRAME_NUMBER.credit,
  FRAME_NUMBER.ping,
  FRAME_NUMBER.fenced,
  FRAME_NUMBER.end,
  FRAME_NUMBER.refused,
])
const FROM_SOURCE: ReadonlySet<number> = new Set([
  FRAME_NUMBER.begin,
  FRAME_NUMBER.entry,
  FRAME_NUMBER.delete,
  FRAME_NUMBER.metadata,
  FRAME_NUMBER.barrier,
  FRAME_NUMBER.version,
  FRAME_NUMBER.content,
  FRAME_NUMBER.ping,
  FRAME_NUMBER.end,
  BUNDLE,
])

/** @param inlineMaxBytes of the content in one ENTRY or CONTENT. */
export const readSourceFrames = (inlineMaxBytes: number): FrameReader<SourceFrame> =>
  createReader(FROM_SOURCE, inlineMaxBytes, MAX_WITHOUT_ITEM)
export const readTargetFrames = (): FrameReader<TargetFrame> => createReader(FROM_TARGET, 0, Number.POSITIVE_INFINITY)

function createReader<F extends Frame>(
  accepted: ReadonlySet<number>,
  inlineMaxBytes: number,
  maxWithoutItem: number,
): FrameReader<F> {
  let creditBytes = 0
  let ended = false
  /** The beginning of a frame whose end is to come: `heldBytes` of it, in memory for the whole once its length is known. */
  let held = Buffer.alloc(LENGTH_AND_TYPE)
  let heldBytes = 0

  /** Length of the frame at `at`, the length field included. Refused by what it says, before its bytes are there. */
  function frameBytes(bytes: Buffer, at: number): number {
    const length = bytes.readUInt32BE(at)
    if (length < HEADER_BYTES) throw broken(`a frame of ${length} bytes is shorter than its header`)
    // Its type decides how long it may be, and comes right after its length.
    const type = bytes[at + 4]
    const hasContent = type === FRAME_NUMBER.entry || type === FRAME_NUMBER.content
    const limit = hasContent ? FRAME_BYTES + inlineMaxBytes : FRAME_BYTES
    if (length + 4 > limit) throw broken(`a frame of ${length + 4} bytes is larger than ${limit}`)
    return length + 4
  }

  /** Decodes the whole frames in `bytes` from `from`. @returns where the first one begins that is not whole. */
  function* decodeAll(bytes: Buffer, from: number, nested: 'bundle' | 'stream'): Generator<F[], number> {
    let at = from
    let slice: F[] = []
    let withoutItem = 0
    let frames = 0
    while (bytes.length - at >= LENGTH_AND_TYPE) {
      const end = at + frameBytes(bytes, at)
      if (end > bytes.length) break
      const header = { type: bytes[at + 4]!, flags: bytes[at + 5]!, item: bytes.readUInt32BE(at + 6) }
      const start = at + PREFIX_BYTES
      at = end
      if (ended) throw broken('something follows its END')
      if (!accepted.has(header.type)) throw broken(unexpected(header.type))
      if (header.type === BUNDLE) {
        if (nested === 'bundle') throw broken('a bundle within a bundle')
        if (header.flags !== ZSTD) throw broken(`flags 0x${header.flags.toString(16)} of a bundle are not known`)
        if (header.item !== 0) throw broken(`a bundle is about no item, not about ${header.item}`)
        if (slice.length > 0) yield slice
        slice = []
        yield* unbundle(bytes.subarray(start, end))
        continue
      }
      if (nested === 'bundle' && ++frames > MAX_BUNDLE_FRAMES)
        throw broken(`a bundle of over ${MAX_BUNDLE_FRAMES} frames`)
      if (header.item === 0 && ++withoutItem > maxWithoutItem) {
        throw broken(`more than ${maxWithoutItem} frames about no item came at once`)
      }
      const counts = usesCredit(header.type)
      if (nested === 'bundle' && !counts) throw broken(`frame type ${header.type} within a bundle`)
      slice.push(decodeFrame(header, bytes, start, end) as F)
      if (counts) creditBytes += end - start + PREFIX_BYTES
      if (header.type === FRAME_NUMBER.end) ended = true
      if (slice.length < SLICE_FRAMES) continue
      yield slice
      slice = []
    }
    if (slice.length > 0) yield slice
    return at
  }
  function* unbundle(payload: Buffer): Generator<F[], void> {
    const plain = unpackBundle(payload)
    const end = yield* decodeAll(plain, 0, 'bundle')
    if (end !== plain.length) throw broken('a bundle ends inside a frame')
  }
  function* slices(chunk: Buffer): Generator<F[], void> {
    let at = 0
    while (heldBytes > 0) {
      at += hold(chunk, at)
      if (heldBytes < held.length) return
      if (held.length === LENGTH_AND_TYPE) {
        const whole = Buffer.allocUnsafeSlow(frameBytes(held, 0))
        held.copy(whole)
        held = whole
        continue
      }
      const bytes = held
      held = Buffer.alloc(LENGTH_AND_TYPE)
      heldBytes = 0
      yield* decodeAll(bytes, 0, 'stream')
    }
    at = yield* decodeAll(chunk, at, 'stream')
    const left = chunk.length - at
    if (left >= LENGTH_AND_TYPE) held = Buffer.allocUnsafeSlow(frameBytes(chunk, at))
    if (left > 0) hold(chunk, at)
  }

  return {
    slices,
    push: (chunk) => [...slices(chunk)].flat(),
    end() {
      if (heldBytes > 0) throw broken('it ends inside a frame')
    },
    get creditBytes() {
      return creditBytes
    },
  }

  /** @returns how many bytes of the chunk from `at` were taken. */
  function hold(chunk: Buffer, at: number): number {
    const bytes = chunk.copy(held, heldBytes, at)
    heldBytes += bytes
    return bytes
  }
}

function unexpected(type: number): string {
  const known = type === BUNDLE || (Object.values(FRAME_NUMBER) as number[]).includes(type)
  return known ? `frame type ${type} does not belong in this direction` : `frame type ${type} is not known`
}
