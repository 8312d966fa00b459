import type { IncomingHttpHeaders } from 'node:http'
import type { AnnouncedDigests } from '../../artifacts/uploads/file-placement.ts'
import { invalid } from '../../core/errors.ts'
import { type Metadata, mergeMetadata, metadataFromMap } from '../../core/metadata.ts'
import { parseDigestHeaders } from './digest-headers.ts'
import { headerText } from './header-text.ts'

/** What the headers of an upload say about the file (core.md 11.1). */
export interface UploadHeaders extends AnnouncedDigests {
  /** Undefined: not said. */
  readonly overwrite: 'replace' | 'refuse' | undefined
  /** 0: for ever. */
  readonly expiresDays: number
  readonly metadata: Metadata
}

const META_PREFIX = 'x-bkrepo-meta-'
/** A thousand years: later dates have no place on the wire. */
const MAX_DAYS = 365_000
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/

/** @throws AppError DIGEST_MISMATCH for a digest that none can equal, PARAMETER_INVALID naming the header. */
export function parseUploadHeaders(headers: IncomingHttpHeaders): UploadHeaders {
  if (headerText(headers, 'Content-Range') !== undefined) throw invalid('Content-Range', 'an upload is a whole file')
  return {
    ...parseDigestHeaders(headers),
    overwrite: parseOverwrite(headers),
    expiresDays: parseDays(headerText(headers, 'X-BKREPO-EXPIRES') ?? '0'),
    metadata: mergeMetadata(metadataHeaders(headers), packedMetadata(headerText(headers, 'X-BKREPO-META') ?? '')),
  }
}

/** Whether a file at the path may be replaced; undefined: not said. @throws AppError PARAMETER_INVALID for any other word. */
export function parseOverwrite(headers: IncomingHttpHeaders): UploadHeaders['overwrite'] {
  const text = headerText(headers, 'X-BKREPO-OVERWRITE')?.toLowerCase()
  if (text === undefined) return undefined
  if (text !== 'true' && text !== 'false') throw invalid('X-BKREPO-OVERWRITE', 'it must be true or false')
  return text === 'true' ? 'replace' : 'refuse'
}

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
  if (base64 === '') return []
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
