import { type Digest, digestHex } from '../../../core/digest.ts'
import type { Hlc } from '../../../core/hlc.ts'
import type { Metadata, MetadataEntry } from '../../../core/metadata.ts'
import type { ByteReader } from './byte-reader.ts'
import { type ByteWriter, maxTextBytes } from './byte-writer.ts'
import type { EntryFrame, Precondition } from './frame.ts'
import { FRAME_NUMBER } from './frame-kinds.ts'
import { broken, MAX_JSON_BYTES, MAX_NAME_BYTES, MAX_PATH_BYTES, MAX_VIA } from './frame-limits.ts'

/** Bits of the first byte of ENTRY; bits 5 and 6 say what is expected, in DELETE, METADATA and VERSION as well. */
const MD5 = 1
const CRC64 = 2
const METADATA = 4
const EXPIRES = 8
const CONTENT = 16
const EXPECT_SHIFT = 5
const EXPECT = { unknown: 0, absent: 1, row: 2 } as const satisfies Record<Precondition['is'], number>

/** All of ENTRY but its texts: 246 at most. */
const FIXED_BYTES = 256
const MAX_CRC64_BYTES = 32

export function writeEntry(writer: ByteWriter, frame: Omit<EntryFrame, 'item'>, item: number): number {
  const { path, origin, createdBy, modifiedBy, md5, crc64, expiresAt, content, via } = frame
  const metadata = frame.metadata === null ? '' : metadataText(frame.metadata)
  let bound = FIXED_BYTES + 3 * (path.length + origin.length + createdBy.length + modifiedBy.length + metadata.length)
  for (const id of via) bound += maxTextBytes(id)
  writer.open(FRAME_NUMBER.entry, item, bound)
  writer.u8(
    (md5 === null ? 0 : MD5) |
      (crc64 === null ? 0 : CRC64) |
      (frame.metadata === null ? 0 : METADATA) |
      (expiresAt === null ? 0 : EXPIRES) |
      (content === undefined ? 0 : CONTENT) |
      (EXPECT[frame.expect.is] << EXPECT_SHIFT),
  )
  writer.hex(digestHex(frame.digest))
  writer.hex(frame.hlc)
  writer.varint(frame.sizeBytes)
  writer.time(frame.createdAt)
  writer.time(frame.modifiedAt)
  writer.text(path)
  writer.text(origin)
  writer.text(createdBy)
  writer.text(modifiedBy)
  writer.varint(via.length)
  for (const id of via) writer.text(id)
  if (md5 !== null) writer.hex(md5)
  if (crc64 !== null) writer.text(crc64)
  if (frame.metadata !== null) writer.text(metadata)
  if (expiresAt !== null) writer.varint(expiresAt)
  if (frame.expect.is === 'row') writer.raw(frame.expect.id)
  const bytes = writer.close(content?.length ?? 0)
  if (content !== undefined) writer.content(content)
  return bytes
}

export function readEntry(reader: ByteReader, item: number): EntryFrame {
  const bits = reader.u8()
  const digest = `sha256:${reader.hex(32)}` as Digest
  const hlc = reader.hex(8) as Hlc
  const sizeBytes = reader.varint()
  const createdAt = reader.time()
  const modifiedAt = reader.time()
  const path = reader.text(MAX_PATH_BYTES)
  const origin = reader.text(MAX_NAME_BYTES)
  const createdBy = reader.text(MAX_NAME_BYTES)
  const modifiedBy = reader.text(MAX_NAME_BYTES)
  const hops = reader.count(MAX_VIA)
  const via: string[] = []
  for (let hop = 0; hop < hops; hop++) via.push(reader.text(MAX_NAME_BYTES))
  const md5 = (bits & MD5) === 0 ? null : reader.hex(16)
  const crc64 = (bits & CRC64) === 0 ? null : reader.text(MAX_CRC64_BYTES)
  const metadata = (bits & METADATA) === 0 ? null : readMetadata(reader)
  const expiresAt = (bits & EXPIRES) === 0 ? null : reader.varint()
  const expect = readExpect(reader, bits)
  let content: Buffer | undefined
  if ((bits & CONTENT) !== 0) {
    if (reader.left !== sizeBytes) throw broken(`an ENTRY of ${sizeBytes} bytes carries ${reader.left}`)
    content = reader.rest()
  }
  reader.done()
  return {
    type: 'entry',
    item,
    path,
    digest,
    sizeBytes,
    md5,
    crc64,
    metadata,
    origin,
    hlc,
    via,
    expiresAt,
    createdBy,
    createdAt,
    modifiedBy,
    modifiedAt,
    expect,
    content,
  }
}

export const expectBits = ({ is }: Precondition): number => EXPECT[is] << EXPECT_SHIFT

export function readExpect(reader: ByteReader, bits: number): Precondition {
  switch (bits >> EXPECT_SHIFT) {
    case EXPECT.unknown:
      return { is: 'unknown' }
    case EXPECT.absent:
      return { is: 'absent' }
    case EXPECT.row:
      return { is: 'row', id: reader.bytes(8) }
    default:
      throw broken(`precondition ${bits >> EXPECT_SHIFT} is not known`)
  }
}

/** No entries are an empty text. */
export const metadataText = (metadata: Metadata): string => (metadata.length === 0 ? '' : JSON.stringify(metadata))

export function readMetadata(reader: ByteReader): Metadata {
  const value = reader.json(MAX_JSON_BYTES)
  if (value === undefined) return []
  if (!Array.isArray(value) || !value.every(isMetadataEntry)) throw broken('metadata is no list of entries')
  return value
}

export function isMetadataEntry(value: unknown): value is MetadataEntry {
  if (typeof value !== 'object' || value === null) return false
  const { key, system, description, link, color } = value as Record<string, unknown>
  if (typeof key !== 'string' || (system !== undefined && typeof system !== 'boolean')) return false
  return [description, link, color].every((shown) => shown === undefined || typeof shown === 'string')
}
