import { sql } from 'kysely'
import type { NodePath } from '../../core/paths.ts'
import type { Reader } from '../database.ts'
import { dialectOf } from '../sql/dialect-of.ts'
import { preparedQuery } from '../sql/prepared-query.ts'

/** What an upload has to know of a node at its path or above it. */
export interface TakenPlace {
  readonly folder: boolean
  readonly sizeBytes: number
  /** UTC epoch milliseconds; null: never. */
  readonly expiresAt: number | null
}
interface PlaceRow {
  readonly path: string
  readonly folder: number
  readonly size: number
  readonly expires_at: number | null
}

/** A list of PostgreSQL, or a JSON text that SQLite takes apart: one value either way, so that the text of the query is always the same. */
type PathList = readonly NodePath[] | string

const rowsAmong = preparedQuery<{ repoId: number; paths: PathList }, PlaceRow>((reader, { repoId, paths }) => {
  const columns = sql`select path, folder, size, expires_at from node`
  const live = sql`repo_id = ${repoId} and deleted_at is null`
  // As `rowsAt` does: PostgreSQL would compare a list with every row of a repository that just grew.
  const query =
    dialectOf(reader) === 'sqlite'
      ? sql<PlaceRow>`${columns} where ${live} and path in (select value from json_each(${paths}))`
      : sql<PlaceRow>`select found.* from unnest(${paths}::text[]) as wanted (path)
          cross join lateral (${columns} where ${live} and path = wanted.path limit 1) as found`
  return { compile: () => query.compile(reader) }
})

/** Live rows at a few paths, expired ones included (`isExpired`). */
export async function placesAt(
  reader: Reader,
  repoId: number,
  paths: readonly NodePath[],
): Promise<Map<NodePath, TakenPlace>> {
  const list = dialectOf(reader) === 'sqlite' ? JSON.stringify(paths) : paths
  const rows = await rowsAmong(reader, { repoId, paths: list })
  return new Map(
    rows.map(({ path, folder, size, expires_at }) => [
      path as NodePath,
      { folder: folder === 1, sizeBytes: size, expiresAt: expires_at },
    ]),
  )
}
