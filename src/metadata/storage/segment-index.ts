import type { Digest } from '../../core/digest.ts'
import type { MetadataDatabase } from '../database.ts'
import { findPacked, findPackedBlob, type PackedBlob } from './packed-blobs.ts'
import { insertSegment, ownersOf, sealOpenSegments, sealSegment } from './segments.ts'

export interface SegmentIndexDeps {
  readonly db: Pick<MetadataDatabase, 'dialect' | 'read' | 'transact'>
  readonly clock: { now(): number }
}

/** What the rows say of segments, as a blob store asks it (`storage/segments/segment-index.ts`). */
export function createSegmentIndex({ db, clock }: SegmentIndexDeps) {
  /** A segment never changes its owner. One entry for each 256 MiB, at most. */
  const owners = new Map<number, string>()

  async function promised(digests: readonly Digest[]): Promise<PackedBlob[]> {
    if (digests.length !== 1) return findPacked(db.read, digests, 'promised')
    const blob = await findPackedBlob(db.read, digests[0]!)
    return blob === undefined ? [] : [blob]
  }
  async function withOwners(blobs: readonly PackedBlob[]) {
    const unknown = [...new Set(blobs.map(({ place }) => place.segment))].filter((segment) => !owners.has(segment))
    for (const [segment, owner] of await ownersOf(db.read, unknown)) owners.set(segment, owner)
    const placed = new Map<Digest, { segment: number; offset: number; sizeBytes: number; owner: string }>()
    for (const { digest, sizeBytes, place } of blobs) {
      const owner = owners.get(place.segment)
      // Forgotten between the two queries: the blob has moved.
      if (owner !== undefined) placed.set(digest, { ...place, sizeBytes, owner })
    }
    return placed
  }

  return {
    isAtHand: db.dialect === 'sqlite',
    begin: (owner: string) => db.transact((trx) => insertSegment(trx, owner, clock.now())),
    seal: (segment: number, bytes: number) => db.transact((trx) => sealSegment(trx, segment, bytes, clock.now())),
    sealLeftOpen: (owner: string) => db.transact((trx) => sealOpenSegments(trx, owner, clock.now())),
    placesOf: async (digests: readonly Digest[]) => withOwners(await promised(digests)),
    withdrawnPlaceOf: async (digest: Digest) =>
      (await withOwners(await findPacked(db.read, [digest], 'withdrawn'))).get(digest),
  }
}
