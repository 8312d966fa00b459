import { crc32, deflateRawSync } from 'node:zlib'
import {
  centralRecord,
  dosTimeOf,
  endRecords,
  localHeader,
  type WrittenEntry,
} from '../../src/backup/layouts/zip/zip-records.ts'

/** An entry as anybody may make it. */
export interface MadeEntry {
  readonly name: string
  readonly bytes: Buffer
  readonly deflated?: boolean
  /** What the directory says instead of the truth. */
  readonly claims?: Partial<WrittenEntry>
  /** Upper half of the attributes: mode of a Unix file. */
  readonly mode?: number
  /** Bit flags of the directory. */
  readonly flags?: number
}

const AT = dosTimeOf('20241224.171354')
const ATTRIBUTES = 38
const FLAGS = 8

/** A zip with these entries, honest or not. @param claimedEntries how many the end says there are. */
export function madeZip(entries: readonly MadeEntry[], claimedEntries = entries.length): Buffer {
  const local: Buffer[] = []
  const central: Buffer[] = []
  let position = 0
  for (const { name, bytes, deflated = false, claims, mode, flags } of entries) {
    const body = deflated ? deflateRawSync(bytes) : bytes
    const entry: WrittenEntry = {
      ...{ name, offset: position, method: deflated ? 'deflated' : 'stored', crc32: crc32(bytes) },
      ...{ packedBytes: body.length, sizeBytes: bytes.length, isDescribedLater: false, ...claims },
    }
    const header = localHeader(entry, AT)
    local.push(header, body)
    position += header.length + body.length
    const record = centralRecord(entry, AT)
    if (mode !== undefined) record.writeUInt32LE(mode * 2 ** 16, ATTRIBUTES)
    if (flags !== undefined) record.writeUInt16LE(flags, FLAGS)
    central.push(record)
  }
  const size = central.reduce((sum, { length }) => sum + length, 0)
  return Buffer.concat([...local, ...central, endRecords(claimedEntries, position, size)])
}
