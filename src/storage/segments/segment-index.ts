import type { Digest } from '../../core/digest.ts'
import type { PackPlace } from '../blob-store.ts'

/** Which file a segment is. */
export interface SegmentRef {
  /** Unique among those of all owners, unless the database has lost its last seconds and gives numbers once more. */
  readonly segment: number
  /** Installation that wrote it: the name of its directory. */
  readonly owner: string
}
/** Where a packed blob lies, with all that is needed to read it. */
export interface PackedPlace extends PackPlace {
  readonly sizeBytes: number
}
/** A segment that nothing is appended to any more. */
export interface EndedSegment {
  readonly segment: number
  /** Up to its last blob; 0: no row names it, and the index has forgotten it. */
  readonly bytes: number
}

/**
 * What a store asks about its segments: the rows of the database decide which blobs lie in one, and where. Injected, so that
 * storage knows nothing of a database.
 */
export interface SegmentIndex {
  /** Asking it is cheaper than looking for a file that is not there. */
  readonly isAtHand: boolean
  /** Notes a new segment. Never called inside a transaction. @returns its number. */
  begin(owner: string): Promise<number>
  /** Nothing is appended any more; what lies before `bytes` is durable. Nothing happens unless it is open, and this owner's. */
  seal(segment: SegmentRef, bytes: number): Promise<void>
  /** Takes back a segment in which nothing was stored. Nothing happens unless it is open, and this owner's. */
  forget(segment: SegmentRef): Promise<void>
  /** Seals what `owner` had open when it died, each at the end of the last blob that a row places there. */
  sealLeftOpen(owner: string): Promise<EndedSegment[]>
  /** Of those that a row promises and places in a segment; the others are left out. */
  placesOf(digests: readonly Digest[]): Promise<Map<Digest, PackedPlace>>
  /** Of a blob whose promise was withdrawn. */
  withdrawnPlaceOf(digest: Digest): Promise<PackedPlace | undefined>
}
