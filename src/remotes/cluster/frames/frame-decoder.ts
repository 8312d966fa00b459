import { readAck } from './ack-codec.ts'
import { readBegin } from './begin-codec.ts'
import { ByteReader } from './byte-reader.ts'
import { readEntry } from './entry-codec.ts'
import type { Frame } from './frame.ts'
import { FRAME_NUMBER } from './frame-kinds.ts'
import { broken, MAX_REASON_BYTES } from './frame-limits.ts'
import { readContent, readDelete, readMetadataFrame } from './item-codec.ts'
import { readVersion } from './version-codec.ts'

/** What the first bytes of a frame say of it. */
export interface FrameHeader {
  readonly type: number
  readonly flags: number
  readonly item: number
}

/** Its payload lies in [start, end) of `bytes`, and inline content stays there. @throws AppError ARTIFACT_BROKEN. */
export function decodeFrame({ type, flags, item }: FrameHeader, bytes: Buffer, start: number, end: number): Frame {
  if (type === FRAME_NUMBER.entry && flags === 0) {
    return readEntry(new ByteReader(bytes, start, end, 'ENTRY'), numbered(item, type))
  }
  if (flags !== 0) throw broken(`flags 0x${flags.toString(16)} of frame type ${type} are not known`)
  const reader = (what: string) => new ByteReader(bytes, start, end, what)
  switch (type) {
    case FRAME_NUMBER.delete:
      return readDelete(reader('DELETE'), numbered(item, type))
    case FRAME_NUMBER.metadata:
      return readMetadataFrame(reader('METADATA'), numbered(item, type))
    case FRAME_NUMBER.version:
      return readVersion(reader('VERSION'), numbered(item, type))
    case FRAME_NUMBER.content:
      return readContent(reader('CONTENT'), numbered(item, type))
    case FRAME_NUMBER.ack:
      return readAck(reader('ACK'), item)
  }
  if (item !== 0 && KNOWN.has(type)) throw broken(`frame type ${type} is about no item, not about ${item}`)
  switch (type) {
    case FRAME_NUMBER.begin:
      return readBegin(reader('BEGIN'))
    case FRAME_NUMBER.barrier:
      return { type: 'barrier', seq: onlyNumber(reader('BARRIER')) }
    case FRAME_NUMBER.credit:
      return { type: 'credit', bytes: onlyNumber(reader('CREDIT')) }
    case FRAME_NUMBER.ping:
      return { type: 'ping', token: onlyNumber(reader('PING')) }
    case FRAME_NUMBER.fenced:
      return { type: 'fenced', fence: onlyNumber(reader('FENCED')) }
    case FRAME_NUMBER.end:
      reader('END').done()
      return { type: 'end' }
    case FRAME_NUMBER.refused: {
      const from = reader('REFUSED')
      const [code, status, reason] = [from.varint(), from.varint(), from.text(MAX_REASON_BYTES)]
      from.done()
      return { type: 'refused', code, status, reason }
    }
    default:
      throw broken(`frame type ${type} is not known`)
  }
}

const KNOWN: ReadonlySet<number> = new Set(Object.values(FRAME_NUMBER))

function numbered(item: number, type: number): number {
  if (item === 0) throw broken(`frame type ${type} has no item`)
  return item
}

function onlyNumber(reader: ByteReader): number {
  const value = reader.varint()
  reader.done()
  return value
}
