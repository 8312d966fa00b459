import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { Hlc } from '../../../core/hlc.ts'
import { ByteReader } from './byte-reader.ts'
import { type ByteWriter, maxTextBytes } from './byte-writer.ts'
import { expectBits, readExpect } from './entry-codec.ts'
import type { VersionFrame } from './frame.ts'
import { FRAME_NUMBER } from './frame-kinds.ts'
import { broken, FRAME_BYTES, MAX_DOCUMENT_BYTES, MAX_NAME_BYTES } from './frame-limits.ts'
import { onlyExpect, writeRowId } from './item-codec.ts'
import { readDocument } from './version-document.ts'

/** Bits, clock, two lengths, a row id. */
const FIXED_BYTES = 48
/** Bit: the document is zstd. */
const PACKED = 1
/** Documents from here on are packed: one that says the same of hundreds of files shrinks to a sixth. */
const PACKED_FROM_BYTES = 16 * 1024
const LEVEL = 1
/** Largest window that unpacking allocates, whatever the bytes claim: 1 MiB. */
const WINDOW_LOG = 20

/** @throws RangeError when it is larger than a frame may be. */
export function writeVersion(writer: ByteWriter, frame: Omit<VersionFrame, 'item'>, item: number): number {
  const { packageKey, version, origin } = frame
  const text = Buffer.from(JSON.stringify(frame.document))
  if (text.length > MAX_DOCUMENT_BYTES) throw new RangeError(`it says ${text.length} bytes of its files`)
  const isPacked = text.length >= PACKED_FROM_BYTES
  const document = isPacked ? zstdCompressSync(text, { params: { [constants.ZSTD_c_compressionLevel]: LEVEL } }) : text
  if (document.length > FRAME_BYTES) throw new RangeError(`it takes ${document.length} bytes, more than ${FRAME_BYTES}`)
  const texts = maxTextBytes(packageKey) + maxTextBytes(version) + maxTextBytes(origin)
  writer.open(FRAME_NUMBER.version, item, FIXED_BYTES + texts + document.length)
  writer.u8(expectBits(frame.expect) | (isPacked ? PACKED : 0))
  writer.hex(frame.hlc)
  writer.text(packageKey)
  writer.text(version)
  writer.text(origin)
  writer.varint(text.length)
  if (isPacked) writer.varint(document.length)
  writer.raw(document)
  writeRowId(writer, frame.expect)
  return writer.close(0)
}

export function readVersion(reader: ByteReader, item: number): VersionFrame {
  const bits = onlyExpect(reader, PACKED)
  const hlc = reader.hex(8) as Hlc
  const packageKey = reader.text(MAX_NAME_BYTES)
  const version = reader.text(MAX_NAME_BYTES)
  const origin = reader.text(MAX_NAME_BYTES)
  const value = (bits & PACKED) === 0 ? reader.json(FRAME_BYTES) : unpacked(sizeIn(reader), reader)
  const document = readDocument(value)
  const expect = readExpect(reader, bits)
  reader.done()
  return { type: 'version', item, packageKey, version, origin, hlc, document, expect }
}

function sizeIn(reader: ByteReader): number {
  const sizeBytes = reader.varint()
  if (sizeBytes === 0 || sizeBytes > MAX_DOCUMENT_BYTES)
    throw broken(`a VERSION of ${sizeBytes} bytes is larger than it may be`)
  return sizeBytes
}

function unpacked(sizeBytes: number, reader: ByteReader): unknown {
  const packed = reader.bytes(reader.count(FRAME_BYTES))
  const plain = inflated(packed, sizeBytes)
  if (plain.length !== sizeBytes) throw broken(`the document of a VERSION has ${plain.length} bytes, not ${sizeBytes}`)
  return new ByteReader(plain, 0, plain.length, 'VERSION').allJson()
}

function inflated(packed: Buffer, maxOutputLength: number): Buffer {
  try {
    return zstdDecompressSync(packed, { maxOutputLength, params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG } })
  } catch (error) {
    throw broken(`the document of a VERSION cannot be unpacked: ${(error as Error).message}`)
  }
}
