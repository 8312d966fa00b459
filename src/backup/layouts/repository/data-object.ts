import type { BackupLocation, ObjectReader } from '../../../storage/backup-location.ts'
import { type Entry, isKnownKind, KEY_BYTES, NO_KEY } from './entry.ts'
import { frameOverhead, openFrame, sealedBytes, sealFrame } from './frame.ts'
import { brokenObject, HEADER_BYTES, type ObjectSeal, readSeal } from './object-seal.ts'

/** Key, offset, stored bytes, plain bytes. */
const ROW_BYTES = KEY_BYTES + 18
const FOOTER_MAGIC = Buffer.from('EBKT')
/** Offset of the trailer, and what tells it. */
export const FOOTER_BYTES = 12

export const dataName = (id: string): string => `data/${id.slice(0, 2)}/${id}`
/** Undefined: it is no name of a data object. */
export const dataIdOf = (name: string): string | undefined => /^data\/[0-9a-f]{2}\/([0-9a-f]{32})$/.exec(name)?.[1]

/** What ends a data object whose entries end at `offset`: a frame that lists them, and where that begins. */
export function sealTrailer(seal: ObjectSeal, entries: readonly Omit<Entry, 'object'>[], offset: number): Buffer {
  const rows = Buffer.allocUnsafe(entries.length * ROW_BYTES)
  entries.forEach((entry, number) => {
    const at = number * ROW_BYTES
    entry.key.copy(rows, at)
    rows.writeUIntBE(entry.offset, at + KEY_BYTES, 6)
    rows.writeUIntBE(entry.storedBytes, at + KEY_BYTES + 6, 6)
    rows.writeUIntBE(entry.plainBytes, at + KEY_BYTES + 12, 6)
  })
  const sealed = Buffer.allocUnsafe(sealedBytes(seal, rows.length) + FOOTER_BYTES)
  const length = sealFrame(seal, { about: NO_KEY, offset, position: 'last' }, rows, 'none', sealed)
  sealed.writeUIntBE(0, length, 2)
  sealed.writeUIntBE(offset, length + 2, 6)
  FOOTER_MAGIC.copy(sealed, length + 8)
  return sealed.subarray(0, length + FOOTER_BYTES)
}

/** A data object that is open. */
export interface OpenData extends AsyncDisposable {
  readonly id: string
  readonly seal: ObjectSeal
  readonly reader: ObjectReader
}

/** @throws AppError BLOB_UNKNOWN; ARTIFACT_BROKEN when its header is damaged. */
export async function openData(
  location: BackupLocation,
  master: Buffer | undefined,
  id: string,
  signal: AbortSignal,
): Promise<OpenData> {
  const reader = await location.open(dataName(id), signal)
  try {
    const header = await readExactly(reader, 0, HEADER_BYTES, signal)
    const seal = readSeal('data', Buffer.from(id, 'hex'), master, header)
    return { id, seal, reader, [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose]() }
  } catch (error) {
    await reader[Symbol.asyncDispose]()
    throw error
  }
}

/** What an object says that it holds: all its bytes are those of its header, its entries in order, and its trailer. @throws AppError ARTIFACT_BROKEN. */
export async function readTrailer({ id, seal, reader }: OpenData, signal: AbortSignal): Promise<Entry[]> {
  const footerAt = reader.sizeBytes - FOOTER_BYTES
  if (footerAt < HEADER_BYTES) throw brokenObject('it is too short')
  const footer = await readExactly(reader, footerAt, FOOTER_BYTES, signal)
  const offset = footer.readUIntBE(2, 6)
  const isWhole = footer.readUInt16BE(0) === 0 && footer.subarray(8).equals(FOOTER_MAGIC)
  if (!isWhole || offset < HEADER_BYTES || offset > footerAt) throw brokenObject('its end is not what was written')
  const frame = await readExactly(reader, offset, footerAt - offset, signal)
  const rows = Buffer.allocUnsafe(Math.max(0, frame.length - frameOverhead(seal)))
  openFrame(seal, { about: NO_KEY, offset, position: 'last' }, frame, rows)
  const entries = rowsOf(rows, id)
  let end = HEADER_BYTES
  for (const entry of entries) {
    if (entry.offset !== end || !isKnownKind(entry.key)) throw brokenObject('its trailer does not fit')
    end += entry.storedBytes
  }
  if (end !== offset) throw brokenObject('its trailer does not fit')
  return entries
}

function rowsOf(rows: Buffer, object: string): Entry[] {
  const entries: Entry[] = []
  for (let at = 0; at < rows.length; at += ROW_BYTES) {
    entries.push({
      key: rows.subarray(at, at + KEY_BYTES),
      object,
      offset: rows.readUIntBE(at + KEY_BYTES, 6),
      storedBytes: rows.readUIntBE(at + KEY_BYTES + 6, 6),
      plainBytes: rows.readUIntBE(at + KEY_BYTES + 12, 6),
    })
  }
  return entries
}

/** @throws AppError ARTIFACT_BROKEN when the object ends before. */
export async function readExactly(
  reader: ObjectReader,
  position: number,
  length: number,
  signal: AbortSignal,
): Promise<Buffer> {
  if (position + length > reader.sizeBytes) throw brokenObject('it is shorter than it was')
  const bytes = Buffer.allocUnsafe(length)
  await readInto(reader, bytes, position, signal)
  return bytes
}

/** Fills `into`. @throws AppError ARTIFACT_BROKEN when the object ends before. */
export async function readInto(
  reader: ObjectReader,
  into: Buffer,
  position: number,
  signal: AbortSignal,
): Promise<void> {
  if ((await reader.read(into, position, signal)) < into.length) throw brokenObject('it is shorter than it was')
}
