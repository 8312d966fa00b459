import type { ComparedLanes } from '../../../core/fingerprint.ts'
import type { Lanes } from '../../../core/lanes.ts'
import {
  MAX_BOUND_BYTES,
  MAX_MESSAGE_BYTES,
  MAX_PATH_BYTES_IN_ALL,
  RECON_FLAGS,
  RECON_MODES,
  RECON_VERSION,
  type ReconPart,
  type RowLanes,
} from './recon-message.ts'

export interface ReconWriter {
  /** Adds ranges, ascending; what lies between them is of mode 0. False: there is no room for all of them, and none was added. */
  add(parts: readonly ReconPart[]): boolean
  /** The whole message. */
  end(): Buffer
  /** The message of a side that looked no further than at what lies before `reached`. */
  endPartial(reached: string): Buffer
}

/** Room that is kept for what `endPartial` adds. */
const RESERVE_BYTES = MAX_BOUND_BYTES + 16
const FIRST_BYTES = 4_096
const NO_BYTES = Buffer.alloc(0)

/** @param maxBytes of the message, at most `MAX_MESSAGE_BYTES`. */
export function createReconWriter(compared: ComparedLanes, maxBytes = MAX_MESSAGE_BYTES): ReconWriter {
  let bytes = Buffer.allocUnsafe(FIRST_BYTES)
  let length = 0
  /** The path written last, and what all of them have together. */
  let last = NO_BYTES
  let pathBytes = 0
  /** Upper end of the last range. */
  let reached: string | null = ''

  const room = (more: number) => {
    if (length + more <= bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(2 * bytes.length, length + more))
    bytes.copy(larger, 0, 0, length)
    bytes = larger
  }
  const byte = (value: number) => {
    room(1)
    bytes[length++] = value
  }
  function varint(value: number): void {
    let rest = value
    while (rest >= 0x80) {
      byte((rest & 0x7f) | 0x80)
      rest >>>= 7
    }
    byte(rest)
  }
  function raw(value: Buffer): void {
    room(value.length)
    value.copy(bytes, length)
    length += value.length
  }
  function path(text: string): void {
    const whole = Buffer.from(text)
    const most = Math.min(whole.length, last.length)
    let shared = 0
    while (shared < most && whole[shared] === last[shared]) shared++
    varint(shared)
    varint(whole.length - shared)
    raw(whole.subarray(shared))
    pathBytes += whole.length
    last = whole
  }
  function upper(hi: string | null): void {
    if (hi === null) {
      varint(0)
      varint(0)
    } else path(hi)
    reached = hi
  }
  function lanes([a, b, c, d]: Lanes): void {
    room(16)
    for (const lane of [a, b, c, d]) length = bytes.writeInt32BE(lane, length)
  }
  function standing(row: RowLanes | null): void {
    byte(row === null ? 0 : 1)
    if (row === null) return
    lanes(row.content)
    lanes(row.metadata)
  }
  function payload(part: ReconPart): void {
    byte(RECON_MODES[part.mode])
    switch (part.mode) {
      case 'fingerprint':
        raw(part.fingerprint)
        return
      case 'empty':
        return
      case 'rows':
        varint(part.rows.length)
        for (const row of part.rows) {
          path(row.path)
          raw(row.id)
        }
        return
      case 'question':
        varint(part.paths.length)
        for (const asked of part.paths) path(asked)
        return
      case 'lanes':
        varint(part.rows.length)
        for (const row of part.rows) {
          path(row.path)
          standing(row.lanes)
        }
    }
  }
  function equalUpTo(lo: string): void {
    if (lo === reached) return
    byte(RECON_MODES.equal)
    upper(lo)
  }

  byte(RECON_VERSION)
  byte(compared === 'content' ? 0 : RECON_FLAGS.metadata)

  return {
    add(parts) {
      const before = { length, last, pathBytes, reached }
      for (const part of parts) {
        equalUpTo(part.range.lo)
        payload(part)
        upper(part.range.hi)
        if (length <= maxBytes - RESERVE_BYTES && pathBytes <= MAX_PATH_BYTES_IN_ALL - RESERVE_BYTES) continue
        ;({ length, last, pathBytes, reached } = before)
        return false
      }
      return true
    },
    end: () => Buffer.from(bytes.subarray(0, length)),
    endPartial(place) {
      equalUpTo(place)
      bytes[1]! |= RECON_FLAGS.partial
      return Buffer.from(bytes.subarray(0, length))
    },
  }
}
