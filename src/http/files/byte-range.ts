import { AppError } from '../../core/errors.ts'
import type { ByteRange } from '../../storage/blob-store.ts'

const BYTES = /^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i
const OTHER_UNIT = /^\s*(?!bytes\s*=)[\w!#$%&'*+.^`|~-]+\s*=/i

/**
 * The one range of a `Range` header within a representation of `sizeBytes`; undefined: the whole. An end past the last byte is
 * clamped, and so is a suffix longer than the whole; a unit other than bytes is ignored (RFC 9110, 14.2).
 * @throws AppError RANGE_INVALID for what cannot be read, several ranges, and one that holds no byte.
 */
export function parseByteRange(header: string | undefined, sizeBytes: number): Required<ByteRange> | undefined {
  if (header === undefined || OTHER_UNIT.test(header)) return undefined
  const [, first = '', last = ''] = BYTES.exec(header) ?? []
  if (first === '' && last === '') throw unsatisfiable(header, sizeBytes)
  const start = first === '' ? Math.max(0, sizeBytes - Number(last)) : Number(first)
  const end = first === '' || last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes)
  if (start >= end) throw unsatisfiable(header, sizeBytes)
  return { start, end }
}

function unsatisfiable(header: string, sizeBytes: number): AppError {
  const shown = header.length > 80 ? `${header.slice(0, 80)}…` : header
  return new AppError('RANGE_INVALID', `Range [${shown}] is invalid: the file has ${sizeBytes} bytes`, { sizeBytes })
}
