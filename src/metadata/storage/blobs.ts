import { sql } from 'kysely'
import { type Digest, digestBytes, digestFromBytes, digestHex } from '../../core/digest.ts'
import type { Reader, Transaction } from '../database.ts'
import { dialectOf } from '../sql/dialect-of.ts'

export interface BlobRow {
  readonly digest: Digest
  readonly sizeBytes: number
}

/** Four columns a row: below the 32,766 parameters of a SQLite statement, and few texts of statements to prepare. */
const ROWS_PER_STATEMENT = 500

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

/**
 * Which of the digests can be relied on; those are kept from collection until the transaction ends, and for the grace time from
 * `now` on. Rows are locked in order of their digest. Whoever writes a node of a blob that is here touches it in the same
 * transaction, after locking nodes.
 */
export async function touchBlobs(trx: Transaction, digests: readonly Digest[], now: number): Promise<Set<Digest>> {
  if (digests.length === 0) return new Set()
  if (dialectOf(trx) === 'postgres') {
    await trx.selectFrom('blob').select('sha256').where(oneOf(trx, digests)).orderBy('sha256').forUpdate().execute()
  }
  const rows = await trx
    .updateTable('blob')
    .set({ touched_at: now })
    .where(oneOf(trx, digests))
    .where('unneeded_since', 'is', null)
    .returning('sha256')
    .execute()
  return digestsOf(rows)
}

/**
 * Makes or touches the rows, and holds them until the transaction ends.
 * @returns those whose file the caller has to make sure of: the row is new, or the blob was about to be removed. A row that
 * somebody made within the same millisecond is among them as well; looking twice does no harm.
 */
export async function claimBlobs(trx: Transaction, blobs: readonly BlobRow[], now: number): Promise<Set<Digest>> {
  const uncertain = new Set<Digest>()
  for (const slice of slices(inOrder(blobs))) {
    const rows = await trx
      .insertInto('blob')
      .values(slice.map((blob) => ({ ...newRow(blob, now), unneeded_since: null })))
      .onConflict((oc) =>
        oc.column('sha256').doUpdateSet((eb) => ({
          touched_at: now,
          created_at: eb
            .case()
            .when('blob.unneeded_since', 'is', null)
            .then(eb.ref('blob.created_at'))
            .else(eb.ref('excluded.created_at'))
            .end(),
          unneeded_since: null,
        })),
      )
      .returning(['sha256', 'created_at'])
      .execute()
    for (const row of rows) if (row.created_at === now) uncertain.add(digestFromBytes(row.sha256))
  }
  return uncertain
}

/** Notes files that have no row, as needed by nobody since `now`. @returns how many there were. */
export async function noteOrphans(trx: Transaction, files: readonly BlobRow[], now: number): Promise<number> {
  let noted = 0
  for (const slice of slices(inOrder(files))) {
    const { numInsertedOrUpdatedRows } = await trx
      .insertInto('blob')
      .values(slice.map((file) => ({ ...newRow(file, now), unneeded_since: now })))
      .onConflict((oc) => oc.column('sha256').doNothing())
      .executeTakeFirstOrThrow()
    noted += Number(numInsertedOrUpdatedRows ?? 0)
  }
  return noted
}

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

/** Those that no node refers to, live or deleted. */
export async function unreferencedAmong(reader: Reader, digests: readonly Digest[]): Promise<Digest[]> {
  if (digests.length === 0) return []
  const rows = await reader
    .selectFrom('blob')
    .select('sha256')
    .where(oneOf(reader, digests))
    .where(hasNoNode())
    .execute()
  return rows.map(({ sha256 }) => digestFromBytes(sha256))
}

/**
 * Marks blobs as needed by nobody since they were last touched, unless somebody did so after `touchedBefore` or a node refers to
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
    .where(hasNoNode())
    .execute()
}

/** Locks blobs that nobody needs since before `before`: none of them is claimed before the transaction ends. */
export async function lockUnneeded(trx: Transaction, before: number, limit: number): Promise<BlobRow[]> {
  const unneeded = trx
    .selectFrom('blob')
    .select(['sha256', 'size'])
    .where('unneeded_since', '<', before)
    .where(hasNoNode())
    .orderBy('sha256')
    .limit(limit)
  const rows = await (dialectOf(trx) === 'postgres' ? unneeded.forUpdate().skipLocked() : unneeded).execute()
  return rows.map(({ sha256, size }) => ({ digest: digestFromBytes(sha256), sizeBytes: size }))
}

export async function deleteBlobRows(trx: Transaction, digests: readonly Digest[]): Promise<void> {
  if (digests.length > 0) await trx.deleteFrom('blob').where(oneOf(trx, digests)).execute()
}

/** "The digest is one of these", in one parameter, so that the statement's text does not grow with them. */
function oneOf(reader: Reader, digests: readonly Digest[]) {
  const column = sql.ref('blob.sha256')
  if (dialectOf(reader) === 'sqlite') {
    return sql<boolean>`${column} in (select unhex(value) from json_each(${JSON.stringify(digests.map(digestHex))}))`
  }
  return sql<boolean>`${column} = any(${digests.map(digestBytes)}::bytea[])`
}

const hasNoNode = () => sql<boolean>`not exists (select 1 from node where node.sha256 = blob.sha256)`

/** Each once, in the order in which everybody locks rows: two batches over the same blobs wait for each other at the first. */
function inOrder(blobs: readonly BlobRow[]): BlobRow[] {
  const once = new Map(blobs.map((blob) => [blob.digest, blob]))
  return [...once.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1))
}

const newRow = ({ digest, sizeBytes }: BlobRow, now: number) => ({
  sha256: digestBytes(digest),
  size: sizeBytes,
  created_at: now,
  touched_at: now,
})

const digestsOf = (rows: readonly { readonly sha256: Uint8Array }[]): Set<Digest> =>
  new Set(rows.map(({ sha256 }) => digestFromBytes(sha256)))

function* slices<T>(rows: readonly T[]): Generator<T[]> {
  for (let at = 0; at < rows.length; at += ROWS_PER_STATEMENT) yield rows.slice(at, at + ROWS_PER_STATEMENT)
}
