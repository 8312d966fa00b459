import { type RawBuilder, sql } from 'kysely'
import { rangesOfTree } from '../../core/path-range.ts'
import type { NodePath } from '../../core/paths.ts'
import { isNest, type SearchRule } from '../../core/search-rule.ts'
import type { Reader } from '../database.ts'
import { dialectOf } from '../sql/dialect-of.ts'
import { inRanges } from '../sql/in-ranges.ts'
import { allOf, type Condition, ruleCondition, someOf, testCondition } from './search-conditions.ts'

/** One grant of reading: a path covered by `include` (empty: every path) and by none of `exclude`. */
export interface SearchGrant {
  readonly repoId: number
  readonly include: readonly NodePath[]
  readonly exclude: readonly NodePath[]
}
/** What the caller may read in the project (`auth/readable-scope.ts`). Several grants of one repository add up. */
export interface SearchScope {
  /** No repository of the project is kept back; `repositories` is empty. */
  readonly everything: boolean
  readonly repositories: readonly SearchGrant[]
}

export interface SearchedRepository {
  readonly id: number
  readonly name: string
  readonly type: string
}

const REPOSITORY_FIELDS: ReadonlySet<string> = new Set(['repoName', 'repoType'])

/** Live repositories of a project that a scope reads and the rules about repositories leave. Ascending by name. */
export async function searchedRepositories(
  reader: Reader,
  project: string,
  scope: SearchScope,
  rules: readonly SearchRule[],
): Promise<SearchedRepository[]> {
  const dialect = dialectOf(reader)
  const column = { repoName: sql.ref('name'), repoType: sql.ref('type') }
  const conditions = rules
    .filter(isAboutRepositories)
    .map((rule) =>
      ruleCondition(rule, ({ field, test }) => testCondition(test, column[field as keyof typeof column], dialect)),
    )
  let query = reader
    .selectFrom('repository')
    .select(['id', 'name', 'type'])
    .where('project', '=', project)
    .where('deleted_at', 'is', null)
    .where(allOf(conditions))
  if (!scope.everything)
    query = query.where(
      among(
        reader,
        'id',
        scope.repositories.map(({ repoId }) => repoId),
      ),
    )
  return query.orderBy('name').execute()
}

export const isAboutRepositories = (rule: SearchRule): boolean =>
  isNest(rule) ? rule.rules.every(isAboutRepositories) : REPOSITORY_FIELDS.has(rule.field)

/** Nothing for whole repositories: the search is in none but readable ones. @param reaches whether a part of one reaches a row. */
export function readable(
  scope: SearchScope,
  searched: ReadonlySet<number>,
  reaches: (grant: SearchGrant) => Condition,
): Condition[] {
  if (scope.everything) return []
  const grants = scope.repositories.filter(({ repoId }) => searched.has(repoId))
  const whole = new Set(
    grants.filter(({ include, exclude }) => include.length + exclude.length === 0).map(({ repoId }) => repoId),
  )
  const parts = grants.filter(({ repoId }) => !whole.has(repoId))
  if (parts.length === 0) return []
  const conditions = parts.map((grant) => allOf([sql<boolean>`repo_id = ${sql.lit(grant.repoId)}`, reaches(grant)]))
  if (whole.size > 0) conditions.push(sql<boolean>`repo_id in (${sql.join([...whole].map((id) => sql.lit(id)))})`)
  return [someOf(conditions)]
}

/** Whether the column `path` lies in the paths of a grant. */
export function within({ include, exclude }: SearchGrant): Condition {
  const inside = include.length === 0 ? [] : [inRanges(include.flatMap(rangesOfTree))]
  const outside = exclude.length === 0 ? [] : [sql<boolean>`not ${inRanges(exclude.flatMap(rangesOfTree))}`]
  return allOf([...inside, ...outside])
}

export function among(reader: Reader, column: 'id' | 'repo_id', ids: readonly number[]): RawBuilder<boolean> {
  const [only] = ids
  if (only === undefined) return sql<boolean>`1 = 0`
  if (ids.length === 1) return sql<boolean>`${sql.ref(column)} = ${sql.lit(only)}`
  if (dialectOf(reader) === 'sqlite') {
    return sql<boolean>`${sql.ref(column)} in (select value from json_each(${JSON.stringify(ids)}))`
  }
  return sql<boolean>`${sql.ref(column)} = any(${[...ids]}::bigint[])`
}
