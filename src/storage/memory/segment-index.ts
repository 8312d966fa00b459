import type { Digest } from '../../core/digest.ts'
import type { BlobStat, PackPlace } from '../blob-store.ts'
import type { EndedSegment, PackedPlace, SegmentIndex } from '../segments/segment-index.ts'

/** For tests: what the rows of a database would say. */
export interface MemorySegmentIndex extends SegmentIndex {
  /** As a committed row does; what was said of the blob before is void. */
  promise(blob: BlobStat, place: PackPlace | undefined): void
  /** The row is there and promises nothing any more. */
  withdraw(digest: Digest): void
  /** Segments that are open, with their owners; sealed ones with their bytes. */
  readonly segments: ReadonlyMap<number, MemorySegment>
}
interface MemorySegment {
  readonly owner: string
  bytes: number | undefined
}

export function createMemorySegmentIndex(): MemorySegmentIndex {
  const segments = new Map<number, MemorySegment>()
  const promised = new Map<Digest, PackedPlace>()
  const withdrawn = new Map<Digest, PackedPlace>()
  let last = 0
  const endOf = (segment: number): number => {
    const places = [...promised.values(), ...withdrawn.values()].filter((place) => place.segment === segment)
    return Math.max(0, ...places.map(({ offset, sizeBytes }) => offset + sizeBytes))
  }
  const openOf = (segment: number, owner: string): MemorySegment | undefined => {
    const about = segments.get(segment)
    return about?.owner === owner && about.bytes === undefined ? about : undefined
  }
  return {
    segments,
    isAtHand: true,
    async begin(owner) {
      segments.set(++last, { owner, bytes: undefined })
      return last
    },
    async seal({ segment, owner }, bytes) {
      const about = openOf(segment, owner)
      if (about !== undefined) about.bytes = bytes
    },
    async forget({ segment, owner }) {
      if (openOf(segment, owner) !== undefined && endOf(segment) === 0) segments.delete(segment)
    },
    async sealLeftOpen(owner) {
      const ended: EndedSegment[] = []
      for (const [segment, about] of segments) {
        if (about.owner !== owner || about.bytes !== undefined) continue
        about.bytes = endOf(segment)
        if (about.bytes === 0) segments.delete(segment)
        ended.push({ segment, bytes: about.bytes })
      }
      return ended
    },
    async placesOf(digests) {
      return new Map(digests.flatMap((digest) => (promised.has(digest) ? [[digest, promised.get(digest)!]] : [])))
    },
    withdrawnPlaceOf: async (digest) => withdrawn.get(digest),
    promise({ digest, sizeBytes }, place) {
      withdrawn.delete(digest)
      promised.delete(digest)
      if (place === undefined) return
      promised.set(digest, { ...place, sizeBytes })
    },
    withdraw(digest) {
      const place = promised.get(digest)
      promised.delete(digest)
      if (place !== undefined) withdrawn.set(digest, place)
    },
  }
}
