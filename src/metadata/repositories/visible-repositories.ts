import { type RawBuilder, sql } from 'kysely'
import type { Reader } from '../database.ts'
import { anyOf } from '../sql/any-of.ts'
import { type Repository, toRepository } from './repositories.ts'

/** Repositories of which a caller may see something: these, all of these projects, and public ones. */
export interface Visible {
  readonly projects: readonly string[]
  readonly repoIds: readonly number[]
}

/** @param alias of the table `repository`. */
export function mayBeSeen(reader: Reader, { projects, repoIds }: Visible, alias: string): RawBuilder<boolean> {
  const none = sql<boolean>`1 = 0`
  const inProject = projects.length === 0 ? none : anyOf(reader, `${alias}.project`, projects)
  const named = repoIds.length === 0 ? none : anyOf(reader, `${alias}.id`, repoIds)
  return sql<boolean>`(${sql.ref(`${alias}.public`)} = 1 or ${inProject} or ${named})`
}

export interface VirtualFilter {
  readonly types: readonly string[]
  /** Undefined: all. */
  readonly only: { readonly project: string; readonly repo: string } | undefined
  /** Undefined: all. */
  readonly visible: Visible | undefined
  /** Inclusive. */
  readonly from: { readonly project: string; readonly repo: string }
  readonly limit: number
}

/** VIRTUAL repositories, ascending by project and name. */
export async function listVirtualRepositories(
  reader: Reader,
  { types, only, visible, from, limit }: VirtualFilter,
): Promise<Repository[]> {
  let query = reader
    .selectFrom('repository as r')
    .selectAll('r')
    .where('r.category', '=', 'VIRTUAL')
    .where('r.type', 'in', types)
    .where('r.deleted_at', 'is', null)
    .where(sql<boolean>`(r.project, r.name) >= (${from.project}, ${from.repo})`)
  if (only !== undefined) query = query.where('r.project', '=', only.project).where('r.name', '=', only.repo)
  if (visible !== undefined) query = query.where(mayBeSeen(reader, visible, 'r'))
  return (await query.orderBy('r.project').orderBy('r.name').limit(limit).execute()).map(toRepository)
}
