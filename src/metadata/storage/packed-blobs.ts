import type { Selectable } from 'kysely'
import { type Digest, digestBytes, digestFromBytes } from '../../core/digest.ts'
import { AppError, hasCode } from '../../core/errors.ts'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { anyDigest, anyDigestListed, digestList } from '../sql/any-digest.ts'
import { anyListed, listOf } from '../sql/any-of.ts'
import { dialectOf } from '../sql/dialect-of.ts'
import { insertingRows, updatingRows } from '../sql/insert-rows.ts'
import { preparedQuery } from '../sql/prepared-query.ts'
import { BLOB_COLUMNS, type BlobRow, type DatedBlob, inOrder, ON_CLAIM } from './blobs.ts'

/** Where a packed blob lies. */
export interface SegmentPlace {
  readonly segment: number
  /** Installation that writes the segment: a number alone may mean another one, in a database that lost its last seconds. */
  readonly owner: string
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

/** A segment takes no blobs any more: the contents have to be written once more, to another one. */
export const isGivenUp = (error: unknown): boolean => hasCode(error, 'RECEIVE_FAILED') && error.retryable

const upsertPacked = insertingRows<'blob', PackedBlob & DatedBlob>({
  into: 'blob',
  columns: {
    ...BLOB_COLUMNS,
    segment: ['bigint', ({ place }) => place.segment],
    place: ['bigint', ({ place }) => place.offset],
  },
  onConflict: ON_CLAIM,
})

const heldSegments = preparedQuery<
  { segments: string },
  Pick<Selectable<Schema['segment']>, 'id' | 'owner' | 'state' | 'bytes'>
>((trx, { segments }) => {
  const query = trx
    .selectFrom('segment')
    .select(['id', 'owner', 'state', 'bytes'])
    .where(anyListed(trx, 'segment.id', 'bigint', segments))
  return dialectOf(trx) === 'postgres' ? query.orderBy('id').forShare() : query
})

/**
 * Keeps the segments from being given up until the transaction ends. Nothing may lie behind the end of a sealed one: its owner
 * has died, or a disk has failed.
 */
async function holdSegments(trx: Transaction, blobs: readonly PackedBlob[]): Promise<void> {
  const ends = new Map<string, { readonly segment: number; readonly owner: string; end: number }>()
  for (const { place, sizeBytes } of blobs) {
    const { segment, owner, offset } = place
    const key = `${owner}/${segment}`
    const known = ends.get(key)
    if (known === undefined) ends.set(key, { segment, owner, end: offset + sizeBytes })
    else known.end = Math.max(known.end, offset + sizeBytes)
  }
  const numbers = [...new Set([...ends.values()].map(({ segment }) => segment))]
  const rows = await heldSegments(trx, { segments: listOf(trx, numbers) })
  const byId = new Map(rows.map((row) => [row.id, row]))
  for (const { segment, owner, end } of ends.values()) {
    const row = byId.get(segment)
    if (row?.owner === owner && (row.state === 'open' || (row.state === 'sealed' && end <= row.bytes))) continue
    throw new AppError(
      'RECEIVE_FAILED',
      `Segment [${owner}/${segment}] takes no blobs any more`,
      { segment },
      { retryable: true },
    )
  }
}

/** `promised`: by a row that can be relied on; `withdrawn`: by one that cannot. */
export type Standing = 'promised' | 'withdrawn'

const standings = preparedQuery<{ digests: string }, Pick<Selectable<Schema['blob']>, 'sha256' | 'unneeded_since'>>(
  (reader, { digests }) =>
    reader
      .selectFrom('blob')
      .select(['sha256', 'unneeded_since'])
      .where(anyDigestListed(reader, 'blob.sha256', digests)),
)
/** Of those that have a row. */
export async function standingOf(reader: Reader, digests: readonly Digest[]): Promise<Map<Digest, Standing>> {
  if (digests.length === 0) return new Map()
  const rows = await standings(reader, { digests: digestList(reader, digests) })
  return new Map(
    rows.map(({ sha256, unneeded_since }) => [
      digestFromBytes(sha256),
      unneeded_since === null ? 'promised' : 'withdrawn',
    ]),
  )
}

const packedRows = (reader: Reader) =>
  reader
    .selectFrom('blob')
    .innerJoin('segment', 'segment.id', 'blob.segment')
    .select(['blob.sha256', 'blob.size', 'blob.segment', 'blob.place', 'segment.owner'])

/** Those of the blobs that lie in segments. */
export async function findPacked(
  reader: Reader,
  digests: readonly Digest[],
  standing: Standing,
): Promise<PackedBlob[]> {
  if (digests.length === 0) return []
  const rows = await packedRows(reader)
    .where(anyDigest(reader, 'blob.sha256', digests))
    .where('unneeded_since', standing === 'promised' ? 'is' : 'is not', null)
    .execute()
  return rows.map(toPacked)
}

const promisedPlace = preparedQuery<{ sha256: Uint8Array }, PackedRow>((reader, { sha256 }) =>
  packedRows(reader).where('blob.sha256', '=', sha256).where('blob.unneeded_since', 'is', null),
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
  const rows = await packedRows(reader)
    .select('blob.unneeded_since')
    .where('blob.segment', '=', segment)
    .where('blob.place', '>', afterOffset)
    .orderBy('blob.place')
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
  readonly owner: string
}
const toPacked = (row: PackedRow): PackedBlob => ({
  digest: digestFromBytes(row.sha256),
  sizeBytes: row.size,
  place: { segment: row.segment!, owner: row.owner, offset: row.place! },
})
