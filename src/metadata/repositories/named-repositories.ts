import { sql } from 'kysely'
import type { Reader, Transaction } from '../database.ts'
import { dialectOf } from '../sql/dialect-of.ts'
import { type Repository, toRepository } from './repositories.ts'

export interface RepositoryPlace {
  readonly project: string
  readonly name: string
}

/** Those of the names that are live, in any order, in one statement. Up to 10,000. */
export async function repositoriesNamed(reader: Reader, places: readonly RepositoryPlace[]): Promise<Repository[]> {
  if (places.length === 0) return []
  const given = JSON.stringify(places.map(({ project, name }) => [project, name]))
  const pairs =
    dialectOf(reader) === 'sqlite'
      ? sql`select value ->> 0, value ->> 1 from json_each(${given})`
      : sql`select value ->> 0, value ->> 1 from jsonb_array_elements(${given}::jsonb)`
  const rows = await reader
    .selectFrom('repository')
    .selectAll()
    .where(sql<boolean>`(project, name) in (${pairs})`)
    .where('deleted_at', 'is', null)
    .execute()
  return rows.map(toRepository)
}

const LAYOUT_LOCK = 7_303_001

/**
 * Until the transaction ends, nobody else says which repositories a VIRTUAL one has: two that become members of each other at once
 * would both look right. SQLite has one writer anyway.
 */
export async function lockVirtualLayout(trx: Transaction): Promise<void> {
  if (dialectOf(trx) === 'postgres') await sql`select pg_advisory_xact_lock(${sql.lit(LAYOUT_LOCK)})`.execute(trx)
}

/** All live ones, as `project/name`, in order of project and name. */
export async function repositoryNames(reader: Reader): Promise<string[]> {
  const rows = await reader
    .selectFrom('repository')
    .select(['project', 'name'])
    .where('deleted_at', 'is', null)
    .orderBy('project')
    .orderBy('name')
    .execute()
  return rows.map(({ project, name }) => `${project}/${name}`)
}
