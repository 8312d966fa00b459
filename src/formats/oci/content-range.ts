import type { IncomingHttpHeaders } from 'node:http'
import { ociError } from './errors.ts'

/** Where a chunk begins and how long it is, as far as its sender says so. */
export interface AnnouncedChunk {
  readonly start: number | undefined
  readonly sizeBytes: number | undefined
}

/** `<start>-<end>`, both inclusive; some clients send it as HTTP has it, with `bytes` before and the size of the whole behind. */
const RANGE = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d+|\*))?$/

/**
 * Source: OCI distribution specification 1.1, "Pushing a blob in chunks".
 * @throws AppError BLOB_UPLOAD_INVALID for a `Content-Range` that is none, SIZE_INVALID when it is not as long as the body.
 */
export function announcedChunk(headers: IncomingHttpHeaders): AnnouncedChunk {
  const sizeBytes = announcedSize(headers)
  const text = headers['content-range']
  if (text === undefined || text === '') return { start: undefined, sizeBytes }
  const [, first, last] = RANGE.exec(text) ?? []
  if (first === undefined) {
    throw ociError('BLOB_UPLOAD_INVALID', `Content-Range [${text.slice(0, 80)}] is invalid: <start>-<end> is expected`)
  }
  const start = Number(first)
  const ranged = Number(last) - start + 1
  if (ranged < 0 || (sizeBytes !== undefined && ranged !== sizeBytes && !isEmpty(sizeBytes, ranged))) {
    const found = sizeBytes === undefined ? '' : `: the body has ${sizeBytes} bytes`
    throw ociError('SIZE_INVALID', `Content-Range [${text}] does not fit${found}`)
  }
  return { start, sizeBytes: sizeBytes ?? ranged }
}

/** No byte cannot be said as a range: `0-0` is the usual way. */
const isEmpty = (sizeBytes: number, ranged: number): boolean => sizeBytes === 0 && ranged === 1

function announcedSize({ 'content-length': length, 'transfer-encoding': encoding }: IncomingHttpHeaders) {
  if (encoding !== undefined) return undefined
  return length === undefined ? 0 : Number(length)
}

/** Of bytes 0 to `length`, as the specification wants it; `0-0` also says "nothing", as the distribution registry does. */
export const receivedRange = (length: number): string => `0-${Math.max(0, length - 1)}`
