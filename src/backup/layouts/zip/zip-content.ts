import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { crc32, createInflateRaw, inflateRawSync } from 'node:zlib'
import { AppError, messageOf } from '../../../core/errors.ts'
import { type PullSource, pulledFrom } from '../../../core/pull-source.ts'
import type { ObjectReader } from '../../../storage/backup-location.ts'
import { shown } from '../../../storage/object-name.ts'
import type { ZipEntry } from './zip-entries.ts'

const HEADER_BYTES = 30
const HEADER_SIGNATURE = 0x04034b50
const READ_BYTES = 256 * 1024
/** Up to this much an entry is read in one go with its header, and unpacked as a whole. */
const HELD_BYTES = 256 * 1024
/** What most headers have beside the name. */
const USUAL_EXTRA_BYTES = 64

/**
 * Unpacks an entry as it is asked for: never more than the archive says, and its checksum is right when the end is reached.
 * @throws AppError ARTIFACT_BROKEN, also when it is read.
 */
export async function openZipEntry(object: ObjectReader, entry: ZipEntry, signal: AbortSignal): Promise<PullSource> {
  const isSmall = entry.packedBytes <= HELD_BYTES && entry.sizeBytes <= HELD_BYTES
  const headerBytes = HEADER_BYTES + entry.rawName.length
  const begin = Buffer.allocUnsafe(headerBytes + (isSmall ? USUAL_EXTRA_BYTES + entry.packedBytes : 0))
  const count = await object.read(begin, entry.offset, signal)
  const skipped = headerLength(begin.subarray(0, Math.min(count, headerBytes)), entry)
  const held = begin.subarray(skipped, Math.min(count, skipped + entry.packedBytes))
  if (isSmall && held.length === entry.packedBytes) return checkedSource(heldSource(unpacked(held, entry)), entry)
  const packed = packedBytes(object, entry, entry.offset + skipped)
  return checkedSource(entry.isDeflated ? inflated(packed, entry, signal) : packed, entry)
}

/**
 * With the name and what follows it. What the local header says must be what the directory says, else two readers may see two archives.
 */
function headerLength(header: Buffer, entry: ZipEntry): number {
  const isHeader =
    header.length === HEADER_BYTES + entry.rawName.length &&
    header.readUInt32LE(0) === HEADER_SIGNATURE &&
    header.readUInt16LE(26) === entry.rawName.length &&
    header.subarray(HEADER_BYTES).equals(entry.rawName)
  if (!isHeader) throw broken(entry, 'its header is not the one that the directory of the zip promises')
  return header.length + header.readUInt16LE(28)
}

function unpacked(packed: Buffer, entry: ZipEntry): Buffer {
  if (!entry.isDeflated) return packed
  try {
    // One byte more tells an entry that is longer than it says.
    return inflateRawSync(packed, { maxOutputLength: entry.sizeBytes + 1 })
  } catch (error) {
    throw broken(entry, messageOf(error))
  }
}

function packedBytes(object: ObjectReader, entry: ZipEntry, start: number): PullSource {
  let at = start
  const end = start + entry.packedBytes
  return {
    async read(into, signal) {
      const count = await object.read(into.subarray(0, Math.min(into.length, end - at)), at, signal)
      if (count < into.length && at + count < end) throw broken(entry, 'the zip ends before it')
      at += count
      return count
    },
    async [Symbol.asyncDispose]() {},
  }
}

function heldSource(plain: Buffer): PullSource {
  let at = 0
  return {
    async read(into) {
      const count = plain.copy(into, 0, at)
      at += count
      return count
    },
    async [Symbol.asyncDispose]() {},
  }
}

function inflated(packed: PullSource, entry: ZipEntry, signal: AbortSignal): PullSource {
  async function* chunks() {
    const buffer = Buffer.allocUnsafe(READ_BYTES)
    for (;;) {
      const count = await packed.read(buffer, signal)
      if (count === 0) return
      // The inflater may hold it until the next one is asked for.
      yield Buffer.from(buffer.subarray(0, count))
    }
  }
  const inflate = createInflateRaw()
  // Whoever reads the inflater hears of the error.
  pipeline(Readable.from(chunks()), inflate).catch(() => undefined)
  const plain = pulledFrom(inflate)
  return {
    async read(into, both) {
      try {
        return await plain.read(into, both)
      } catch (error) {
        both.throwIfAborted()
        throw error instanceof AppError || !isZlib(error) ? error : broken(entry, messageOf(error))
      }
    },
    [Symbol.asyncDispose]: () => plain[Symbol.asyncDispose](),
  }
}

function checkedSource(plain: PullSource, entry: ZipEntry): PullSource {
  let length = 0
  let crc = 0
  return {
    async read(into, signal) {
      const count = await plain.read(into, signal)
      length += count
      crc = crc32(into.subarray(0, count), crc)
      if (length > entry.sizeBytes) throw broken(entry, `it has more than the ${entry.sizeBytes} bytes that it says`)
      const isEnd = count < into.length || length === entry.sizeBytes
      if (isEnd && (length !== entry.sizeBytes || crc !== entry.crc32)) {
        throw broken(entry, 'its bytes are not those of its checksum')
      }
      return count
    },
    [Symbol.asyncDispose]: () => plain[Symbol.asyncDispose](),
  }
}

const isZlib = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && String(error.code).startsWith('Z_')

const broken = ({ name }: ZipEntry, why: string): AppError =>
  new AppError('ARTIFACT_BROKEN', `Entry [${shown(name)}] of the zip is damaged: ${why}`, {})
