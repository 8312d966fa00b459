import type { Hlc } from '../../../core/hlc.ts'
import type { ByteReader } from './byte-reader.ts'
import { type ByteWriter, maxTextBytes } from './byte-writer.ts'
import { expectBits, metadataText, readExpect, readMetadata } from './entry-codec.ts'
import type { DeleteFrame, MetadataFrame, Precondition, VersionFrame } from './frame.ts'
import { FRAME_NUMBER } from './frame-kinds.ts'
import { broken, MAX_DESCRIPTION_BYTES, MAX_NAME_BYTES, MAX_PATH_BYTES, MAX_VERSION_PATHS } from './frame-limits.ts'

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

export function writeVersion(writer: ByteWriter, frame: Omit<VersionFrame, 'item'>, item: number): number {
  const { packageKey, version, origin, paths } = frame
  const description = JSON.stringify(frame.description)
  let bound = FIXED_BYTES
  for (const text of [packageKey, version, origin, description, ...paths]) bound += maxTextBytes(text)
  writer.open(FRAME_NUMBER.version, item, bound)
  writer.u8(expectBits(frame.expect))
  writer.hex(frame.hlc)
  writer.text(packageKey)
  writer.text(version)
  writer.text(origin)
  writer.varint(paths.length)
  for (const path of paths) writer.text(path)
  writer.text(description)
  writeRowId(writer, frame.expect)
  return writer.close(0)
}

export function readVersion(reader: ByteReader, item: number): VersionFrame {
  const bits = onlyExpect(reader)
  const hlc = reader.hex(8) as Hlc
  const packageKey = reader.text(MAX_NAME_BYTES)
  const version = reader.text(MAX_NAME_BYTES)
  const origin = reader.text(MAX_NAME_BYTES)
  const count = reader.count(MAX_VERSION_PATHS)
  const paths: string[] = []
  for (let index = 0; index < count; index++) paths.push(reader.text(MAX_PATH_BYTES))
  const description = jsonObject(reader.json(MAX_DESCRIPTION_BYTES), 'description')
  const expect = readExpect(reader, bits)
  reader.done()
  return { type: 'version', item, packageKey, version, paths, origin, hlc, description, expect }
}

export function jsonObject(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw broken(`${what} is no JSON object`)
  return value as Record<string, unknown>
}

function onlyExpect(reader: ByteReader): number {
  const bits = reader.u8()
  if ((bits & 0x1f) !== 0) throw broken(`bits 0x${bits.toString(16)} are not known`)
  return bits
}
function writeRowId(writer: ByteWriter, expect: Precondition): void {
  if (expect.is === 'row') writer.raw(expect.id)
}
