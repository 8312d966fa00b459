import { type Digest, digestHex } from '../../../core/digest.ts'
import type { Hlc } from '../../../core/hlc.ts'
import type { ByteReader } from './byte-reader.ts'
import { type ByteWriter, maxTextBytes } from './byte-writer.ts'
import { expectBits, metadataText, readExpect, readMetadata } from './entry-codec.ts'
import type { ContentFrame, DeleteFrame, MetadataFrame, Precondition } from './frame.ts'
import { FRAME_NUMBER } from './frame-kinds.ts'
import { broken, MAX_NAME_BYTES, MAX_PATH_BYTES } from './frame-limits.ts'

/** Bits, clock, a time, a count, a row id. */
const FIXED_BYTES = 40

export function writeDelete(writer: ByteWriter, frame: Omit<DeleteFrame, 'item'>, item: number): number {
  const bound = FIXED_BYTES + maxTextBytes(frame.path) + maxTextBytes(frame.origin) + maxTextBytes(frame.deletedBy)
  writer.open(FRAME_NUMBER.delete, item, bound)
  writer.u8(expectBits(frame.expect))
  writer.hex(frame.hlc)
  writer.text(frame.path)
  writer.text(frame.origin)
  writer.text(frame.deletedBy)
  writeRowId(writer, frame.expect)
  return writer.close(0)
}

export function readDelete(reader: ByteReader, item: number): DeleteFrame {
  const bits = onlyExpect(reader)
  const hlc = reader.hex(8) as Hlc
  const path = reader.text(MAX_PATH_BYTES)
  const origin = reader.text(MAX_NAME_BYTES)
  const deletedBy = reader.text(MAX_NAME_BYTES)
  const expect = readExpect(reader, bits)
  reader.done()
  return { type: 'delete', item, path, origin, hlc, deletedBy, expect }
}

export function writeMetadata(writer: ByteWriter, frame: Omit<MetadataFrame, 'item'>, item: number): number {
  const { path, origin, modifiedBy } = frame
  const metadata = metadataText(frame.metadata)
  const texts = maxTextBytes(path) + maxTextBytes(origin) + maxTextBytes(modifiedBy) + maxTextBytes(metadata)
  writer.open(FRAME_NUMBER.metadata, item, FIXED_BYTES + texts)
  writer.u8(expectBits(frame.expect))
  writer.hex(frame.hlc)
  writer.time(frame.modifiedAt)
  writer.text(path)
  writer.text(origin)
  writer.text(modifiedBy)
  writer.text(metadata)
  writeRowId(writer, frame.expect)
  return writer.close(0)
}

export function readMetadataFrame(reader: ByteReader, item: number): MetadataFrame {
  const bits = onlyExpect(reader)
  const hlc = reader.hex(8) as Hlc
  const modifiedAt = reader.time()
  const path = reader.text(MAX_PATH_BYTES)
  const origin = reader.text(MAX_NAME_BYTES)
  const modifiedBy = reader.text(MAX_NAME_BYTES)
  const metadata = readMetadata(reader)
  const expect = readExpect(reader, bits)
  reader.done()
  return { type: 'metadata', item, path, metadata, origin, hlc, modifiedBy, modifiedAt, expect }
}

export function writeContent(writer: ByteWriter, frame: Omit<ContentFrame, 'item'>, item: number): number {
  writer.open(FRAME_NUMBER.content, item, FIXED_BYTES)
  writer.hex(digestHex(frame.digest))
  writer.varint(frame.content.length)
  const bytes = writer.close(frame.content.length)
  writer.content(frame.content)
  return bytes
}

export function readContent(reader: ByteReader, item: number): ContentFrame {
  const digest = `sha256:${reader.hex(32)}` as Digest
  const sizeBytes = reader.varint()
  if (reader.left !== sizeBytes) throw broken(`a CONTENT of ${sizeBytes} bytes carries ${reader.left}`)
  return { type: 'content', item, digest, content: reader.rest() }
}

export function jsonObject(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw broken(`${what} is no JSON object`)
  return value as Record<string, unknown>
}

/** @param known bits of the frame's own. */
export function onlyExpect(reader: ByteReader, known = 0): number {
  const bits = reader.u8()
  if ((bits & 0x1f & ~known) !== 0) throw broken(`bits 0x${bits.toString(16)} are not known`)
  return bits
}
export function writeRowId(writer: ByteWriter, expect: Precondition): void {
  if (expect.is === 'row') writer.raw(expect.id)
}
