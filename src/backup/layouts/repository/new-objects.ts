import type { Clock } from '../../../core/clock.ts'
import type { Entry, EntryPlace } from './entry.ts'
import type { IndexedObject } from './index-table.ts'
import type { Lease } from './lease.ts'
import type { Repository } from './repository.ts'

const INDEX_EVERY_MS = 10_000
const INDEX_EVERY_BYTES = 256 * 1024 * 1024

/** What a run has stored, or has begun to store. */
export interface NewObjects {
  /** Whether it, or the repository, has the entry. */
  has(key: Buffer): boolean
  /** Where an entry lies that is durable, in an index or not. */
  find(key: Buffer): EntryPlace | undefined
  /** From here on `has` tells of it: whoever says so stores it. */
  promise(key: Buffer): void
  /** It was not stored. */
  withdraw(key: Buffer): void
  /** The object is durable. Now and then all that are so far go to an index. */
  stored(object: IndexedObject, entries: readonly Entry[], signal: AbortSignal): Promise<void>
  /** All that is durable is in an index. */
  writeIndex(signal: AbortSignal): Promise<void>
}

export function createNewObjects({ index }: Repository, lease: Lease, clock: Clock): NewObjects {
  const promised = new Set<string>()
  const places = new Map<string, EntryPlace>()
  let objects: IndexedObject[] = []
  let entries: Entry[] = []
  let bytes = 0
  let writtenAt = clock.now()
  let writing: Promise<void> = Promise.resolve()
  const nameOf = (key: Buffer): string => key.toString('latin1')

  async function writePending(signal: AbortSignal): Promise<void> {
    if (objects.length === 0) return
    const [indexed, rows] = [objects, entries]
    objects = []
    entries = []
    bytes = 0
    writtenAt = clock.now()
    try {
      await lease.check(signal)
      await index.add(indexed, rows, signal)
    } catch (error) {
      // The next attempt has them, too: when the disk was full, there may be room by then.
      objects = [...indexed, ...objects]
      entries = [...rows, ...entries]
      throw error
    }
    // The index takes a fraction of the memory.
    for (const { key } of rows) {
      promised.delete(nameOf(key))
      places.delete(nameOf(key))
    }
    await lease.check(signal)
    await index.consolidate(signal)
  }
  function writeIndex(signal: AbortSignal): Promise<void> {
    const before = writing
    const next = before.catch(() => undefined).then(() => writePending(signal))
    writing = next
    next.catch(() => undefined)
    return next
  }
  return {
    has: (key) => promised.has(nameOf(key)) || index.find(key) !== undefined,
    find: (key) => places.get(nameOf(key)) ?? index.find(key),
    promise(key) {
      promised.add(nameOf(key))
    },
    withdraw(key) {
      promised.delete(nameOf(key))
    },
    async stored(object, stored, signal) {
      objects.push(object)
      for (const entry of stored) {
        entries.push(entry)
        places.set(nameOf(entry.key), entry)
        promised.add(nameOf(entry.key))
      }
      bytes += object.sizeBytes
      if (bytes >= INDEX_EVERY_BYTES || clock.now() - writtenAt >= INDEX_EVERY_MS) await writeIndex(signal)
    },
    writeIndex,
  }
}
