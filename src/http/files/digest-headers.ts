import type { IncomingHttpHeaders } from 'node:http'
import type { AnnouncedDigests } from '../../artifacts/uploads/file-placement.ts'
import { parseCrc64 } from '../../core/crc64.ts'
import { digestHex, parseDigest } from '../../core/digest.ts'
import { AppError } from '../../core/errors.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import { headerText } from './header-text.ts'

/** What the sender says the body hashes to (core.md 11.1). @throws AppError DIGEST_MISMATCH for what no body can equal. */
export function parseDigestHeaders(headers: IncomingHttpHeaders): AnnouncedDigests {
  const sha256 = headerText(headers, 'X-BKREPO-SHA256')
  const digest = sha256 === undefined ? undefined : parseDigest(sha256)
  if (sha256 !== undefined && digest === undefined) throw noDigest('sha256', '64 hex digits')
  const md5 = headerText(headers, 'X-BKREPO-MD5')?.toLowerCase()
  if (md5 !== undefined && !/^[0-9a-f]{32}$/.test(md5)) throw noDigest('md5', '32 hex digits')
  const given = headerText(headers, 'X-BKREPO-CRC64ECMA')
  const crc64 = given === undefined ? undefined : parseCrc64(given)
  if (given !== undefined && crc64 === undefined) throw noDigest('crc64ecma', 'an unsigned decimal of 64 bits')
  return { digest, md5, crc64 }
}

/** Those of the whole file that are known. A row may hold what no header takes: it was written by an earlier release. */
export const checksumHeaders = (file: Pick<NodeRecord, 'digest' | 'md5' | 'crc64'>): Record<string, string> => ({
  'x-checksum-sha256': digestHex(file.digest!),
  ...(file.md5 === null ? {} : { 'x-checksum-md5': file.md5 }),
  ...(file.crc64 === null || parseCrc64(file.crc64) === undefined ? {} : { 'x-checksum-crc64ecma': file.crc64 }),
})

const noDigest = (name: string, wanted: string): AppError =>
  new AppError('DIGEST_MISMATCH', `Digest mismatch: ${name}, the header must have ${wanted}`, { name })
