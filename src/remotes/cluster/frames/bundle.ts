import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { BUNDLE, ZSTD } from './frame-kinds.ts'
import { broken, FRAME_BYTES, HEADER_BYTES, PREFIX_BYTES } from './frame-limits.ts'

/** Frames are gathered up to this size: small enough to be packed and unpacked within a few milliseconds on the main thread. */
export const BUNDLE_BYTES = 256 * 1024
/** Fast enough for any line that is worth it. */
const LEVEL = 1
/** Largest window that unpacking allocates, whatever the bytes claim: 1 MiB. */
const WINDOW_LOG = 20
const SIZE_BYTES = 4

/** `plain`: whole frames 1 to 5, at most 1 MiB. Payload: u32 size of the frames, then zstd. */
export function packBundle(plain: Buffer): Buffer {
  const packed = zstdCompressSync(plain, { params: { [constants.ZSTD_c_compressionLevel]: LEVEL } })
  const head = Buffer.alloc(PREFIX_BYTES + SIZE_BYTES)
  head.writeUInt32BE(HEADER_BYTES + SIZE_BYTES + packed.length, 0)
  head[4] = BUNDLE
  head[5] = ZSTD
  head.writeUInt32BE(plain.length, PREFIX_BYTES)
  return Buffer.concat([head, packed])
}

/** The frames of a bundle, as they would have come alone. @throws AppError ARTIFACT_BROKEN. */
export function unpackBundle(payload: Buffer): Buffer {
  if (payload.length < SIZE_BYTES) throw broken('a bundle ends too early')
  const sizeBytes = payload.readUInt32BE(0)
  if (sizeBytes === 0 || sizeBytes > FRAME_BYTES)
    throw broken(`a bundle of ${sizeBytes} bytes is larger than it may be`)
  const plain = inflated(payload.subarray(SIZE_BYTES), sizeBytes)
  if (plain.length !== sizeBytes) throw broken(`a bundle holds ${plain.length} bytes, not ${sizeBytes}`)
  return plain
}

function inflated(packed: Buffer, maxOutputLength: number): Buffer {
  try {
    const params = { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG }
    return zstdDecompressSync(packed, { maxOutputLength, params })
  } catch (error) {
    throw broken(`a bundle cannot be unpacked: ${(error as Error).message}`)
  }
}

/** Whether it is worth it: a sample shrinks by more than a tenth. */
export function shrinks(sample: Buffer): boolean {
  const packed = zstdCompressSync(sample, { params: { [constants.ZSTD_c_compressionLevel]: LEVEL } })
  return packed.length < sample.length * 0.9
}
