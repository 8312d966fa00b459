import { type Selectable, sql } from 'kysely'
import type { ContentName } from '../../core/content-name.ts'
import { type Digest, digestBytes, digestFromBytes } from '../../core/digest.ts'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { anyListed, listOf } from '../sql/any-of.ts'
import { insertingRows } from '../sql/insert-rows.ts'
import { preparedQuery } from '../sql/prepared-query.ts'

/** A blob of an image that no manifest names yet. It keeps the content from the collection, as a node would. */
export interface LooseBlob {
  readonly repoId: number
  /** `team/nginx` */
  readonly image: string
  readonly name: ContentName
  readonly digest: Digest
  readonly sizeBytes: number
}

/**
 * Makes or touches rows, in the order in which everybody locks them. The transaction holds the rows of their blobs (`touchBlobs`,
 * `BlobIntake.claim`). @param at UTC epoch ms.
 */
export async function keepLoose(trx: Transaction, blobs: readonly LooseBlob[], at: number): Promise<void> {
  const once = new Map(blobs.map((blob) => [`${blob.repoId}/${blob.image}/${blob.name}`, blob]))
  const ordered = [...once].sort(([a], [b]) => (a < b ? -1 : 1))
  await upsertLoose(
    trx,
    ordered.map(([, blob]) => ({ ...blob, at })),
  )
}
const upsertLoose = insertingRows<'loose_blob', LooseBlob & { readonly at: number }>({
  into: 'loose_blob',
  columns: {
    repo_id: ['bigint', ({ repoId }) => repoId],
    image: ['text', ({ image }) => image],
    name: ['text', ({ name }) => name],
    sha256: ['bytea', ({ digest }) => digestBytes(digest)],
    size: ['bigint', ({ sizeBytes }) => sizeBytes],
    touched_at: ['bigint', ({ at }) => at],
  },
  // The name tells the content: a row that is there has the same.
  onConflict: 'on conflict (repo_id, image, name) do update set touched_at = excluded.touched_at',
})

const looseNamed = preparedQuery<{ repoId: number; image: string; names: string }, LooseRow>(
  (reader, { repoId, image, names }) =>
    reader
      .selectFrom('loose_blob')
      .where('repo_id', '=', repoId)
      .where('image', '=', image)
      .where(anyListed(reader, 'name', 'text', names))
      .selectAll(),
)
/** Those of the names that are there. */
export async function findLoose(
  reader: Reader,
  repoId: number,
  image: string,
  names: readonly ContentName[],
): Promise<Map<ContentName, LooseBlob>> {
  if (names.length === 0) return new Map()
  const rows = await looseNamed(reader, { repoId, image, names: listOf(reader, names) })
  return new Map(rows.map((row) => [row.name as ContentName, toLoose(row)]))
}

/** Images of the repository that have the content, `limit` of them at most. */
export async function looseImagesOf(
  reader: Reader,
  repoId: number,
  digest: Digest,
  limit: number,
): Promise<{ readonly image: string; readonly name: ContentName }[]> {
  const rows = await reader
    .selectFrom('loose_blob')
    .where('sha256', '=', digestBytes(digest))
    .where('repo_id', '=', repoId)
    .select(['image', 'name'])
    .limit(limit)
    .execute()
  return rows.map(({ image, name }) => ({ image, name: name as ContentName }))
}

/** Whether the image has any. */
export async function hasLoose(reader: Reader, repoId: number, image: string): Promise<boolean> {
  const query = reader.selectFrom('loose_blob').select('name').where('repo_id', '=', repoId).where('image', '=', image)
  return (await query.limit(1).executeTakeFirst()) !== undefined
}

/** @returns whether it was there. */
export async function dropLoose(trx: Transaction, repoId: number, image: string, name: ContentName): Promise<boolean> {
  const row = await trx
    .deleteFrom('loose_blob')
    .where('repo_id', '=', repoId)
    .where('image', '=', image)
    .where('name', '=', name)
    .returning('name')
    .executeTakeFirst()
  return row !== undefined
}

/** Forgets those that nobody relied on since `before` (UTC epoch ms). @returns how many. */
export async function sweepLoose(trx: Transaction, before: number, limit: number): Promise<number> {
  // Whoever touched one meanwhile has it: the row is looked at again once its lock is there.
  const { rows } = await sql`delete from loose_blob where touched_at < ${before} and (repo_id, image, name) in (
    select repo_id, image, name from loose_blob where touched_at < ${before} limit ${limit}) returning name`.execute(
    trx,
  )
  return rows.length
}

/** Those of a repository that is gone. @returns how many. */
export async function dropSliceOfLoose(trx: Transaction, repoId: number, limit: number): Promise<number> {
  const { rows } = await sql`delete from loose_blob where repo_id = ${repoId} and (image, name) in (
    select image, name from loose_blob where repo_id = ${repoId} limit ${limit}) returning name`.execute(trx)
  return rows.length
}

type LooseRow = Selectable<Schema['loose_blob']>
const toLoose = ({ repo_id, image, name, sha256, size }: LooseRow): LooseBlob => ({
  ...{ repoId: repo_id, image, name: name as ContentName },
  ...{ digest: digestFromBytes(sha256), sizeBytes: size },
})
