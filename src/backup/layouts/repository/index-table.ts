import { type Entry, type EntryPlace, KEY_BYTES } from './entry.ts'
import { brokenObject, OBJECT_ID_BYTES } from './object-seal.ts'

/** Counts of objects and of rows. */
const COUNTS_BYTES = 8
/** Id, size. */
const OBJECT_BYTES = OBJECT_ID_BYTES + 6
/** Key, number of the object, offset, stored bytes, plain bytes. */
const ROW_BYTES = KEY_BYTES + 22

export interface IndexedObject {
  /** Hex. */
  readonly id: string
  readonly sizeBytes: number
}

/** What one index object says, in the form it is stored in: rows ascending by key. */
export interface IndexTable {
  readonly objects: readonly IndexedObject[]
  readonly rows: number
  find(key: Buffer): EntryPlace | undefined
  entryAt(row: number): Entry
  keyAt(row: number): Buffer
}

export function encodeIndex(objects: readonly IndexedObject[], entries: readonly Entry[]): Buffer {
  const sorted = entries
    .map((entry) => ({ entry, prefix: entry.key.readUIntBE(0, 6) }))
    .sort((a, b) => a.prefix - b.prefix || a.entry.key.compare(b.entry.key))
  const numbers = new Map(objects.map(({ id }, number) => [id, number]))
  const bytes = Buffer.allocUnsafe(COUNTS_BYTES + objects.length * OBJECT_BYTES + sorted.length * ROW_BYTES)
  bytes.writeUInt32BE(objects.length, 0)
  bytes.writeUInt32BE(sorted.length, 4)
  let at = COUNTS_BYTES
  for (const { id, sizeBytes } of objects) {
    bytes.write(id, at, 'hex')
    at = bytes.writeUIntBE(sizeBytes, at + OBJECT_ID_BYTES, 6)
  }
  for (const { entry } of sorted) {
    entry.key.copy(bytes, at)
    at = bytes.writeUInt32BE(numbers.get(entry.object)!, at + KEY_BYTES)
    at = bytes.writeUIntBE(entry.offset, at, 6)
    at = bytes.writeUIntBE(entry.storedBytes, at, 6)
    at = bytes.writeUIntBE(entry.plainBytes, at, 6)
  }
  return bytes
}

/** @param bytes stay its own. @throws AppError ARTIFACT_BROKEN. */
export function decodeIndex(bytes: Buffer): IndexTable {
  if (bytes.length < COUNTS_BYTES) throw brokenObject('it is no index')
  const [objectCount, rows] = [bytes.readUInt32BE(0), bytes.readUInt32BE(4)]
  const rowsAt = COUNTS_BYTES + objectCount * OBJECT_BYTES
  if (bytes.length !== rowsAt + rows * ROW_BYTES) throw brokenObject('it is no index')
  const objects: IndexedObject[] = []
  for (let at = COUNTS_BYTES; at < rowsAt; at += OBJECT_BYTES) {
    const id = bytes.toString('hex', at, at + OBJECT_ID_BYTES)
    objects.push({ id, sizeBytes: bytes.readUIntBE(at + OBJECT_ID_BYTES, 6) })
  }
  const placeAt = (row: number): EntryPlace => {
    const at = rowsAt + row * ROW_BYTES + KEY_BYTES
    const object = objects[bytes.readUInt32BE(at)]
    if (object === undefined) throw brokenObject('it is no index')
    return {
      object: object.id,
      offset: bytes.readUIntBE(at + 4, 6),
      storedBytes: bytes.readUIntBE(at + 10, 6),
      plainBytes: bytes.readUIntBE(at + 16, 6),
    }
  }
  const keyAt = (row: number): Buffer => bytes.subarray(rowsAt + row * ROW_BYTES, rowsAt + row * ROW_BYTES + KEY_BYTES)

  return {
    objects,
    rows,
    keyAt,
    entryAt: (row) => ({ key: keyAt(row), ...placeAt(row) }),
    find(key) {
      const prefix = key.readUIntBE(0, 6)
      let [low, high] = [0, rows]
      while (low < high) {
        const middle = (low + high) >>> 1
        const at = rowsAt + middle * ROW_BYTES
        const order = bytes.readUIntBE(at, 6) - prefix || bytes.compare(key, 0, KEY_BYTES, at, at + KEY_BYTES)
        if (order === 0) return placeAt(middle)
        if (order < 0) low = middle + 1
        else high = middle
      }
      return undefined
    },
  }
}
