import type { OutgoingItem } from '../frame-stream.ts'
import { cut, writeAck } from './ack-codec.ts'
import { writeBegin } from './begin-codec.ts'
import { ByteWriter, maxTextBytes } from './byte-writer.ts'
import { writeEntry } from './entry-codec.ts'
import type { Frame } from './frame.ts'
import { FRAME_NUMBER } from './frame-kinds.ts'
import { writeContent, writeDelete, writeMetadata } from './item-codec.ts'
import { writeVersion } from './version-codec.ts'

/** Collects frames as bytes. */
export interface FrameEncoder {
  /** @returns bytes that the frame takes. */
  add(frame: Frame): number
  /**
   * An item, under this number. @throws RangeError, TypeError when it is larger than a frame may be, or a field is not what its
   * type says: nothing is added then.
   */
  addItem(item: OutgoingItem, number: number): number
  /** Bytes that wait to be taken. */
  readonly bytes: number
  /** What was added since the last call. Contents above 16 KiB are not copied: they must not change until they were sent. */
  take(): Buffer[]
}

export function createFrameEncoder(): FrameEncoder {
  const writer = new ByteWriter()
  return {
    add: (frame) => write(writer, frame),
    addItem(item, number) {
      try {
        return writeItem(writer, item, number)
      } catch (error) {
        writer.cancel()
        throw error
      }
    },
    get bytes() {
      return writer.bytes
    },
    take: () => writer.take(),
  }
}

/** One frame alone, for what goes out rarely. */
export function encodeFrame(frame: Frame): Buffer {
  const encoder = createFrameEncoder()
  encoder.add(frame)
  return Buffer.concat(encoder.take())
}

function writeItem(writer: ByteWriter, frame: OutgoingItem, item: number): number {
  switch (frame.type) {
    case 'entry':
      return writeEntry(writer, frame, item)
    case 'delete':
      return writeDelete(writer, frame, item)
    case 'metadata':
      return writeMetadata(writer, frame, item)
    case 'version':
      return writeVersion(writer, frame, item)
    case 'content':
      return writeContent(writer, frame, item)
  }
}

function write(writer: ByteWriter, frame: Frame): number {
  switch (frame.type) {
    case 'entry':
    case 'delete':
    case 'metadata':
    case 'version':
    case 'content':
      return writeItem(writer, frame, frame.item)
    case 'begin':
      return writeBegin(writer, frame)
    case 'ack':
      return writeAck(writer, frame)
    case 'barrier':
      return writeNumber(writer, frame.type, frame.seq)
    case 'credit':
      return writeNumber(writer, frame.type, frame.bytes)
    case 'ping':
      return writeNumber(writer, frame.type, frame.token)
    case 'fenced':
      return writeNumber(writer, frame.type, frame.fence)
    case 'end':
      writer.open(FRAME_NUMBER.end, 0, 0)
      return writer.close(0)
    case 'refused': {
      const reason = cut(frame.reason)
      writer.open(FRAME_NUMBER.refused, 0, 20 + maxTextBytes(reason))
      writer.varint(frame.code)
      writer.varint(frame.status)
      writer.text(reason)
      return writer.close(0)
    }
  }
}

function writeNumber(writer: ByteWriter, type: 'barrier' | 'credit' | 'ping' | 'fenced', value: number): number {
  writer.open(FRAME_NUMBER[type], 0, 10)
  writer.varint(value)
  return writer.close(0)
}
