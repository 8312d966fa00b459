import { sql } from 'kysely'
import { type Digest, digestBytes } from '../../core/digest.ts'
import type { Reader } from '../database.ts'
import { mayBeSeen, type Visible } from '../repositories/visible-repositories.ts'
import { anyOf } from '../sql/any-of.ts'

/** Where a content lies: a file, or a blob that no manifest names yet. */
export interface BlobPlace {
  readonly project: string
  readonly repo: string
  readonly repoId: number
  readonly public: boolean
  /** Of a file. */
  readonly path: string | undefined
  /** Of a blob without a manifest. */
  readonly loose: { readonly image: string; readonly name: string } | undefined
}

/** Of each kind. Bounds what a content costs that nearly everybody has. */
const LOOKED_AT = 1_000

/** Some places of the content in repositories of these types, in no order. @param visible undefined: all. */
export async function placesOfBlob(
  reader: Reader,
  digest: Digest,
  { types, visible }: { readonly types: readonly string[]; readonly visible: Visible | undefined },
): Promise<BlobPlace[]> {
  const content = digestBytes(digest)
  const isSeen = visible === undefined ? sql<boolean>`1 = 1` : mayBeSeen(reader, visible, 'r')
  const { rows } = await sql<Row>`
    select r.project, r.name as repo, r.id as repo_id, r.public, at.path, at.image, at.name
    from (select * from (select repo_id, path, null as image, null as name from node
          where sha256 = ${content} and deleted_at is null limit ${LOOKED_AT}) as files
      union all select * from (select repo_id, null as path, image, name from loose_blob
          where sha256 = ${content} limit ${LOOKED_AT}) as loose) as at
    join repository r on r.id = at.repo_id
    where r.deleted_at is null and ${anyOf(reader, 'r.type', types)} and ${isSeen}`.execute(reader)
  return rows.map(({ project, repo, repo_id, public: open, path, image, name }) => ({
    ...{ project, repo, repoId: repo_id, public: open === 1, path: path ?? undefined },
    loose: image === null || name === null ? undefined : { image, name },
  }))
}

interface Row {
  readonly project: string
  readonly repo: string
  readonly repo_id: number
  readonly public: number
  readonly path: string | null
  readonly image: string | null
  readonly name: string | null
}
