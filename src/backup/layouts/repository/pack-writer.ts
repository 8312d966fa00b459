import type { Ids, Random } from '../../../core/ids.ts'
import type { BackupLocation } from '../../../storage/backup-location.ts'
import { dataName, sealTrailer } from './data-object.ts'
import type { Entry } from './entry.ts'
import { type Compression, mostEntryBytes } from './frame.ts'
import type { IndexedObject } from './index-table.ts'
import { HEADER_BYTES, newSeal, type ObjectSeal } from './object-seal.ts'
import { sealEntry } from './whole-entry.ts'

export const PACK_BYTES = 16 * 1024 * 1024
/** Of very small entries; the trailer stays below a few MB. */
const MOST_ENTRIES = 32_768
/** Being written while the next is filled. */
const MOST_UNDER_WAY = 2

/** Collects small entries into data objects of about 16 MiB. */
export interface PackWriter {
  /** Copies and seals; the caller does not wait for the disk but when two packs are on their way to it. */
  add(key: Buffer, plain: Buffer, signal: AbortSignal): Promise<void>
  /** All that was added is durable. @throws what a write threw. */
  flush(signal: AbortSignal): Promise<void>
  /** Nothing is under way. */
  idle(): Promise<void>
}

export interface PackWriterDeps {
  readonly location: BackupLocation
  readonly master: Buffer | undefined
  readonly ids: Ids
  readonly random: Random
  readonly compression: Compression
  readonly onPacked: (object: IndexedObject, entries: readonly Entry[]) => Promise<void>
}

interface OpenPack {
  readonly id: string
  readonly seal: ObjectSeal
  readonly bytes: Buffer
  readonly entries: Entry[]
  filled: number
}

export function createPackWriter(deps: PackWriterDeps): PackWriter {
  const { location, master, ids, random, compression, onPacked } = deps
  const underWay = new Set<Promise<void>>()
  let pack: OpenPack | undefined
  let spare: Buffer | undefined
  let failure: { readonly error: unknown } | undefined

  function begin(atLeastBytes: number): OpenPack {
    const id = ids.key()
    const seal = newSeal('data', Buffer.from(id, 'hex'), master, random.bytes(32))
    const length = Math.max(PACK_BYTES, HEADER_BYTES + atLeastBytes)
    const bytes = spare !== undefined && spare.length >= length ? spare : Buffer.allocUnsafeSlow(length)
    spare = undefined
    bytes.set(seal.header)
    return { id, seal, bytes, entries: [], filled: HEADER_BYTES }
  }
  async function write({ id, seal, bytes, entries, filled }: OpenPack, signal: AbortSignal): Promise<void> {
    const trailer = sealTrailer(seal, entries, filled)
    {
      await using writer = await location.create(dataName(id), signal)
      await writer.write(bytes.subarray(0, filled))
      await writer.write(trailer)
      await writer.publish()
    }
    spare = bytes
    await onPacked({ id, sizeBytes: filled + trailer.length }, entries)
  }
  async function close(signal: AbortSignal): Promise<void> {
    if (pack === undefined) return
    const writing = write(pack, signal).catch((error: unknown) => {
      failure ??= { error }
    })
    pack = undefined
    underWay.add(writing)
    void writing.then(() => underWay.delete(writing))
    if (underWay.size >= MOST_UNDER_WAY) await Promise.race(underWay)
    if (failure !== undefined) throw failure.error
  }
  const idle = async () => {
    await Promise.all(underWay)
  }
  return {
    async add(key, plain, signal) {
      if (failure !== undefined) throw failure.error
      const most = mostEntryBytes(plain.length)
      const isFull = (of: OpenPack) => of.filled + most > of.bytes.length || of.entries.length >= MOST_ENTRIES
      if (pack !== undefined && isFull(pack)) await close(signal)
      pack ??= begin(most)
      const { seal, id, filled, entries, bytes } = pack
      const storedBytes = sealEntry(seal, key, filled, plain, compression, bytes.subarray(filled))
      entries.push({ key, object: id, offset: filled, storedBytes, plainBytes: plain.length })
      pack.filled += storedBytes
    },
    async flush(signal) {
      await close(signal)
      await idle()
      if (failure !== undefined) throw failure.error
    },
    idle,
  }
}
