import type { Clock } from '../../core/clock.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { ownersOf } from '../../metadata/storage/segments.ts'
import type { BlobStore, StoredSegment } from '../../storage/blob-store.ts'

export interface StraySegmentsDeps {
  readonly db: Pick<MetadataDatabase, 'read'>
  readonly store: Pick<BlobStore, 'listSegments' | 'removeSegment'>
  readonly clock: Pick<Clock, 'now'>
  /** From its discovery in this process. */
  readonly graceMs: number
}

/** Segments that no row knows: their row went, and the process died before their file did. */
export interface StraySegments {
  /** Removes those that were strays during the grace time: should this be the wrong database, there is time to notice. */
  sweep(signal: AbortSignal): Promise<{ readonly removed: number; readonly freedBytes: number }>
}

const LOOKED_UP_AT_ONCE = 500

export function createStraySegments({ db, store, clock, graceMs }: StraySegmentsDeps): StraySegments {
  /** When they were found, by owner and number. */
  let found = new Map<string, number>()

  async function straysAmong(files: readonly StoredSegment[]): Promise<StoredSegment[]> {
    // A segment has its row before it has its file: what has none now has lost it.
    const owners = await ownersOf(
      db.read,
      files.map(({ segment }) => segment),
    )
    return files.filter(({ segment, owner }) => owners.get(segment) !== owner)
  }

  return {
    async sweep(signal) {
      const files = await Array.fromAsync(store.listSegments(signal))
      const still = new Map<string, number>()
      let [removed, freedBytes] = [0, 0]
      for (let at = 0; at < files.length; at += LOOKED_UP_AT_ONCE) {
        for (const stray of await straysAmong(files.slice(at, at + LOOKED_UP_AT_ONCE))) {
          signal.throwIfAborted()
          const key = `${stray.owner}/${stray.segment}`
          const since = found.get(key) ?? clock.now()
          if (clock.now() - since >= graceMs && found.has(key)) {
            await store.removeSegment(stray)
            removed++
            freedBytes += stray.sizeBytes
          } else still.set(key, since)
        }
      }
      found = still
      return { removed, freedBytes }
    },
  }
}
