import type { Reader } from '../database.ts'

/** What was deleted and is not there again, by pages of its key, ascending. `since` is UTC epoch milliseconds, inclusive. */
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
  since: number,
  after: string,
  limit: number,
): Promise<EndedPath[]> {
  const rows = await reader
    .selectFrom('tombstone')
    .select(['path', 'deleted_by', 'deleted_at'])
    .where('repo_id', '=', repoId)
    .where('path', '>', after)
    .where('deleted_at', '>=', since)
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('node')
            .select('node.id')
            .whereRef('node.repo_id', '=', 'tombstone.repo_id')
            .whereRef('node.path', '=', 'tombstone.path')
            .where('node.deleted_at', 'is', null),
        ),
      ),
    )
    .orderBy('path')
    .limit(limit)
    .execute()
  return rows.map(({ path, deleted_by, deleted_at }) => ({ path, deletedBy: deleted_by, deletedAt: deleted_at }))
}

/** Folders, by their rows, which are kept until they are purged. Deepest last. */
export async function endedFolders(reader: Reader, repoId: number, since: number): Promise<EndedPath[]> {
  const rows = await reader
    .selectFrom('node as ended')
    .select((eb) => ['ended.path', eb.fn.max('ended.deleted_by').as('by'), eb.fn.max('ended.deleted_at').as('at')])
    .where('ended.deleted_at', '>=', since)
    .where('ended.repo_id', '=', repoId)
    .where('ended.folder', '=', 1)
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('node')
            .select('node.id')
            .whereRef('node.repo_id', '=', 'ended.repo_id')
            .whereRef('node.path', '=', 'ended.path')
            .where('node.deleted_at', 'is', null),
        ),
      ),
    )
    .groupBy('ended.path')
    .orderBy('ended.path')
    .execute()
  return rows.map(({ path, by, at }) => ({ path, deletedBy: by ?? '', deletedAt: at ?? since }))
}

export interface EndedVersion extends Ended {
  readonly packageKey: string
  readonly version: string
  /** The package has no version any more. */
  readonly withPackage: boolean
}

export async function pageEndedVersions(
  reader: Reader,
  repoId: number,
  since: number,
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
    .where('ended.deleted_at', '>=', since)
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

export interface EndedRepository extends Ended {
  readonly project: string
  readonly name: string
}

/** Those whose name is free, in order of project and name. */
export async function endedRepositories(reader: Reader, since: number): Promise<EndedRepository[]> {
  const rows = await reader
    .selectFrom('repository as ended')
    .select((eb) => [
      'ended.project',
      'ended.name',
      eb.fn.max('ended.modified_by').as('by'),
      eb.fn.max('ended.deleted_at').as('at'),
    ])
    .where('ended.deleted_at', '>=', since)
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('repository')
            .select('repository.id')
            .whereRef('repository.project', '=', 'ended.project')
            .whereRef('repository.name', '=', 'ended.name')
            .where('repository.deleted_at', 'is', null),
        ),
      ),
    )
    .groupBy(['ended.project', 'ended.name'])
    .orderBy('ended.project')
    .orderBy('ended.name')
    .execute()
  return rows.map(({ project, name, by, at }) => ({ project, name, deletedBy: by, deletedAt: at ?? since }))
}
