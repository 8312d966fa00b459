import { type Selectable, sql } from 'kysely'
import { isNest, type SearchLeaf, type SearchRule } from '../../core/search-rule.ts'
import type { Dialect, Reader } from '../database.ts'
import { type PackageRecord, toPackage } from '../packages/packages.ts'
import type { Schema } from '../schema.ts'
import { dialectOf } from '../sql/dialect-of.ts'
import type { FoundOrder } from './node-search.ts'
import {
  allOf,
  beginsWith,
  type Condition,
  isOneOf,
  ruleCondition,
  testCondition,
  type Value,
  whenPresent,
} from './search-conditions.ts'
import {
  among,
  isAboutRepositories,
  readable,
  type SearchedRepository,
  type SearchGrant,
  type SearchScope,
  within,
} from './search-scope.ts'

export interface PackageSearch {
  readonly project: string
  readonly repositories: readonly SearchedRepository[]
  readonly scope: SearchScope
  /** All of them hold. */
  readonly rules: readonly SearchRule[]
  readonly order: readonly FoundOrder[]
  readonly limit: number
  readonly offset: number
  readonly countUpTo: number
  readonly lookAtMost: number
}

export interface FoundPackages {
  readonly matches: number
  /** More match than were counted. */
  readonly more: boolean
  readonly packages: readonly PackageRecord[]
}

const COLUMNS: Readonly<Record<string, Value>> = {
  name: sql.ref('name'),
  key: sql.ref('key'),
  description: sql.ref('description'),
  latest: sql.ref('latest'),
  versions: sql.ref('versions'),
  downloads: sql.ref('downloads'),
  createdBy: sql.ref('created_by'),
  createdDate: sql.ref('created_at'),
  lastModifiedBy: sql.ref('modified_by'),
  lastModifiedDate: sql.ref('modified_at'),
  repoName: sql`(select repository.name from repository where repository.id = repo_id)`,
  repoType: sql`(select repository.type from repository where repository.id = repo_id)`,
}

/**
 * Packages of these repositories that match, by repository and name unless `order` says otherwise. Of a repository that is readable
 * in parts, those whose version lies in such a part. Undefined: they cannot be counted or sorted within `lookAtMost`.
 */
export async function findPackages(reader: Reader, search: PackageSearch): Promise<FoundPackages | undefined> {
  const dialect = dialectOf(reader)
  const { project, countUpTo, lookAtMost } = search
  const ids = search.repositories.map(({ id }) => id)
  const rules = search.rules.filter((rule) => !isAboutRepositories(rule))
  const matching = allOf([
    ...readable(search.scope, new Set(ids), hasVersionWithin),
    ...rules.map((rule) => ruleCondition(rule, (leaf) => packageCondition(leaf, project, dialect))),
  ])
  const bounds = allOf([among(reader, 'repo_id', ids), ...rules.flatMap(bound)])
  const looked = (limit: number, offset = 0) =>
    sql`select * from package where ${bounds} order by repo_id, name, id limit ${limit} offset ${sql.lit(offset)}`

  const counted = await sql<{ matches: number }>`select count(*) as matches from (
    select 1 from (${looked(lookAtMost)}) as found where ${matching} limit ${countUpTo + 1}) as counted`.execute(reader)
  const { matches } = counted.rows[0]!
  const more = matches > countUpTo
  const needsAll = !more || search.order.length > 0
  if (needsAll && (await sql`${looked(1, lookAtMost)}`.execute(reader)).rows.length > 0) return undefined
  const direction = sql.raw(search.order[0]?.direction ?? 'asc')
  const terms = search.order.map(({ field }) => sql`${sortValue(field)} ${direction}`)
  const sorting = terms.length === 0 ? sql`` : sql`order by ${sql.join([...terms, sql`id ${direction}`])}`
  const { rows } = await sql<PackageRow>`select * from (${looked(lookAtMost)}) as found where ${matching} ${sorting}
    limit ${search.limit} offset ${search.offset}`.execute(reader)
  return { matches: Math.min(matches, countUpTo), more, packages: rows.map(toPackage) }
}
type PackageRow = Selectable<Schema['package']>

const sortValue = (field: string): Value => (field === 'description' ? sql`coalesce(description, '')` : COLUMNS[field]!)

/** @throws Error for a field that packages do not have. */
function packageCondition({ field, test }: SearchLeaf, project: string, dialect: Dialect): Condition {
  if (field === 'projectId') return testCondition(test, sql`cast(${project} as text)`, dialect)
  const value = COLUMNS[field]
  if (value === undefined) throw new Error(`packages have no field ${field}`)
  const condition = testCondition(test, value, dialect)
  return field === 'description' ? whenPresent(value, condition) : condition
}

/** What the indexes on key and name do for a rule. */
function bound(rule: SearchRule): Condition[] {
  if (isNest(rule) || (rule.field !== 'name' && rule.field !== 'key')) return []
  const value = sql.ref(rule.field)
  const { test } = rule
  if (test.is === 'in') return [isOneOf(value, test.values)]
  if (test.is === 'prefix') return [beginsWith(value, test.text)]
  const starts = test.is === 'match' && test.letters === 'exact' && test.parts[0] !== ''
  return starts ? [beginsWith(value, test.parts[0]!)] : []
}

/** A version whose main file lies in the paths of a grant. */
const hasVersionWithin = (grant: SearchGrant): Condition => sql<boolean>`exists (select 1 from (
  select artifact_path as path from package_version where package_id = found.id) as version where ${within(grant)})`
