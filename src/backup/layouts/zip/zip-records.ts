/** Records of the zip format. Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3. */

export interface WrittenEntry {
  /** ASCII. */
  readonly name: string
  /** Of its local header. */
  readonly offset: number
  readonly method: 'stored' | 'deflated'
  readonly crc32: number
  readonly packedBytes: number
  readonly sizeBytes: number
  /** Its sizes follow it: they were not known before. */
  readonly isDescribedLater: boolean
}
export interface DosTime {
  readonly date: number
  readonly time: number
}

const MOST_16 = 0xffff
const MOST_32 = 0xffff_ffff
const METHODS = { stored: 0, deflated: 8 } as const
/** Zip64. */
const VERSION = 45
const MADE_ON_UNIX = 3 << 8
/** A plain file, for its owner alone. */
const FILE_ATTRIBUTES = 0o100600 * 2 ** 16
const DESCRIBED_LATER = 1 << 3
const ZIP64_FIELD = 1

/** A field that is a number of 32 or 64 bits as it stands in a record of fixed form. */
type Field = readonly [bytes: 2 | 4 | 8, value: number]

function record(...fields: readonly Field[]): Buffer {
  const bytes = Buffer.alloc(fields.reduce((sum, [length]) => sum + length, 0))
  let at = 0
  for (const [length, value] of fields) {
    if (length === 8) bytes.writeBigUInt64LE(BigInt(value), at)
    else bytes.writeUIntLE(value, at, length)
    at += length
  }
  return bytes
}

/** Sizes in 64 bits: for what may be large, and for what is not known yet. */
const zip64Sizes = (sizeBytes: number, packedBytes: number): Buffer =>
  record([2, ZIP64_FIELD], [2, 16], [8, sizeBytes], [8, packedBytes])

/** Of an entry whose sizes are not known yet (all zero), or are. */
export function localHeader(entry: Omit<WrittenEntry, 'offset'>, { date, time }: DosTime): Buffer {
  const { name, method, crc32, packedBytes, sizeBytes, isDescribedLater } = entry
  const isLarge = isDescribedLater || sizeBytes >= MOST_32 || packedBytes >= MOST_32
  const extra = isLarge ? zip64Sizes(sizeBytes, packedBytes) : Buffer.alloc(0)
  const fixed = record(
    ...([
      [4, 0x04034b50],
      [2, VERSION],
      [2, isDescribedLater ? DESCRIBED_LATER : 0],
      [2, METHODS[method]],
    ] as const),
    ...([
      [2, time],
      [2, date],
      [4, crc32],
    ] as const),
    ...([
      [4, isLarge ? MOST_32 : packedBytes],
      [4, isLarge ? MOST_32 : sizeBytes],
    ] as const),
    ...([
      [2, name.length],
      [2, extra.length],
    ] as const),
  )
  return Buffer.concat([fixed, Buffer.from(name, 'latin1'), extra])
}

/** What follows an entry that is described later; its sizes have 64 bits, as the local header has announced. */
export const dataDescriptor = ({ crc32, packedBytes, sizeBytes }: Omit<WrittenEntry, 'offset'>): Buffer =>
  record([4, 0x08074b50], [4, crc32], [8, packedBytes], [8, sizeBytes])

export function centralRecord(entry: WrittenEntry, { date, time }: DosTime): Buffer {
  const { name, offset, method, crc32, packedBytes, sizeBytes, isDescribedLater } = entry
  const isLarge = Math.max(offset, packedBytes, sizeBytes) >= MOST_32
  const extra = isLarge
    ? record([2, ZIP64_FIELD], [2, 24], [8, sizeBytes], [8, packedBytes], [8, offset])
    : Buffer.alloc(0)
  const or32 = (value: number) => (isLarge ? MOST_32 : value)
  const fixed = record(
    ...([
      [4, 0x02014b50],
      [2, MADE_ON_UNIX | VERSION],
      [2, VERSION],
    ] as const),
    ...([
      [2, isDescribedLater ? DESCRIBED_LATER : 0],
      [2, METHODS[method]],
      [2, time],
      [2, date],
      [4, crc32],
    ] as const),
    ...([
      [4, or32(packedBytes)],
      [4, or32(sizeBytes)],
      [2, name.length],
      [2, extra.length],
      [2, 0],
    ] as const),
    ...([
      [2, 0],
      [2, 0],
      [4, FILE_ATTRIBUTES],
      [4, or32(offset)],
    ] as const),
  )
  return Buffer.concat([fixed, Buffer.from(name, 'latin1'), extra])
}

/** @param start of the central directory. @param size of it, in bytes. Always with the records of zip64: every reader takes them. */
export function endRecords(entries: number, start: number, size: number): Buffer {
  const zip64 = record(
    ...([
      [4, 0x06064b50],
      [8, 44],
      [2, MADE_ON_UNIX | VERSION],
      [2, VERSION],
      [4, 0],
      [4, 0],
    ] as const),
    ...([
      [8, entries],
      [8, entries],
      [8, size],
      [8, start],
    ] as const),
  )
  const locator = record([4, 0x07064b50], [4, 0], [8, start + size], [4, 1])
  const count = Math.min(entries, MOST_16)
  const end = record(
    ...([
      [4, 0x06054b50],
      [2, 0],
      [2, 0],
      [2, count],
      [2, count],
    ] as const),
    ...([
      [4, Math.min(size, MOST_32)],
      [4, Math.min(start, MOST_32)],
      [2, 0],
    ] as const),
  )
  return Buffer.concat([zip64, locator, end])
}

/** Local time without a zone, to two seconds, from 1980 to 2107. @param run `yyyyMMdd.HHmmss`. */
export function dosTimeOf(run: string): DosTime {
  const part = (from: number, length: number) => Number(run.slice(from, from + length))
  const year = Math.min(Math.max(part(0, 4) - 1980, 0), 127)
  return {
    date: (year << 9) | (part(4, 2) << 5) | part(6, 2),
    time: (part(9, 2) << 11) | (part(11, 2) << 5) | (part(13, 2) >> 1),
  }
}
