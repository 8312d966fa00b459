import { crc32 } from 'node:zlib'
import { type Digest, digestHex } from '../../core/digest.ts'
import type { SmallContent } from '../blob-store.ts'

/**
 * A record of a segment: magic `EPS1`, length of the content (32 bits, big-endian), sha256, CRC-32 of all that comes before and of
 * the content; then the content. So a segment can be read without the database, up to the first record that is not whole.
 */
export const RECORD_HEADER_BYTES = 44
const MAGIC = 0x45505331
const LENGTH_AT = 4
const DIGEST_AT = 8
const CRC_AT = 40

/** Headers of contents, one after another in one piece of memory. */
export function recordHeaders(contents: readonly SmallContent[]): Buffer {
  const headers = Buffer.allocUnsafe(contents.length * RECORD_HEADER_BYTES)
  for (let index = 0; index < contents.length; index++) {
    const { digest, bytes } = contents[index]!
    const at = index * RECORD_HEADER_BYTES
    headers.writeUInt32BE(MAGIC, at)
    headers.writeUInt32BE(bytes.length, at + LENGTH_AT)
    headers.write(digestHex(digest), at + DIGEST_AT, 'hex')
    headers.writeUInt32BE(checksum(headers, at, bytes), at + CRC_AT)
  }
  return headers
}

/** The content of the record whose content begins at `at` of `bytes`; undefined unless it is this blob's, and whole. */
export function contentAt(bytes: Buffer, at: number, digest: Digest, sizeBytes: number): Buffer | undefined {
  const start = at - RECORD_HEADER_BYTES
  if (start < 0 || at + sizeBytes > bytes.length) return undefined
  if (bytes.readUInt32BE(start) !== MAGIC || bytes.readUInt32BE(start + LENGTH_AT) !== sizeBytes) return undefined
  if (bytes.toString('hex', start + DIGEST_AT, start + CRC_AT) !== digestHex(digest)) return undefined
  const content = bytes.subarray(at, at + sizeBytes)
  return bytes.readUInt32BE(start + CRC_AT) === checksum(bytes, start, content) ? content : undefined
}

const checksum = (headers: Buffer, at: number, content: Buffer): number =>
  crc32(content, crc32(headers.subarray(at, at + CRC_AT)))
