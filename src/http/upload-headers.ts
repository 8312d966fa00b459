import type { IncomingHttpHeaders } from 'node:http'
import { type Digest, parseDigest } from '../core/digest.ts'
import { AppError, invalid, notBuilt } from '../core/errors.ts'
import { type Metadata, mergeMetadata, metadataFromMap } from '../core/metadata.ts'

/** What the headers of a generic upload say (core.md 11.1). */
export interface UploadHeaders {
  readonly digest: Digest | undefined
  /** 32 lower-case hex digits. */
  readonly md5: string | undefined
  readonly overwrite: 'replace' | 'refuse'
  /** 0: for ever. */
  readonly expiresDays: number
  readonly metadata: Metadata
}

/** Headers of the contract that would change what an upload means: refused, not ignored. */
const LATER = [
  ['X-BKREPO-CRC64ECMA', 'send X-BKREPO-SHA256 instead'],
  ['X-BKREPO-UPLOAD-ID', 'send the file as one request'],
  ['UPLOAD-TYPE', 'send the file as one request'],
] as const
const META_PREFIX = 'x-bkrepo-meta-'
/** A thousand years: later dates have no place on the wire. */
const MAX_DAYS = 365_000
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/

/** @throws AppError DIGEST_MISMATCH for a digest that none can equal, PARAMETER_INVALID, OPTION_NOT_BUILT, naming the header. */
export function parseUploadHeaders(headers: IncomingHttpHeaders): UploadHeaders {
  const text = (name: string): string | undefined => {
    const value = headers[name.toLowerCase()]
    return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined
  }
  for (const [name, instead] of LATER) {
    if (text(name) !== undefined) throw notBuilt(`header [${name}]`, `comes with a later release; ${instead}`)
  }
  if (text('Content-Range') !== undefined) throw invalid('Content-Range', 'an upload is a whole file')
  const sha256 = text('X-BKREPO-SHA256')
  const digest = sha256 === undefined ? undefined : parseDigest(sha256)
  if (sha256 !== undefined && digest === undefined) throw noDigest('sha256', 64)
  const md5 = text('X-BKREPO-MD5')?.toLowerCase()
  if (md5 !== undefined && !/^[0-9a-f]{32}$/.test(md5)) throw noDigest('md5', 32)
  return {
    digest,
    md5,
    overwrite: text('X-BKREPO-OVERWRITE')?.toLowerCase() === 'true' ? 'replace' : 'refuse',
    expiresDays: parseDays(text('X-BKREPO-EXPIRES') ?? '0'),
    metadata: mergeMetadata(metadataHeaders(headers), packedMetadata(text('X-BKREPO-META') ?? '')),
  }
}

const noDigest = (name: string, digits: number): AppError =>
  new AppError('DIGEST_MISMATCH', `Digest mismatch: ${name}, the header must have ${digits} hex digits`, { name })

function parseDays(text: string): number {
  const days = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN
  if (!(days <= MAX_DAYS)) throw invalid('X-BKREPO-EXPIRES', `it must be a whole number of days, 0 to ${MAX_DAYS}`)
  return days
}

/** `X-BKREPO-META-{key}: value`; the key comes in lower case. */
function metadataHeaders(headers: IncomingHttpHeaders): Metadata {
  return Object.entries(headers).flatMap(([name, value]) =>
    name.startsWith(META_PREFIX) && typeof value === 'string'
      ? [{ key: name.slice(META_PREFIX.length), value: decoded(unicode(value)) }]
      : [],
  )
}

/** `X-BKREPO-META`: base64 of `k1=v1&k2=v2`, each side percent-encoded. A later pair wins. */
function packedMetadata(base64: string): Metadata {
  if (!BASE64.test(base64)) throw invalid('X-BKREPO-META', 'it is not base64')
  let pairs: string
  try {
    pairs = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(base64, 'base64'))
  } catch {
    throw invalid('X-BKREPO-META', 'it is not the base64 of text')
  }
  const found = pairs.split('&').flatMap((pair) => {
    if (pair === '') return []
    const cut = pair.includes('=') ? pair.indexOf('=') : pair.length
    return [[decoded(pair.slice(0, cut)), decoded(pair.slice(cut + 1))] as const]
  })
  return mergeMetadata(
    [],
    found.flatMap(([key, value]) => metadataFromMap({ [key]: value })),
  )
}

/** Percent-decoded, or as it is when that cannot be. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Header values arrive as one character per byte; bytes above 127 are UTF-8 with the clients that send them. */
function unicode(value: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(value, 'latin1'))
  } catch {
    return value
  }
}
