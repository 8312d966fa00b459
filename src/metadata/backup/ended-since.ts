import { sql } from 'kysely'
import type { Reader } from '../database.ts'
import { changedPaths, type Since } from './since.ts'

/** What was deleted and is not there again as the same kind, by pages of its key. */
export interface Ended {
  readonly deletedBy: string
  readonly deletedAt: number
}

export interface EndedPath extends Ended {
  readonly path: string
}

/** Files, by their tombstones, which are kept for good. */
export async function pageEndedFiles(
  reader: Reader,
  repoId: number,
  since: Since,
  after: string,
  limit: number,
): Promise<EndedPath[]> {
  const rows = await reader
    .selectFrom('tombstone')
    .select(['path', 'deleted_by', 'deleted_at'])
    .where('repo_id', '=', repoId)
    .where('path', '>', after)
    .where((eb) => eb.or([eb('deleted_at', '>=', since.date), eb('path', 'in', changedPaths(reader, repoId, since))]))
    .where(nothingLiveAt('tombstone', 'file'))
    .orderBy('path')
    .limit(limit)
    .execute()
  return rows.map(({ path, deleted_by, deleted_at }) => ({ path, deletedBy: deleted_by, deletedAt: deleted_at }))
}

/**
 * Folders, by their rows, which are kept until they are purged, descending: what is inside comes before its folder. Whenever they were
 * deleted: nothing tells when a deletion that takes long came to them.
 * @param before undefined: from the last one on.
 */
export async function pageEndedFolders(
  reader: Reader,
  repoId: number,
  before: string | undefined,
  limit: number,
): Promise<EndedPath[]> {
  let query = reader
    .selectFrom('node as ended')
    .select((eb) => ['ended.path', eb.fn.max('ended.deleted_by').as('by'), eb.fn.max('ended.deleted_at').as('at')])
    .where('ended.deleted_at', 'is not', null)
    .where('ended.repo_id', '=', repoId)
    .where('ended.folder', '=', 1)
  if (before !== undefined) query = query.where('ended.path', '<', before)
  const rows = await query
    .where(nothingLiveAt('ended', 'folder'))
    .groupBy('ended.path')
    .orderBy('ended.path', 'desc')
    .limit(limit)
    .execute()
  return rows.map(({ path, by, at }) => ({ path, deletedBy: by ?? '', deletedAt: Number(at) }))
}

/** No live node of that kind has the path of the row. */
const nothingLiveAt = (row: 'tombstone' | 'ended', kind: 'file' | 'folder') =>
  sql<boolean>`not exists (select 1 from node as live where live.repo_id = ${sql.ref(`${row}.repo_id`)}
    and live.path = ${sql.ref(`${row}.path`)} and live.folder = ${kind === 'folder' ? 1 : 0} and live.deleted_at is null)`

export interface EndedVersion extends Ended {
  readonly packageKey: string
  readonly version: string
  /** The package has no version any more. */
  readonly withPackage: boolean
}

export async function pageEndedVersions(
  reader: Reader,
  repoId: number,
  since: Since,
  after: { readonly packageKey: string; readonly version: string },
  limit: number,
): Promise<EndedVersion[]> {
  const rows = await reader
    .selectFrom('version_history as ended')
    .leftJoin('package', (join) =>
      join.onRef('package.repo_id', '=', 'ended.repo_id').onRef('package.key', '=', 'ended.package_key'),
    )
    .leftJoin('package_version', (join) =>
      join.onRef('package_version.package_id', '=', 'package.id').onRef('package_version.name', '=', 'ended.version'),
    )
    .where('ended.repo_id', '=', repoId)
    .where((eb) =>
      eb.or([eb('ended.deleted_at', '>=', since.date), eb(VERSION_PATH, 'in', changedPaths(reader, repoId, since))]),
    )
    .where('package_version.id', 'is', null)
    .where('ended.package_key', '>=', after.packageKey)
    .where((eb) => eb.or([eb('ended.package_key', '>', after.packageKey), eb('ended.version', '>', after.version)]))
    .select(['ended.package_key', 'ended.version', 'ended.deleted_by', 'ended.deleted_at', 'package.id as package_id'])
    .orderBy('ended.package_key')
    .orderBy('ended.version')
    .limit(limit)
    .execute()
  return rows.map((row) => ({
    packageKey: row.package_key,
    version: row.version,
    deletedBy: row.deleted_by,
    deletedAt: row.deleted_at,
    withPackage: row.package_id === null,
  }))
}

/** Where a version stands in the change log (`core/package-key.ts`). */
const VERSION_PATH = sql<string>`${sql.lit('\u0001pkg/')} || ended.package_key || ${sql.lit('\u0001')} || ended.version`

export interface EndedRepository extends Ended {
  readonly project: string
  readonly name: string
}

/** In order of project and name. One of the same name may be there again, with none of what the deleted one had. */
export async function endedRepositories(reader: Reader, since: number): Promise<EndedRepository[]> {
  const rows = await reader
    .selectFrom('repository')
    .select((eb) => ['project', 'name', eb.fn.max('modified_by').as('by'), eb.fn.max('deleted_at').as('at')])
    .where('deleted_at', '>=', since)
    .groupBy(['project', 'name'])
    .orderBy('project')
    .orderBy('name')
    .execute()
  return rows.map(({ project, name, by, at }) => ({ project, name, deletedBy: by, deletedAt: at ?? since }))
}
