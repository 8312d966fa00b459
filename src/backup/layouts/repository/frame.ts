import { createCipheriv, createDecipheriv } from 'node:crypto'
import { constants, crc32, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { brokenObject, OBJECT_ID_BYTES, type ObjectSeal } from './object-seal.ts'

/** Plain bytes of a frame; only the last of an entry has fewer. */
export const FRAME_BYTES = 1024 * 1024
const HEAD_BYTES = 4
const TAG_BYTES = 16
const SUM_BYTES = 4
const COMPRESSED = 0x8000_0000
/** Larger pieces leave the processor's cache between reading and writing, and each is memory of its own. */
const PIECE_BYTES = 64 * 1024
/** Compression that gains less is not worth its undoing. */
const WORTH = 0.95
const ZSTD = { params: { [constants.ZSTD_c_compressionLevel]: 3 } }

export type Compression = 'zstd' | 'none'

/** Where a frame is, and what it is a part of: it opens nowhere else. */
export interface FramePlace {
  /** What names the entry: its kind and digest. */
  readonly about: Uint8Array
  /** Of the frame's first byte in its object. */
  readonly offset: number
  readonly position: 'more' | 'last'
}

/** How many bytes a frame has beside its body. */
export const frameOverhead = (seal: ObjectSeal): number => HEAD_BYTES + tagBytes(seal)
/** Of the frame that begins with `head`, all of it. */
export const frameBytes = (seal: ObjectSeal, head: Buffer): number =>
  (head.readUInt32BE(0) & ~COMPRESSED) + frameOverhead(seal)
/** Most that a frame of this many plain bytes takes. */
export const sealedBytes = (seal: ObjectSeal, plainBytes: number): number => plainBytes + frameOverhead(seal)
/** Most that an entry of this many plain bytes takes, however it is sealed. */
export const mostEntryBytes = (plainBytes: number): number =>
  plainBytes + Math.max(1, Math.ceil(plainBytes / FRAME_BYTES)) * (HEAD_BYTES + TAG_BYTES)

/** Writes the frame to the beginning of `into`. @returns its length. */
export function sealFrame(
  seal: ObjectSeal,
  place: FramePlace,
  plain: Buffer,
  compression: Compression,
  into: Buffer,
): number {
  const packed = compression === 'zstd' ? zstdCompressSync(plain, ZSTD) : plain
  const isSmaller = packed.length < plain.length * WORTH
  const body = isSmaller ? packed : plain
  into.writeUInt32BE((body.length | (isSmaller ? COMPRESSED : 0)) >>> 0, 0)
  const end = HEAD_BYTES + body.length
  const aad = aadOf(seal, place, into)
  if (seal.key === undefined) {
    body.copy(into, HEAD_BYTES)
    into.writeUInt32BE(sumOf(aad, place, body), end)
    return end + SUM_BYTES
  }
  const cipher = createCipheriv('aes-256-gcm', seal.key, nonceOf(place)).setAAD(aad)
  for (let at = 0; at < body.length; at += PIECE_BYTES) {
    cipher.update(body.subarray(at, at + PIECE_BYTES)).copy(into, HEAD_BYTES + at)
  }
  cipher.final()
  cipher.getAuthTag().copy(into, end)
  return end + TAG_BYTES
}

/** Checks the frame and writes what it holds to the beginning of `into`. @returns how many bytes. @throws AppError ARTIFACT_BROKEN. */
export function openFrame(seal: ObjectSeal, place: FramePlace, frame: Buffer, into: Buffer): number {
  if (frame.length < frameOverhead(seal) || frameBytes(seal, frame) !== frame.length) throw brokenFrame(place)
  const end = frame.length - tagBytes(seal)
  const isSmaller = (frame.readUInt32BE(0) & COMPRESSED) !== 0
  const sealed = frame.subarray(HEAD_BYTES, end)
  const body = isSmaller ? Buffer.allocUnsafe(sealed.length) : into
  if (sealed.length > body.length) throw brokenFrame(place)
  const aad = aadOf(seal, place, frame)
  if (seal.key === undefined) {
    if (frame.readUInt32BE(end) !== sumOf(aad, place, sealed)) throw brokenFrame(place)
    sealed.copy(body)
  } else {
    const decipher = createDecipheriv('aes-256-gcm', seal.key, nonceOf(place)).setAAD(aad)
    decipher.setAuthTag(frame.subarray(end))
    for (let at = 0; at < sealed.length; at += PIECE_BYTES) {
      decipher.update(sealed.subarray(at, at + PIECE_BYTES)).copy(body, at)
    }
    try {
      decipher.final()
    } catch {
      throw brokenFrame(place)
    }
  }
  return isSmaller ? inflated(body, into, place) : sealed.length
}

function inflated(body: Buffer, into: Buffer, place: FramePlace): number {
  try {
    return zstdDecompressSync(body, { maxOutputLength: Math.max(1, into.length) }).copy(into)
  } catch {
    throw brokenFrame(place)
  }
}

const brokenFrame = ({ offset }: FramePlace) => brokenObject(`the bytes from ${offset} on are not what was written`)
const tagBytes = (seal: ObjectSeal): number => (seal.key === undefined ? SUM_BYTES : TAG_BYTES)

/** Of the object, the entry, and the frame's own head. */
const aadOf = (seal: ObjectSeal, { about }: FramePlace, head: Buffer): Buffer =>
  Buffer.concat([seal.id, about, head.subarray(0, HEAD_BYTES)], OBJECT_ID_BYTES + about.length + HEAD_BYTES)

/** Offsets do not repeat in an object; a frame that is not the last of its entry does not open as one. */
function nonceOf({ offset, position }: FramePlace): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeUIntBE(offset, 2, 6)
  nonce[11] = position === 'last' ? 1 : 0
  return nonce
}
const sumOf = (aad: Buffer, place: FramePlace, body: Buffer): number => crc32(body, crc32(nonceOf(place), crc32(aad)))
