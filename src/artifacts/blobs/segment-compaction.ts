import type { Clock } from '../../core/clock.ts'
import { digestOfBytes } from '../../core/digest.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type { BlobRow } from '../../metadata/storage/blobs.ts'
import {
  type BlobMove,
  detachWithdrawn,
  moveBlobs,
  pageSegment,
  type SegmentBlob,
} from '../../metadata/storage/packed-blobs.ts'
import {
  countLive,
  deleteIfUnnamed,
  markCompacting,
  pageSealed,
  type Segment,
  saveLiveBytes,
} from '../../metadata/storage/segments.ts'
import type { BlobStore, SmallContent } from '../../storage/blob-store.ts'
import { RECORD_HEADER_BYTES } from '../../storage/segments/record.ts'
import type { StraySegments } from './stray-segments.ts'

export interface SegmentCompactionDeps {
  readonly db: MetadataDatabase
  readonly store: BlobStore
  readonly clock: Pick<Clock, 'now'>
  /** Since a segment was sealed; longer than from `pack` to its commit. */
  readonly graceMs: number
  readonly strays: StraySegments
  /** Looks at a blob whose bytes could not be copied, and withdraws it when they are wrong or gone. */
  examine(blob: BlobRow, signal: AbortSignal): Promise<unknown>
}

export interface CompactionReport {
  /** Segments that were looked at. */
  readonly examined: number
  /** Segments that are gone, and strays. */
  readonly removed: number
  readonly movedBlobs: number
  /** Size of what was removed. */
  readonly freedBytes: number
}

export interface SegmentCompaction {
  /**
   * Copies what is alive in sealed segments, of which more than half is dead, to the open segment, and removes them. Any number of
   * processes may do it at once, and go on where another one died (docs/design/blobs.md).
   */
  run(signal: AbortSignal): Promise<CompactionReport>
}

const SEGMENTS_AT_ONCE = 100
const BLOBS_AT_ONCE = 500
/** Copied at once; all of it is in memory. */
const COPY_BYTES = 4 * 1024 * 1024
/** The second finds withdrawn what the first could not copy. */
const PASSES = 2

export function createSegmentCompaction(deps: SegmentCompactionDeps): SegmentCompaction {
  const { db, store, clock, graceMs, strays, examine } = deps

  /** @returns how many were moved. */
  async function copy(blobs: readonly SegmentBlob[], signal: AbortSignal): Promise<number> {
    const read = await store.readMany(blobs, signal)
    const contents: SmallContent[] = []
    const wrong: BlobRow[] = []
    const olds: SegmentBlob[] = []
    for (const blob of blobs) {
      const bytes = read.get(blob.digest)
      if (bytes !== undefined && digestOfBytes(bytes) === blob.digest) {
        contents.push({ digest: blob.digest, bytes })
        olds.push(blob)
      } else wrong.push(blob)
    }
    const places = await store.putMany(contents, signal)
    const moves = olds.map((old, index): BlobMove => ({ ...old, from: old.place, place: places[index]! }))
    const moved = await db.transact((trx) => moveBlobs(trx, moves))
    for (const blob of wrong) await examine(blob, signal)
    return moved
  }

  async function empty({ segment }: Segment, signal: AbortSignal): Promise<number> {
    let moved = 0
    for (let after = -1; ; ) {
      signal.throwIfAborted()
      const page = await pageSegment(db.read, segment, after, BLOBS_AT_ONCE)
      if (page.length === 0) return moved
      after = page.at(-1)!.place.offset
      const withdrawn = page.filter(({ standing }) => standing === 'withdrawn')
      if (withdrawn.length > 0) await db.transact((trx) => detachWithdrawn(trx, segment, withdrawn))
      for (const slice of inSlices(page.filter(({ standing }) => standing === 'promised'))) {
        moved += await copy(slice, signal)
      }
    }
  }

  /** @returns how many blobs were moved; undefined when the segment is to stay. */
  async function compact(segment: Segment, signal: AbortSignal): Promise<number | undefined> {
    const { blobs, bytes } = await countLive(db.slow, segment.segment)
    const liveBytes = bytes + blobs * RECORD_HEADER_BYTES
    if (liveBytes * 2 > segment.sizeBytes) {
      if (liveBytes !== segment.liveBytes) await db.transact((trx) => saveLiveBytes(trx, segment.segment, liveBytes))
      return undefined
    }
    await db.transact((trx) => markCompacting(trx, segment.segment))
    let moved = 0
    for (let pass = 1; pass <= PASSES; pass++) {
      moved += await empty(segment, signal)
      if (!(await db.transact((trx) => deleteIfUnnamed(trx, segment.segment)))) continue
      await store.removeSegment(segment)
      return moved
    }
    return undefined
  }

  return {
    async run(signal) {
      const swept = await strays.sweep(signal)
      let { removed, freedBytes } = swept
      let [examined, movedBlobs] = [0, 0]
      const sealedBefore = clock.now() - graceMs
      for (let after = 0; ; ) {
        const page = await pageSealed(db.read, sealedBefore, after, SEGMENTS_AT_ONCE)
        if (page.length === 0) return { examined, removed, movedBlobs, freedBytes }
        after = page.at(-1)!.segment
        for (const segment of page) {
          signal.throwIfAborted()
          examined++
          const moved = await compact(segment, signal)
          if (moved === undefined) continue
          removed++
          movedBlobs += moved
          freedBytes += segment.sizeBytes
        }
      }
    },
  }
}

function* inSlices(blobs: readonly SegmentBlob[]): Generator<SegmentBlob[]> {
  let slice: SegmentBlob[] = []
  let bytes = 0
  for (const blob of blobs) {
    slice.push(blob)
    bytes += blob.sizeBytes
    if (bytes < COPY_BYTES) continue
    yield slice
    slice = []
    bytes = 0
  }
  if (slice.length > 0) yield slice
}
