import type { Digest } from '../../core/digest.ts'
import type { MetadataDatabase } from '../database.ts'
import { findPacked, findPackedBlob, type PackedBlob } from './packed-blobs.ts'
import { forgetUnused, insertSegment, type SegmentName, sealOpenSegments, sealSegment } from './segments.ts'

export interface SegmentIndexDeps {
  readonly db: Pick<MetadataDatabase, 'dialect' | 'read' | 'transact'>
  readonly clock: { now(): number }
}

/** What the rows say of segments, as a blob store asks it (`storage/segments/segment-index.ts`). */
export function createSegmentIndex({ db, clock }: SegmentIndexDeps) {
  async function promised(digests: readonly Digest[]): Promise<PackedBlob[]> {
    if (digests.length !== 1) return findPacked(db.read, digests, 'promised')
    const blob = await findPackedBlob(db.read, digests[0]!)
    return blob === undefined ? [] : [blob]
  }
  const byDigest = (blobs: readonly PackedBlob[]) =>
    new Map(blobs.map(({ digest, sizeBytes, place }) => [digest, { ...place, sizeBytes }]))

  return {
    isAtHand: db.dialect === 'sqlite',
    begin: (owner: string) => db.transact((trx) => insertSegment(trx, owner, clock.now())),
    seal: (segment: SegmentName, bytes: number) => db.transact((trx) => sealSegment(trx, segment, bytes, clock.now())),
    forget: (segment: SegmentName) => db.transact((trx) => forgetUnused(trx, segment)),
    sealLeftOpen: (owner: string) => db.transact((trx) => sealOpenSegments(trx, { owner }, clock.now())),
    placesOf: async (digests: readonly Digest[]) => byDigest(await promised(digests)),
    withdrawnPlaceOf: async (digest: Digest) => byDigest(await findPacked(db.read, [digest], 'withdrawn')).get(digest),
  }
}
