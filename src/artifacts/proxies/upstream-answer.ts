import type { IncomingMessage } from 'node:http'
import { type Digest, parseDigest } from '../../core/digest.ts'
import { AppError, messageOf } from '../../core/errors.ts'

/** What an upstream says about a file, before a byte of it came. */
export interface UpstreamFile {
  readonly sizeBytes: number | undefined
  /** Announced, not proven. */
  readonly digest: Digest | undefined
  readonly etag: string | undefined
  readonly lastModified: string | undefined
}

export type Verdict =
  | { readonly kind: 'file'; readonly file: UpstreamFile }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'absent'; readonly status: number }

/** Longer ones are of no use to us and would be sent back with every question. */
const MAX_VALIDATOR_LENGTH = 1_024

/**
 * What an answer means. Pure.
 * @throws AppError UPSTREAM_FAILED for every other status, and for a body whose end could not be told from a cut.
 */
export function judgeAnswer(
  { statusCode = 0, headers }: Pick<IncomingMessage, 'statusCode' | 'headers'>,
  method: 'GET' | 'HEAD',
  where: string,
): Verdict {
  if (statusCode === 304) return { kind: 'unchanged' }
  if (statusCode === 404 || statusCode === 410) return { kind: 'absent', status: statusCode }
  if (statusCode === 401 || statusCode === 403 || statusCode === 407)
    throw upstreamFailed(where, `it refuses our login with status ${statusCode}`)
  if (statusCode !== 200) throw upstreamFailed(where, `it answers with status ${statusCode}`)
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') throw upstreamFailed(where, `it sends the file in the encoding ${encoding}`)
  const length = headers['content-length']
  const sizeBytes = length === undefined ? undefined : Number(length)
  const digest = announcedDigest(headers, where)
  const endIsSeen = sizeBytes !== undefined || /\bchunked\b/i.test(headers['transfer-encoding'] ?? '')
  if (method === 'GET' && !endIsSeen && digest === undefined)
    throw upstreamFailed(where, 'it tells neither length nor digest, so that a cut file would look whole')
  const validator = (value: string | undefined) =>
    value === undefined || value.length > MAX_VALIDATOR_LENGTH ? undefined : value
  const [etag, lastModified] = [validator(headers.etag), validator(headers['last-modified'])]
  return { kind: 'file', file: { sizeBytes, digest, etag, lastModified } }
}

/** Artifactory and we say it in a header of its own; our ETag is the digest as well, and ours is known by its trace id. */
function announcedDigest(headers: IncomingMessage['headers'], where: string): Digest | undefined {
  const text = headers['x-checksum-sha256']
  if (typeof text === 'string') {
    const digest = parseDigest(text.trim())
    if (digest === undefined) throw upstreamFailed(where, 'its X-Checksum-Sha256 is no digest')
    return digest
  }
  if (headers['x-trace-id'] === undefined) return undefined
  return parseDigest(/^"(?<hex>[0-9a-f]{64})"$/.exec(headers.etag ?? '')?.groups?.hex ?? '')
}

/** @param where the upstream as users know it. Never a URL with what is secret in it: ours hold none. */
export const upstreamFailed = (where: string, why: unknown): AppError =>
  new AppError(
    'UPSTREAM_FAILED',
    `The upstream ${where} failed: ${messageOf(why)}`,
    { upstream: where },
    { cause: why instanceof Error ? why : undefined, retryable: true },
  )
