import type { IncomingHttpHeaders } from 'node:http'
import { MAX_SEQUENCE } from '../../artifacts/uploads/block-plan.ts'
import type { BlockStyle } from '../../artifacts/uploads/block-uploads.ts'
import { AppError, invalid, notBuilt } from '../../core/errors.ts'
import { headerText } from './header-text.ts'

/** Where a block belongs. */
export interface BlockHeaders {
  readonly style: BlockStyle
  readonly uploadId: string
  readonly position: number
}

/** Digits of a number that JavaScript holds exactly. */
const WHOLE = /^\d{1,15}$/

/**
 * The upload that a body is a block of; undefined: it is a whole file (core.md 11.4, 11.5).
 * @throws AppError UPLOAD_ID_EMPTY, HEADER_MISSING without a sequence, UPLOAD_HEADER_MISSING without an offset,
 * PARAMETER_INVALID, OPTION_NOT_BUILT.
 */
export function parseBlockHeaders(headers: IncomingHttpHeaders): BlockHeaders | undefined {
  const type = headerText(headers, 'UPLOAD-TYPE')?.toUpperCase()
  if (type === 'CHUNKED-UPLOAD') {
    throw notBuilt('header [UPLOAD-TYPE: CHUNKED-UPLOAD]', 'comes with a later release; send numbered blocks instead')
  }
  if (type === 'SEPARATE-UPLOAD') {
    return { style: 'SEPARATE', uploadId: uploadIdOf(headers), position: parseOffset(headers) }
  }
  if (type !== undefined) throw invalid('UPLOAD-TYPE', 'it must be SEPARATE-UPLOAD, or left out')
  if (headers['x-bkrepo-upload-id'] === undefined && headers['x-bkrepo-sequence'] === undefined) return undefined
  return { style: 'NUMBERED', uploadId: uploadIdOf(headers), position: parseSequence(headers) }
}

/** @throws AppError UPLOAD_ID_EMPTY. */
export function uploadIdOf(headers: IncomingHttpHeaders): string {
  const uploadId = headerText(headers, 'X-BKREPO-UPLOAD-ID')
  if (uploadId !== undefined) return uploadId
  throw new AppError('UPLOAD_ID_EMPTY', 'Upload id is empty: send the header [X-BKREPO-UPLOAD-ID]', {})
}

/** Bytes of the whole file, as announced; undefined: not said. @throws AppError PARAMETER_INVALID. */
export function parseSize(headers: IncomingHttpHeaders): number | undefined {
  const text = headerText(headers, 'X-BKREPO-SIZE')
  if (text === undefined) return undefined
  if (!WHOLE.test(text)) throw invalid('X-BKREPO-SIZE', 'it must be a whole number of bytes')
  return Number(text)
}

/** @throws AppError UPLOAD_HEADER_MISSING, PARAMETER_INVALID. */
export function requireSize(headers: IncomingHttpHeaders): number {
  const size = parseSize(headers)
  if (size === undefined) throw headerMissing('X-BKREPO-SIZE')
  return size
}

function parseOffset(headers: IncomingHttpHeaders): number {
  const text = headerText(headers, 'X-BKREPO-OFFSET')
  if (text === undefined) throw headerMissing('X-BKREPO-OFFSET')
  if (!WHOLE.test(text)) throw invalid('X-BKREPO-OFFSET', 'it must be a whole number of bytes, from 0')
  return Number(text)
}

function parseSequence(headers: IncomingHttpHeaders): number {
  const text = headerText(headers, 'X-BKREPO-SEQUENCE')
  if (text === undefined) throw new AppError('HEADER_MISSING', 'Header [X-BKREPO-SEQUENCE] is missing', {})
  const sequence = WHOLE.test(text) ? Number(text) : 0
  if (sequence < 1 || sequence > MAX_SEQUENCE) {
    throw invalid('X-BKREPO-SEQUENCE', `it must be a whole number, 1 to ${MAX_SEQUENCE}`)
  }
  return sequence
}

const headerMissing = (name: string): AppError =>
  new AppError('UPLOAD_HEADER_MISSING', `Header [${name}] is missing`, { name })
