import type { Lanes } from '../../../core/lanes.ts'
import type { ByteReader } from './byte-reader.ts'
import { type ByteWriter, maxTextBytes } from './byte-writer.ts'
import type { AckFrame, ItemException, RemoteRow } from './frame.ts'
import { FRAME_NUMBER } from './frame-kinds.ts'
import { broken, MAX_EXCEPTIONS, MAX_REASON_BYTES } from './frame-limits.ts'

/** Number of each result on the wire: its place, from 1. */
export const RESULTS: readonly ItemException['result'][] = [
  'unchanged',
  'replaced',
  'delivered',
  'delivered-replaced',
  'kept',
  'conflict',
  'superseded',
  'changed',
  'no-blob',
  'refused',
  'retry',
  'not-tried',
]
const NUMBER = new Map(RESULTS.map((result, index) => [result, index + 1]))
const HAS_REMOTE = 0x80
/** Item, result, length of the reason, eight lanes. */
const FIXED_BYTES = 5 + 1 + 5 + 32
/** A longer reason is cut; three bytes a character at most. */
const REASON_CHARACTERS = Math.floor(MAX_REASON_BYTES / 3)

/** `hi` travels as the item of the frame. */
export function writeAck(writer: ByteWriter, { hi, seq, exceptions }: AckFrame): number {
  let bound = 24
  for (const { reason } of exceptions) bound += FIXED_BYTES + maxTextBytes(cut(reason))
  writer.open(FRAME_NUMBER.ack, hi, bound)
  writer.varint(seq)
  writer.varint(exceptions.length)
  for (const { item, result, reason, remote } of exceptions) {
    writer.varint(item)
    writer.u8(NUMBER.get(result)! | (remote === null ? 0 : HAS_REMOTE))
    writer.text(cut(reason))
    if (remote === null) continue
    for (const lane of remote.content) writer.u32(lane)
    for (const lane of remote.metadata) writer.u32(lane)
  }
  return writer.close(0)
}

export function readAck(reader: ByteReader, hi: number): AckFrame {
  const seq = reader.varint()
  const count = reader.count(MAX_EXCEPTIONS)
  const exceptions: ItemException[] = []
  for (let index = 0; index < count; index++) {
    const item = reader.varint()
    if (item < 1 || item > hi) throw broken(`an ACK up to item ${hi} speaks of item ${item}`)
    const bits = reader.u8()
    const result = RESULTS[(bits & ~HAS_REMOTE) - 1]
    if (result === undefined) throw broken(`result ${bits & ~HAS_REMOTE} is not known`)
    const reason = reader.text(MAX_REASON_BYTES)
    const remote = (bits & HAS_REMOTE) === 0 ? null : readRow(reader)
    exceptions.push({ item, result, reason, remote })
  }
  reader.done()
  return { type: 'ack', hi, seq, exceptions }
}

export const cut = (reason: string): string =>
  reason.length <= REASON_CHARACTERS ? reason : reason.slice(0, REASON_CHARACTERS).toWellFormed()

const readRow = (reader: ByteReader): RemoteRow => ({ content: readLanes(reader), metadata: readLanes(reader) })
const readLanes = (reader: ByteReader): Lanes => [reader.i32(), reader.i32(), reader.i32(), reader.i32()]
