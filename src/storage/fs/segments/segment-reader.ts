import type { Readable } from 'node:stream'
import { mapConcurrent } from '../../../core/concurrency.ts'
import { type Digest, digestOfBytes } from '../../../core/digest.ts'
import type { ByteRange } from '../../blob-store.ts'
import { contentAt, RECORD_HEADER_BYTES } from '../../segments/record.ts'
import type { PackedPlace } from '../../segments/segment-index.ts'
import { streamOfOne } from '../blob-reader.ts'
import { readFully } from '../raw-file.ts'
import type { HeldSegment, SegmentFiles } from './segment-files.ts'
import { streamSegment } from './segment-stream.ts'

export type PlacedBlob = readonly [digest: Digest, place: PackedPlace]

/** Reads blobs at their places in segments. */
export interface SegmentReader {
  /** The file is there and long enough. */
  holds(place: PackedPlace): Promise<boolean>
  /** Bytes [start, end) of the blob, as they are. @returns undefined when the segment is not there. */
  open(place: PackedPlace, range: ByteRange | undefined, signal: AbortSignal): Promise<Readable | undefined>
  /** Whole contents; those that are neither what their record says nor what their digest says are left out. Contents may share memory. */
  readMany(blobs: readonly PlacedBlob[], signal: AbortSignal): Promise<Map<Digest, Buffer>>
}

/** Up to this much is read at once. */
const READ_AT_ONCE_BYTES = 64 * 1024
/** Records that lie side by side are read together up to this much … */
const RUN_BYTES = 2 * 1024 * 1024
/** … and up to this much that nobody asked for is read with them: cheaper than another read. */
const GAP_BYTES = 32 * 1024
const RUNS_AT_ONCE = 4

interface Run {
  readonly blobs: PlacedBlob[]
  readonly start: number
  end: number
}

export function createSegmentReader(files: SegmentFiles): SegmentReader {
  async function readRun({ blobs, start, end }: Run): Promise<(readonly [Digest, Buffer])[]> {
    using held: HeldSegment | undefined = await files.hold(blobs[0]![1])
    if (held === undefined) return []
    const bytes = await readFully(held.file, start, end - start)
    return blobs.flatMap(([digest, { offset, sizeBytes }]) => {
      const at = offset - start
      const content = contentAt(bytes, at, digest, sizeBytes) ?? provenAt(bytes, at, digest, sizeBytes)
      return content === undefined ? [] : [[digest, content] as const]
    })
  }

  return {
    async holds(place) {
      using held = await files.hold(place)
      return held !== undefined && (await held.file.stat()).size >= place.offset + place.sizeBytes
    },
    async open(place, range, signal) {
      const held = await files.hold(place)
      if (held === undefined) return undefined
      const start = place.offset + Math.min(range?.start ?? 0, place.sizeBytes)
      const end = Math.max(start, place.offset + Math.min(range?.end ?? place.sizeBytes, place.sizeBytes))
      if (end - start > READ_AT_ONCE_BYTES) return streamSegment(held, start, end, signal)
      using _ = held
      return streamOfOne(await readFully(held.file, start, end - start))
    },
    async readMany(blobs, signal) {
      const read = await mapConcurrent(runsOf(blobs), RUNS_AT_ONCE, readRun, signal)
      return new Map(read.flat())
    },
  }
}

/** A record's header may be damaged alone: the row tells the place, and sha256 whether these are the bytes. */
function provenAt(bytes: Buffer, at: number, digest: Digest, sizeBytes: number): Buffer | undefined {
  const content = bytes.subarray(at, at + sizeBytes)
  return content.length === sizeBytes && digestOfBytes(content) === digest ? content : undefined
}

function runsOf(blobs: readonly PlacedBlob[]): Run[] {
  const sorted = [...blobs].sort(([, a], [, b]) => a.segment - b.segment || a.offset - b.offset)
  const runs: Run[] = []
  for (const blob of sorted) {
    const { segment, offset, sizeBytes } = blob[1]
    const [start, end] = [offset - RECORD_HEADER_BYTES, offset + sizeBytes]
    const last = runs.at(-1)
    const joins = last !== undefined && last.blobs[0]![1].segment === segment
    if (joins && start - last.end <= GAP_BYTES && end - last.start <= RUN_BYTES) {
      last.blobs.push(blob)
      last.end = Math.max(last.end, end)
    } else runs.push({ blobs: [blob], start, end })
  }
  return runs
}
