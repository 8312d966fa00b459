import { type Selectable, sql } from 'kysely'
import type { Reader } from '../database.ts'
import type { Schema } from '../schema.ts'
import { changedPaths, type Since } from './since.ts'

/**
 * Rows as a backup reads them: by pages of their key, ascending, from after the last one of the page before. `since` takes only
 * what was modified, or what the change log names, from then on; undefined: all.
 */

export type RepositoryRow = Selectable<Schema['repository']>
export type ProjectRow = Selectable<Schema['project']>

/** Live ones, in order of project and name. */
export const liveRepositories = (reader: Reader): Promise<RepositoryRow[]> =>
  reader
    .selectFrom('repository')
    .selectAll()
    .where('deleted_at', 'is', null)
    .orderBy('project')
    .orderBy('name')
    .execute()

export const allProjects = (reader: Reader): Promise<ProjectRow[]> =>
  reader.selectFrom('project').selectAll().orderBy('name').execute()

export interface NodeRow {
  readonly path: string
  readonly folder: number
  readonly sha256: Uint8Array | null
  readonly md5: string | null
  readonly crc64: string | null
  readonly size: number
  readonly metadata: string
  readonly expires_at: number | null
  readonly accessed_at: number | null
  readonly created_by: string
  readonly created_at: number
  readonly modified_by: string
  readonly modified_at: number
}

/** Paths of [lo, hi) after `after`; hi null: to the end. */
export interface KeyPage {
  readonly lo: string
  readonly hi: string | null
  readonly after: string | undefined
  readonly limit: number
}

/** Live files and folders, expired ones that were not swept yet included; with `since` all folders, which leave no row in the change log. */
export async function pageNodes(
  reader: Reader,
  repoId: number,
  { lo, hi, after, limit }: KeyPage,
  since: Since | undefined,
): Promise<NodeRow[]> {
  let query = reader
    .selectFrom('node')
    .select(['path', 'folder', 'sha256', 'md5', 'crc64', 'size', 'metadata', 'expires_at', 'accessed_at'])
    .select(['created_by', 'created_at', 'modified_by', 'modified_at'])
    .where('repo_id', '=', repoId)
    .where('deleted_at', 'is', null)
  query = after === undefined ? query.where('path', '>=', lo) : query.where('path', '>', after)
  if (hi !== null) query = query.where('path', '<', hi)
  if (since !== undefined) {
    query = query.where((eb) =>
      eb.or([
        eb('modified_at', '>=', since.date),
        eb('folder', '=', 1),
        eb('path', 'in', changedPaths(reader, repoId, since)),
        eb('path', 'in', claimedByChosen(reader, repoId, since)),
      ]),
    )
  }
  return query.orderBy('path').limit(limit).execute()
}

/** How many nodes `pageNodes` would give for the whole range. */
export async function countNodes(reader: Reader, repoId: number, lo: string, hi: string | null): Promise<number> {
  let query = reader
    .selectFrom('node')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('repo_id', '=', repoId)
    .where('deleted_at', 'is', null)
    .where('path', '>=', lo)
  if (hi !== null) query = query.where('path', '<', hi)
  return Number((await query.executeTakeFirstOrThrow()).count)
}

export type PackageRow = Selectable<Schema['package']>

/** In order of key. With `since` also those of which a version is chosen. */
export async function pagePackages(
  reader: Reader,
  repoId: number,
  after: string,
  limit: number,
  since: Since | undefined,
): Promise<PackageRow[]> {
  let query = reader.selectFrom('package').selectAll().where('repo_id', '=', repoId).where('key', '>', after)
  if (since !== undefined) {
    query = query.where((eb) =>
      eb.or([
        eb('modified_at', '>=', since.date),
        eb(sql<string>`${PACKAGE_PATH} || package.key`, 'in', changedPaths(reader, repoId, since)),
        eb('id', 'in', chosenVersions(reader, repoId, since).select('package_version.package_id')),
      ]),
    )
  }
  return query.orderBy('key').limit(limit).execute()
}

export interface VersionRow extends Selectable<Schema['package_version']> {
  readonly package_key: string
}
export interface VersionKey {
  readonly package: string
  readonly version: string
}

/** In order of the package's key and the version's name. */
export async function pageVersions(
  reader: Reader,
  repoId: number,
  after: VersionKey,
  limit: number,
  since: Since | undefined,
): Promise<VersionRow[]> {
  const rows = since === undefined ? versionsOf(reader, repoId) : chosenVersions(reader, repoId, since)
  return rows
    .selectAll('package_version')
    .select('package.key as package_key')
    .where('package.key', '>=', after.package)
    .where((eb) => eb.or([eb('package.key', '>', after.package), eb('package_version.name', '>', after.version)]))
    .orderBy('package.key')
    .orderBy('package_version.name')
    .limit(limit)
    .execute()
}

const versionsOf = (reader: Reader, repoId: number) =>
  reader
    .selectFrom('package')
    .innerJoin('package_version', 'package_version.package_id', 'package.id')
    .where('package.repo_id', '=', repoId)

const chosenVersions = (reader: Reader, repoId: number, since: Since) =>
  versionsOf(reader, repoId).where((eb) =>
    eb.or([
      eb('package_version.modified_at', '>=', since.date),
      eb(
        sql<string>`${PACKAGE_PATH} || package.key || ${MARK} || package_version.name`,
        'in',
        changedPaths(reader, repoId, since),
      ),
    ]),
  )

/** A version is in no backup without its files, however old they are. */
const claimedByChosen = (reader: Reader, repoId: number, since: Since) =>
  reader
    .selectFrom('version_file')
    .select('path')
    .where('version_id', 'in', chosenVersions(reader, repoId, since).select('package_version.id'))

/** Where packages and versions stand in the change log (`core/package-key.ts`). */
const MARK = sql.lit('\u0001')
const PACKAGE_PATH = sql.lit('\u0001pkg/')

/** Bytes that the live nodes of each repository have; one without is left out. */
export async function bytesInUse(reader: Reader): Promise<Map<number, number>> {
  const rows = await reader
    .selectFrom('repository_usage')
    .select((eb) => ['repo_id', eb.fn.sum<number>('bytes').as('bytes')])
    .groupBy('repo_id')
    .execute()
  return new Map(rows.map(({ repo_id, bytes }) => [repo_id, Number(bytes)]))
}

/** Sealed passwords of all repositories. */
export const allProxySecrets = (reader: Reader): Promise<Selectable<Schema['proxy_secret']>[]> =>
  reader.selectFrom('proxy_secret').selectAll().orderBy('repo_id').orderBy('slot').execute()
