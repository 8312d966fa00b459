import { sql } from 'kysely'
import type { Reader } from '../database.ts'
import { anyOf } from '../sql/any-of.ts'

/** A package by all of its names, with what a decision about its repository needs. */
export interface PackageName {
  readonly project: string
  readonly repo: string
  readonly repoId: number
  readonly public: boolean
  readonly name: string
}

export interface PackageNameFilter {
  /** Types of repositories. */
  readonly types: readonly string[]
  /** Undefined: all. */
  readonly only: { readonly project: string; readonly repo: string } | undefined
  /** Those of these projects and repositories, and of public ones; undefined: all. */
  readonly visible: { readonly projects: readonly string[]; readonly repoIds: readonly number[] } | undefined
  /** Exclusive. */
  readonly after: Pick<PackageName, 'project' | 'repo' | 'name'> | undefined
  readonly limit: number
}

/** Ascending by project, repository and name; a name that two packages share comes twice. */
export async function listPackageNames(reader: Reader, filter: PackageNameFilter): Promise<PackageName[]> {
  const { types, only, visible, after, limit } = filter
  let query = reader
    .selectFrom('package as p')
    .innerJoin('repository as r', 'r.id', 'p.repo_id')
    .where('r.deleted_at', 'is', null)
    .where('r.type', 'in', types)
    .select(['r.project', 'r.name as repo', 'r.id as repoId', 'r.public', 'p.name'])
  if (only !== undefined) query = query.where('r.project', '=', only.project).where('r.name', '=', only.repo)
  if (visible !== undefined) {
    const { projects, repoIds } = visible
    query = query.where((eb) =>
      eb.or([
        eb('r.public', '=', 1),
        projects.length === 0 ? sql<boolean>`1 = 0` : anyOf(reader, 'r.project', projects),
        repoIds.length === 0 ? sql<boolean>`1 = 0` : anyOf(reader, 'r.id', repoIds),
      ]),
    )
  }
  if (after !== undefined) {
    const { project, repo, name } = after
    query = query.where(sql<boolean>`(r.project, r.name, p.name) > (${project}, ${repo}, ${name})`)
  }
  const rows = await query.orderBy('r.project').orderBy('r.name').orderBy('p.name').limit(limit).execute()
  return rows.map((row) => ({ ...row, public: row.public === 1 }))
}
