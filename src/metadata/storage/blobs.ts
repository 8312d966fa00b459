import { sql } from 'kysely'
import { type Digest, digestBytes, digestFromBytes } from '../../core/digest.ts'
import type { Reader, Transaction } from '../database.ts'
import { anyDigest, anyDigestListed, digestList } from '../sql/any-digest.ts'
import { dialectOf } from '../sql/dialect-of.ts'
import { insertingRows, type RowInsert } from '../sql/insert-rows.ts'
import { preparedQuery } from '../sql/prepared-query.ts'

export interface BlobRow {
  readonly digest: Digest
  readonly sizeBytes: number
}

/** Which of the digests can be relied on at this moment. Nothing keeps them: `touchBlobs` does. */
export async function knownBlobs(reader: Reader, digests: readonly Digest[]): Promise<Set<Digest>> {
  if (digests.length === 0) return new Set()
  const rows = await reader
    .selectFrom('blob')
    .select('sha256')
    .where(oneOf(reader, digests))
    .where('unneeded_since', 'is', null)
    .execute()
  return digestsOf(rows)
}

/** When those of the digests that can be relied on were last touched. Nothing keeps them: `touchBlobs` does. */
export async function touchesOf(reader: Reader, digests: readonly Digest[]): Promise<Map<Digest, number>> {
  if (digests.length === 0) return new Map()
  const rows = await reader
    .selectFrom('blob')
    .select(['sha256', 'touched_at'])
    .where(oneOf(reader, digests))
    .where('unneeded_since', 'is', null)
    .execute()
  return new Map(rows.map(({ sha256, touched_at }) => [digestFromBytes(sha256), touched_at]))
}

/**
 * Which of the digests can be relied on, with their sizes; those are kept from collection until the transaction ends, and for the
 * grace time from `now` on. Rows are locked in order of their digest. Whoever writes a node of a blob that is here touches it in the same
 * transaction, after locking nodes.
 */
export async function touchBlobs(
  trx: Transaction,
  digests: readonly Digest[],
  now: number,
): Promise<ReadonlyMap<Digest, number>> {
  if (digests.length === 0) return new Map()
  if (dialectOf(trx) === 'postgres') {
    await trx.selectFrom('blob').select('sha256').where(oneOf(trx, digests)).orderBy('sha256').forUpdate().execute()
  }
  const rows = await touched(trx, { digests: digestList(trx, digests), now })
  return new Map(rows.map(({ sha256, size }) => [digestFromBytes(sha256), size]))
}
const touched = preparedQuery<{ digests: string; now: number }, { sha256: Uint8Array; size: number }>(
  (trx, { digests, now }) =>
    trx
      .updateTable('blob')
      .set({ touched_at: now })
      .where(anyDigestListed(trx, 'blob.sha256', digests))
      .where('unneeded_since', 'is', null)
      .returning(['sha256', 'size']),
)

export interface ClaimedBlobs {
  /**
   * The row is new, or the blob was about to be removed: the caller has to make sure of its file. A row that somebody made within the
   * same millisecond is among them as well; looking twice does no harm.
   */
  readonly uncertain: Set<Digest>
  /** The row promises the bytes in a segment. */
  readonly packed: Set<Digest>
}

/**
 * Makes or touches the rows of blobs that have a file of their own, and holds them until the transaction ends. A row that promises
 * the bytes in a segment keeps its place.
 */
export async function claimBlobs(trx: Transaction, blobs: readonly BlobRow[], now: number): Promise<ClaimedBlobs> {
  const claimed = { uncertain: new Set<Digest>(), packed: new Set<Digest>() }
  for (const row of (await upsertClaims(trx, datedInOrder(blobs, now))).returned) {
    if (row.created_at === now) claimed.uncertain.add(digestFromBytes(row.sha256))
    if (row.segment !== null) claimed.packed.add(digestFromBytes(row.sha256))
  }
  return claimed
}

export interface DatedBlob extends BlobRow {
  readonly at: number
}
/** What every new row has. */
export const BLOB_COLUMNS = {
  sha256: ['bytea', ({ digest }) => digestBytes(digest)],
  size: ['bigint', ({ sizeBytes }) => sizeBytes],
  created_at: ['bigint', ({ at }) => at],
  touched_at: ['bigint', ({ at }) => at],
} satisfies RowInsert<'blob', DatedBlob>['columns']
/** A row that can be relied on keeps its place; one that was about to be removed begins anew. */
export const ON_CLAIM = `on conflict (sha256) do update set touched_at = excluded.touched_at, unneeded_since = null,
    created_at = case when blob.unneeded_since is null then blob.created_at else excluded.created_at end,
    segment = case when blob.unneeded_since is null then blob.segment else excluded.segment end,
    place = case when blob.unneeded_since is null then blob.place else excluded.place end`

const upsertClaims = insertingRows<
  'blob',
  DatedBlob,
  { readonly sha256: Uint8Array; readonly created_at: number; readonly segment: number | null }
>({
  into: 'blob',
  columns: BLOB_COLUMNS,
  onConflict: ON_CLAIM,
  returning: 'sha256, created_at, segment',
})

/** The blobs have files of their own from here on. The caller holds their rows. */
export async function unpackBlobs(trx: Transaction, digests: readonly Digest[]): Promise<void> {
  if (digests.length === 0) return
  await trx.updateTable('blob').set({ segment: null, place: null }).where(oneOf(trx, digests)).execute()
}

/** Notes files that have no row, as needed by nobody since `now`. @returns how many there were. */
export async function noteOrphans(trx: Transaction, files: readonly BlobRow[], now: number): Promise<number> {
  return (await insertOrphans(trx, datedInOrder(files, now))).affected
}

const insertOrphans = insertingRows<'blob', DatedBlob>({
  into: 'blob',
  columns: {
    ...BLOB_COLUMNS,
    unneeded_since: ['bigint', ({ at }) => at],
  },
  onConflict: 'on conflict (sha256) do nothing',
})

/** Which of the digests have a row of any kind. */
export async function rowsAmong(reader: Reader, digests: readonly Digest[]): Promise<Set<Digest>> {
  if (digests.length === 0) return new Set()
  return digestsOf(await reader.selectFrom('blob').select('sha256').where(oneOf(reader, digests)).execute())
}

/** Blobs that nobody touched since `touchedBefore`, ascending from after a digest. */
export async function pageUntouched(
  reader: Reader,
  touchedBefore: number,
  after: Digest | undefined,
  limit: number,
): Promise<Digest[]> {
  let query = reader
    .selectFrom('blob')
    .select('sha256')
    .where('unneeded_since', 'is', null)
    .where('touched_at', '<', touchedBefore)
  if (after !== undefined) query = query.where('sha256', '>', digestBytes(after))
  const rows = await query.orderBy('sha256').limit(limit).execute()
  return rows.map(({ sha256 }) => digestFromBytes(sha256))
}

/** Those that nothing refers to. */
export async function unreferencedAmong(reader: Reader, digests: readonly Digest[]): Promise<Digest[]> {
  if (digests.length === 0) return []
  const rows = await reader
    .selectFrom('blob')
    .select('sha256')
    .where(oneOf(reader, digests))
    .where(isUnreferenced())
    .execute()
  return rows.map(({ sha256 }) => digestFromBytes(sha256))
}

/**
 * Marks blobs as needed by nobody since they were last touched, unless somebody did so after `touchedBefore` or something refers to
 * them. Two statements: the second sees all that was committed before the first one had its locks.
 */
export async function markUnneeded(trx: Transaction, digests: readonly Digest[], touchedBefore: number): Promise<void> {
  const untouched = trx
    .selectFrom('blob')
    .select('sha256')
    .where(oneOf(trx, digests))
    .where('unneeded_since', 'is', null)
    .where('touched_at', '<', touchedBefore)
  const isPostgres = dialectOf(trx) === 'postgres'
  // A row that is locked is in use just now.
  const rows = await (isPostgres ? untouched.orderBy('sha256').forUpdate().skipLocked() : untouched).execute()
  if (rows.length === 0) return
  await trx
    .updateTable('blob')
    .set((eb) => ({ unneeded_since: eb.ref('touched_at') }))
    .where(oneOf(trx, [...digestsOf(rows)]))
    .where(isUnreferenced())
    .execute()
}

/** `file`: of their own; `segment`: shared with others. */
export type BlobHome = 'file' | 'segment'

/** Locks blobs that nobody needs since before `before`: none of them is claimed before the transaction ends. */
export async function lockUnneeded(
  trx: Transaction,
  home: BlobHome,
  before: number,
  limit: number,
): Promise<BlobRow[]> {
  const unneeded = trx
    .selectFrom('blob')
    .select(['sha256', 'size'])
    .where('unneeded_since', '<', before)
    .where('segment', home === 'file' ? 'is' : 'is not', null)
    .where(isUnreferenced())
    .limit(limit)
  // Asked for an order, SQLite reads all rows in that order instead of the few that are marked.
  const rows = await (dialectOf(trx) === 'postgres'
    ? unneeded.orderBy('sha256').forUpdate().skipLocked()
    : unneeded
  ).execute()
  return rows.map(({ sha256, size }) => ({ digest: digestFromBytes(sha256), sizeBytes: size }))
}

export async function deleteBlobRows(trx: Transaction, digests: readonly Digest[]): Promise<void> {
  if (digests.length > 0) await trx.deleteFrom('blob').where(oneOf(trx, digests)).execute()
}

const oneOf = (reader: Reader, digests: readonly Digest[]) => anyDigest(reader, 'blob.sha256', digests)

/** No node, live or deleted, and no image whose manifest is still to come (`loose-blobs.ts`). */
const isUnreferenced = () =>
  sql<boolean>`not exists (select 1 from node where node.sha256 = blob.sha256)
    and not exists (select 1 from loose_blob where loose_blob.sha256 = blob.sha256)`

/** Each once, in the order in which everybody locks rows: two batches over the same blobs wait for each other at the first. */
export function inOrder<Blob extends Pick<BlobRow, 'digest'>>(blobs: readonly Blob[]): Blob[] {
  const once = new Map(blobs.map((blob) => [blob.digest, blob]))
  return [...once.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1))
}

const datedInOrder = (blobs: readonly BlobRow[], at: number): DatedBlob[] =>
  inOrder(blobs).map(({ digest, sizeBytes }) => ({ digest, sizeBytes, at }))

const digestsOf = (rows: readonly { readonly sha256: Uint8Array }[]): Set<Digest> =>
  new Set(rows.map(({ sha256 }) => digestFromBytes(sha256)))
