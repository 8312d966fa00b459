import { digestBytes, digestFromBytes } from '../../core/digest.ts'
import type { BlobStat } from '../../storage/blob-store.ts'
import { createDigestSet } from './digest-set.ts'
import type { Spool, SpoolPlace } from './spool.ts'

/** Contents that a run needs, in the order in which their files were read, which is about how they lie on disk. */
export interface BlobList {
  readonly count: number
  readonly bytes: number
  /** @param sha256 32 bytes. @returns whether `flush` is due. */
  add(sha256: Uint8Array, sizeBytes: number): boolean
  flush(): Promise<void>
  /** After the last `flush`. `limit` at once, at most. */
  pages(limit: number): AsyncGenerator<BlobStat[]>
}

/** Digest, then the size as a double. */
const ENTRY_BYTES = 40
const ENTRIES_AT_ONCE = 4_096
/** What is told apart: of more, some come twice. 48 MB. */
const MOST_TOLD_APART = 1_000_000

export function createBlobList(spool: Spool): BlobList {
  const seen = createDigestSet()
  const places: SpoolPlace[] = []
  let page = Buffer.allocUnsafeSlow(ENTRIES_AT_ONCE * ENTRY_BYTES)
  let filled = 0
  let [count, bytes] = [0, 0]
  return {
    get count() {
      return count
    },
    get bytes() {
      return bytes
    },
    add(sha256, sizeBytes) {
      if (seen.size >= MOST_TOLD_APART) seen.clear()
      if (!seen.add(sha256)) return false
      page.set(sha256, filled)
      page.writeDoubleLE(sizeBytes, filled + 32)
      filled += ENTRY_BYTES
      count++
      bytes += sizeBytes
      return filled === page.length
    },
    async flush() {
      if (filled === 0) return
      const full = page.subarray(0, filled)
      page = Buffer.allocUnsafeSlow(page.length)
      filled = 0
      places.push(await spool.append(full))
    },
    async *pages(limit) {
      for (const place of places) {
        const entries = await spool.read(place)
        for (let at = 0; at < entries.length; at += limit * ENTRY_BYTES) {
          yield statsIn(entries.subarray(at, at + limit * ENTRY_BYTES))
        }
      }
    },
  }
}

function statsIn(entries: Buffer): BlobStat[] {
  const stats: BlobStat[] = []
  for (let at = 0; at < entries.length; at += ENTRY_BYTES) {
    stats.push({ digest: digestFromBytes(entries.subarray(at, at + 32)), sizeBytes: entries.readDoubleLE(at + 32) })
  }
  return stats
}

/** @returns whether `flush` is due. */
export const addBlob = (list: BlobList, { digest, sizeBytes }: BlobStat): boolean =>
  list.add(digestBytes(digest), sizeBytes)
