import type { Clock } from '../../core/clock.ts'
import { digestOfBytes } from '../../core/digest.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type { BlobRow } from '../../metadata/storage/blobs.ts'
import {
  type BlobMove,
  detachWithdrawn,
  isGivenUp,
  moveBlobs,
  pageSegment,
  type SegmentBlob,
} from '../../metadata/storage/packed-blobs.ts'
import {
  countLive,
  deleteIfUnnamed,
  markCompacting,
  pageRetired,
  pageSealed,
  retireIfUnnamed,
  type Segment,
  saveLiveBytes,
  sealOpenSegments,
} from '../../metadata/storage/segments.ts'
import type { BlobStore, SmallContent } from '../../storage/blob-store.ts'
import { RECORD_HEADER_BYTES } from '../../storage/segments/record.ts'
import type { StraySegments } from './stray-segments.ts'

export interface SegmentCompactionDeps {
  readonly db: MetadataDatabase
  readonly store: BlobStore
  readonly clock: Pick<Clock, 'now'>
  /**
   * Since a segment was sealed: longer than from `pack` to its commit. And since it was retired: longer than it takes to copy the
   * blobs after the metadata (docs/operations.md).
   */
  readonly graceMs: number
  readonly strays: StraySegments
  /** Looks at a blob whose bytes could not be copied, and withdraws it when they are wrong or gone. */
  examine(blob: BlobRow, signal: AbortSignal): Promise<unknown>
}

export interface CompactionReport {
  /** Segments that were looked at. */
  readonly examined: number
  /** Segments from which everything has moved; their files go after the grace time. */
  readonly retired: number
  readonly movedBlobs: number
  /** Files of retired segments, and strays. */
  readonly removed: number
  /** Size of what was removed. */
  readonly freedBytes: number
}

export interface SegmentCompaction {
  /**
   * Copies what is alive in sealed segments, of which more than half is dead, to the open segment, retires them, and removes those
   * that have been retired for the grace time. Any number of processes may do it at once, and go on where another one died
   * (docs/design/blobs.md).
   */
  run(signal: AbortSignal): Promise<CompactionReport>
}

/**
 * What has been open for so long is sealed: its owner may never come back, and what is dead in it would stay. An owner that lives
 * begins another.
 */
const OPEN_MS = 7 * 86_400_000
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
    const moved = await move(moves)
    for (const blob of wrong) await examine(blob, signal)
    return moved
  }

  async function move(moves: readonly BlobMove[]): Promise<number> {
    try {
      return await db.transact((trx) => moveBlobs(trx, moves))
    } catch (error) {
      // The next run copies to another segment.
      if (isGivenUp(error)) for (const { place } of moves) store.leaveSegment(place)
      throw error
    }
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
      if (await db.transact((trx) => retireIfUnnamed(trx, segment.segment, clock.now()))) return moved
    }
    return undefined
  }

  /** First the row, then the file: a process that dies in between leaves a stray. */
  async function removeRetired(before: number, signal: AbortSignal): Promise<Segment[]> {
    const gone: Segment[] = []
    for (let after = 0; ; ) {
      const page = await pageRetired(db.read, before, after, SEGMENTS_AT_ONCE)
      if (page.length === 0) return gone
      after = page.at(-1)!.segment
      for (const segment of page) {
        signal.throwIfAborted()
        if (!(await db.transact((trx) => deleteIfUnnamed(trx, segment.segment)))) continue
        await store.removeSegment(segment)
        gone.push(segment)
      }
    }
  }

  return {
    async run(signal) {
      const swept = await strays.sweep(signal)
      const now = clock.now()
      await db.transact((trx) => sealOpenSegments(trx, { begunBefore: now - OPEN_MS }, now))
      const before = now - graceMs
      const gone = await removeRetired(before, signal)
      const removed = swept.removed + gone.length
      const freedBytes = gone.reduce((sum, { sizeBytes }) => sum + sizeBytes, swept.freedBytes)
      let [examined, retired, movedBlobs] = [0, 0, 0]
      for (let after = 0; ; ) {
        const page = await pageSealed(db.read, before, after, SEGMENTS_AT_ONCE)
        if (page.length === 0) return { examined, retired, movedBlobs, removed, freedBytes }
        after = page.at(-1)!.segment
        for (const segment of page) {
          signal.throwIfAborted()
          examined++
          const moved = await compact(segment, signal)
          if (moved === undefined) continue
          retired++
          movedBlobs += moved
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
