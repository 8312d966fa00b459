import { sql } from 'kysely'
import type { Reader } from '../database.ts'
import { mayBeSeen, type Visible } from '../repositories/visible-repositories.ts'
import { givenRows } from '../sql/given-rows.ts'

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
  /** Undefined: all. */
  readonly visible: Visible | undefined
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
  if (visible !== undefined) query = query.where(mayBeSeen(reader, visible, 'r'))
  if (after !== undefined) {
    const { project, repo, name } = after
    query = query.where(sql<boolean>`(r.project, r.name, p.name) > (${project}, ${repo}, ${name})`)
  }
  const rows = await query.orderBy('r.project').orderBy('r.name').orderBy('p.name').limit(limit).execute()
  return rows.map((row) => ({ ...row, public: row.public === 1 }))
}

/** A package of a repository that is shown by another one. */
export interface ShownPackage {
  /** In the list of those that show. */
  readonly place: number
  /** Of the repository that has it. */
  readonly repoId: number
  readonly name: string
}

/**
 * Packages of repositories as others show them, ascending by place, name and repository.
 * @param shown a place, and the repository that is shown there.
 * @param after exclusive.
 */
export async function listShownPackages(
  reader: Reader,
  shown: readonly { readonly place: number; readonly repoId: number }[],
  after: ShownPackage | undefined,
  limit: number,
): Promise<ShownPackage[]> {
  if (shown.length === 0) return []
  const rows = shown.map(({ place, repoId }) => [place, repoId])
  const table = givenRows(reader, 'shown', { place: 'bigint', repo_id: 'bigint' }, rows)
  const { place, name, repoId } = after ?? { place: -1, name: '', repoId: 0 }
  const found = await sql<{ place: number; repo_id: number; name: string }>`
    select shown.place, shown.repo_id, p.name from ${table} join package p on p.repo_id = shown.repo_id
    where (shown.place, p.name, shown.repo_id) > (${place}, ${name}, ${repoId})
    order by shown.place, p.name, shown.repo_id limit ${limit}`.execute(reader)
  return found.rows.map((row) => ({ place: row.place, repoId: row.repo_id, name: row.name }))
}
