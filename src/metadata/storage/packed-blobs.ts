import { type Digest, digestBytes, digestFromBytes } from '../../core/digest.ts'
import { AppError } from '../../core/errors.ts'
import type { Reader, Transaction } from '../database.ts'
import { anyDigest } from '../sql/any-digest.ts'
import { anyOf } from '../sql/any-of.ts'
import { dialectOf } from '../sql/dialect-of.ts'
import { insertingRows, updatingRows } from '../sql/insert-rows.ts'
import { preparedQuery } from '../sql/prepared-query.ts'
import { type BlobRow, inOrder } from './blobs.ts'

/** Where a packed blob lies. */
export interface SegmentPlace {
  readonly segment: number
  /** Of its first byte, from 0. */
  readonly offset: number
}
export interface PackedBlob extends BlobRow {
  readonly place: SegmentPlace
}

/**
 * Makes or touches the rows of blobs that lie in segments, and holds them until the transaction ends. Those that a row promises
 * already keep the place they have.
 * @throws AppError RECEIVE_FAILED, retryable, when a segment has been given up since: the contents have to be packed again.
 */
export async function claimPackedBlobs(trx: Transaction, blobs: readonly PackedBlob[], now: number): Promise<void> {
  if (blobs.length === 0) return
  await holdSegments(trx, blobs)
  await upsertPacked(
    trx,
    inOrder(blobs).map(({ digest, sizeBytes, place }) => ({ digest, sizeBytes, place, at: now })),
  )
}

const upsertPacked = insertingRows<'blob', PackedBlob & { readonly at: number }>({
  into: 'blob',
  columns: {
    sha256: ['bytea', ({ digest }) => digestBytes(digest)],
    size: ['bigint', ({ sizeBytes }) => sizeBytes],
    created_at: ['bigint', ({ at }) => at],
    touched_at: ['bigint', ({ at }) => at],
    segment: ['bigint', ({ place }) => place.segment],
    place: ['bigint', ({ place }) => place.offset],
  },
  onConflict: `on conflict (sha256) do update set touched_at = excluded.touched_at, unneeded_since = null,
    created_at = case when blob.unneeded_since is null then blob.created_at else excluded.created_at end,
    segment = case when blob.unneeded_since is null then blob.segment else excluded.segment end,
    place = case when blob.unneeded_since is null then blob.place else excluded.place end`,
})

/**
 * Keeps the segments from being given up until the transaction ends. What lies behind the end of a sealed one was cut, or is going
 * to be: its owner has died.
 */
async function holdSegments(trx: Transaction, blobs: readonly PackedBlob[]): Promise<void> {
  const ends = new Map<number, number>()
  for (const { place, sizeBytes } of blobs) {
    ends.set(place.segment, Math.max(ends.get(place.segment) ?? 0, place.offset + sizeBytes))
  }
  const numbers = [...ends.keys()]
  const query = trx
    .selectFrom('segment')
    .select(['id', 'state', 'bytes'])
    .where(anyOf(trx, 'segment.id', numbers))
  const rows = await (dialectOf(trx) === 'postgres' ? query.orderBy('id').forShare() : query).execute()
  const byId = new Map(rows.map((row) => [row.id, row]))
  for (const [segment, end] of ends) {
    const row = byId.get(segment)
    if (row?.state === 'open' || (row?.state === 'sealed' && end <= row.bytes)) continue
    throw new AppError(
      'RECEIVE_FAILED',
      `Segment [${segment}] takes no blobs any more`,
      { segment },
      { retryable: true },
    )
  }
}

/** `promised`: by a row that can be relied on; `withdrawn`: by one that cannot. */
export type Standing = 'promised' | 'withdrawn'

/** Of those that have a row. */
export async function standingOf(reader: Reader, digests: readonly Digest[]): Promise<Map<Digest, Standing>> {
  if (digests.length === 0) return new Map()
  const rows = await reader
    .selectFrom('blob')
    .select(['sha256', 'unneeded_since'])
    .where(anyDigest(reader, 'blob.sha256', digests))
    .execute()
  return new Map(
    rows.map(({ sha256, unneeded_since }) => [
      digestFromBytes(sha256),
      unneeded_since === null ? 'promised' : 'withdrawn',
    ]),
  )
}

/** Those of the blobs that lie in segments. */
export async function findPacked(
  reader: Reader,
  digests: readonly Digest[],
  standing: Standing,
): Promise<PackedBlob[]> {
  if (digests.length === 0) return []
  const rows = await reader
    .selectFrom('blob')
    .select(['sha256', 'size', 'segment', 'place'])
    .where(anyDigest(reader, 'blob.sha256', digests))
    .where('unneeded_since', standing === 'promised' ? 'is' : 'is not', null)
    .where('segment', 'is not', null)
    .execute()
  return rows.map(toPacked)
}

const promisedPlace = preparedQuery<{ sha256: Uint8Array }, PackedRow>((reader, { sha256 }) =>
  reader
    .selectFrom('blob')
    .select(['sha256', 'size', 'segment', 'place'])
    .where('sha256', '=', sha256)
    .where('unneeded_since', 'is', null)
    .where('segment', 'is not', null),
)
/** `findPacked` for one, which every download of a small file asks for. */
export async function findPackedBlob(reader: Reader, digest: Digest): Promise<PackedBlob | undefined> {
  const [row] = await promisedPlace(reader, { sha256: digestBytes(digest) })
  return row && toPacked(row)
}

export interface SegmentBlob extends PackedBlob {
  readonly standing: Standing
}

/** Blobs that lie in a segment, in order of their offsets. */
export async function pageSegment(
  reader: Reader,
  segment: number,
  afterOffset: number,
  limit: number,
): Promise<SegmentBlob[]> {
  const rows = await reader
    .selectFrom('blob')
    .select(['sha256', 'size', 'segment', 'place', 'unneeded_since'])
    .where('segment', '=', segment)
    .where('place', '>', afterOffset)
    .orderBy('place')
    .limit(limit)
    .execute()
  return rows.map((row) => ({ ...toPacked(row), standing: row.unneeded_since === null ? 'promised' : 'withdrawn' }))
}

export interface BlobMove extends PackedBlob {
  readonly from: SegmentPlace
}

/** Gives blobs that are still promised at their old place another one. @returns how many were. */
export async function moveBlobs(trx: Transaction, moves: readonly BlobMove[]): Promise<number> {
  if (moves.length === 0) return 0
  await holdSegments(trx, moves)
  const ordered = inOrder(moves)
  await lockRows(trx, ordered)
  return (await updatePlaces(trx, ordered)).affected
}

const updatePlaces = updatingRows<BlobMove>({
  columns: {
    sha256: ['bytea', ({ digest }) => digestBytes(digest)],
    segment: ['bigint', ({ place }) => place.segment],
    place: ['bigint', ({ place }) => place.offset],
    old_segment: ['bigint', ({ from }) => from.segment],
    old_place: ['bigint', ({ from }) => from.offset],
  },
  statement: `update blob set segment = v.segment, place = v.place from v where blob.sha256 = v.sha256
    and blob.segment = v.old_segment and blob.place = v.old_place and blob.unneeded_since is null`,
})

/** Rows that promise nothing let go of their bytes in a segment. */
export async function detachWithdrawn(trx: Transaction, segment: number, blobs: readonly BlobRow[]): Promise<void> {
  if (blobs.length === 0) return
  const ordered = inOrder(blobs)
  await lockRows(trx, ordered)
  await trx
    .updateTable('blob')
    .set({ segment: null, place: null })
    .where(
      anyDigest(
        trx,
        'blob.sha256',
        ordered.map(({ digest }) => digest),
      ),
    )
    .where('segment', '=', segment)
    .where('unneeded_since', 'is not', null)
    .execute()
}

async function lockRows(trx: Transaction, ordered: readonly BlobRow[]): Promise<void> {
  if (dialectOf(trx) === 'sqlite') return
  const digests = ordered.map(({ digest }) => digest)
  const rows = trx
    .selectFrom('blob')
    .select('sha256')
    .where(anyDigest(trx, 'blob.sha256', digests))
  await rows.orderBy('sha256').forUpdate().execute()
}

interface PackedRow {
  readonly sha256: Uint8Array
  readonly size: number
  readonly segment: number | null
  readonly place: number | null
}
const toPacked = (row: PackedRow): PackedBlob => ({
  digest: digestFromBytes(row.sha256),
  sizeBytes: row.size,
  place: { segment: row.segment!, offset: row.place! },
})
