import { type RawBuilder, sql } from 'kysely'
import { isNest, type SearchLeaf, type SearchRule, type SearchTest } from '../../core/search-rule.ts'
import type { Dialect } from '../database.ts'
import { searchIndexed } from '../nodes/search-indexed.ts'
import {
  digestsOf,
  entryCondition,
  INDEXED_CHARACTERS,
  INDEXED_TEXT,
  NAME,
  nodeCondition,
} from './node-search-fields.ts'
import { allOf, beginsWith, type Condition, isOneOf, testCondition, type Value } from './search-conditions.ts'

/** Rows that one index gives, in its order: those that a search looks at. Columns are those of `node`. */
export interface Candidates {
  /** That gives them. */
  readonly index:
    | 'node_blob'
    | 'node_live'
    | 'node_name'
    | 'node_children'
    | 'node_metadata_value'
    | 'node_modified'
    | 'node_size'
  /** These hold for all of them: nothing else needs to check. */
  readonly covers: readonly SearchRule[]
  /**
   * A SELECT of at most `limit` rows of `node` after `offset`, in the order of the index. Both databases keep the order of a subquery
   * that is only filtered; said once more outside, it would keep them from stopping early.
   */
  select(repositories: Condition, limit: number): RawBuilder<unknown>
  /** A SELECT that tells how many rows the index has: those of `select`, and of those that it looks at in vain. */
  entries(repositories: Condition, limit: number, offset: number): RawBuilder<unknown>
}

const LIVE: Condition = sql<boolean>`deleted_at is null`
const ID: Value = sql.ref('id')
const REPOSITORY: Value = sql.ref('repo_id')
const PATH: Value = sql.ref('path')
const MODIFIED: Value = sql.ref('modified_at')

/** Index and column by wire name. */
const ORDERED = {
  name: { index: 'node_name', value: NAME },
  fullPath: { index: 'node_live', value: PATH },
  lastModifiedDate: { index: 'node_modified', value: MODIFIED },
  size: { index: 'node_size', value: sql.ref('size') },
} as const satisfies Record<string, { index: Candidates['index']; value: Value }>
export type IndexedField = keyof typeof ORDERED
export const isIndexedField = (field: string): field is IndexedField => Object.hasOwn(ORDERED, field)

/** Every index that bounds the matches of these rules (all of which hold), the most selective by experience first. */
export function planCandidates(rules: readonly SearchRule[], project: string, dialect: Dialect): Candidates[] {
  const leaves = rules.filter((rule): rule is SearchLeaf => !isNest(rule))
  const of = (field: string) => leaves.filter((leaf) => leaf.field === field)
  const keys = new Set(of('metadata').map(({ key }) => key!))
  return [
    byDigest(of('sha256')),
    byField('name', of('name'), project, dialect),
    byPath(of('fullPath'), of('path'), project, dialect),
    byParent(of('path')),
    ...[...keys].map((key) =>
      byEntry(
        key,
        of('metadata').filter((leaf) => leaf.key === key),
        dialect,
      ),
    ),
    byField('lastModifiedDate', of('lastModifiedDate'), project, dialect),
    byField('size', of('size'), project, dialect),
  ].filter((found) => found !== undefined)
}

/** All nodes of the repositories in order of change, which is about the order that they lie in on disk. */
export const everyNode = (dialect: Dialect): Candidates => ({
  index: 'node_modified',
  covers: [],
  ...rowsIn([REPOSITORY, MODIFIED, ID], searchIndexed(dialect)),
})

/** The rows of repositories in the order of a field, merged; of those that the leaves about the field leave. */
export interface MergedOrder {
  readonly order: readonly Value[]
  /** Of one repository, in order. @param where what nothing has checked yet. */
  select(repoId: number, where: Condition, limit: number, lookAtMost: number): RawBuilder<unknown>
}

export function inOrderOf(
  field: IndexedField,
  direction: 'asc' | 'desc',
  rules: readonly SearchRule[],
  project: string,
  dialect: Dialect,
): MergedOrder {
  const { value } = ORDERED[field]
  const leaves = rules.filter((rule): rule is SearchLeaf => !isNest(rule) && rule.field === field)
  const bounds = leaves.flatMap((leaf) => bound(leaf, value, project, dialect) ?? [])
  const ordered = (by: Value) => [by, ID].map((term) => sql`${term} ${sql.raw(direction)}`)
  return {
    order: ordered(sql.ref('sorted')),
    select: (repoId, where, limit, lookAtMost) => sql`select * from (
      select node.*, ${value} as sorted from node
      where ${allOf([sql<boolean>`repo_id = ${sql.lit(repoId)}`, LIVE, ...searchIndexed(dialect), ...bounds])}
      order by ${sql.join(ordered(value))} limit ${lookAtMost}) as looked where ${where} limit ${limit}`,
  }
}

type Selection = Pick<Candidates, 'select' | 'entries'>

/** Live rows of `node`, of which all that are looked at are candidates. */
function rowsIn(order: readonly Value[], where: readonly Condition[] = []): Selection {
  const entries: Candidates['entries'] = (repositories, limit, offset) =>
    sql`select * from node where ${allOf([repositories, LIVE, ...where])} order by ${sql.join(order)}
      limit ${limit} offset ${sql.lit(offset)}`
  return { entries, select: (repositories, limit) => entries(repositories, limit, 0) }
}

function byField(field: IndexedField, leaves: readonly SearchLeaf[], project: string, dialect: Dialect) {
  const { index, value } = ORDERED[field]
  const usable = leaves.flatMap((leaf) => {
    const where = bound(leaf, value, project, dialect)
    return where === undefined ? [] : [{ leaf, where }]
  })
  if (usable.length === 0) return undefined
  const pinned = usable.some(({ leaf: { test } }) => test.is === 'in' && test.values.length === 1)
  const order = pinned ? [REPOSITORY, ID] : [REPOSITORY, value, ID]
  return {
    index,
    covers: usable.map(({ leaf }) => leaf).filter(({ test }) => test.is !== 'match'),
    ...rowsIn(order, [...searchIndexed(dialect), ...usable.map((one) => one.where)]),
  } satisfies Candidates
}

/** What an index on `value` can do for a leaf: all of it, or for a pattern its beginning. */
function bound(leaf: SearchLeaf, value: Value, project: string, dialect: Dialect): Condition | undefined {
  const { test } = leaf
  if (test.is === 'match')
    return test.parts[0] === '' || test.letters === 'any-case' ? undefined : beginsWith(value, test.parts[0]!)
  if (test.is === 'present' || test.is === 'suffix' || test.is === 'contains') return undefined
  return nodeCondition(leaf, project, dialect)
}

/** Full paths, and the beginnings of folders: what lies in `/a/…` begins with it. */
function byPath(
  full: readonly SearchLeaf[],
  folders: readonly SearchLeaf[],
  project: string,
  dialect: Dialect,
): Candidates | undefined {
  const ofFolders = folders.flatMap((leaf) => {
    const beginning = beginningOf(leaf.test)
    return beginning === undefined ? [] : [{ leaf, beginning }]
  })
  const found = full.flatMap((leaf) => bound(leaf, PATH, project, dialect) ?? [])
  const where = [...found, ...ofFolders.map(({ beginning }) => beginsWith(PATH, beginning))]
  if (where.length === 0) return undefined
  const covered = full.filter(({ test }) => test.is === 'in' || test.is === 'prefix')
  const whole = ofFolders.filter(({ leaf, beginning }) => leaf.test.is === 'prefix' && beginning.endsWith('/'))
  return {
    index: 'node_live',
    covers: [...covered, ...whole.map(({ leaf }) => leaf)],
    ...rowsIn([REPOSITORY, PATH], where),
  }
}

function beginningOf(test: SearchTest): string | undefined {
  if (test.is === 'prefix') return test.text
  return test.is === 'match' && test.letters === 'exact' && test.parts[0] !== '' ? test.parts[0] : undefined
}

/** What lies in some folders. */
function byParent(leaves: readonly SearchLeaf[]): Candidates | undefined {
  const covers = leaves.filter(({ test }) => test.is === 'in')
  if (covers.length === 0) return undefined
  const where = covers.map(({ test }) => isOneOf(sql.ref('parent'), test.is === 'in' ? test.values : []))
  const order = [sql.ref('parent'), REPOSITORY, sql`substr(path, length(parent) + 1)`]
  return {
    index: 'node_children',
    covers,
    ...rowsIn(order, where),
  }
}

/** All uses of the bytes, also those of other repositories and deleted ones: the index knows no better. */
function byDigest(leaves: readonly SearchLeaf[]): Candidates | undefined {
  const covers = leaves.filter(({ test }) => test.is === 'in')
  if (covers.length === 0) return undefined
  const where = covers.map(({ test }) => isOneOf(sql.ref('sha256'), test.is === 'in' ? digestsOf(test.values) : []))
  const entries: Candidates['entries'] = (_repositories, limit, offset) =>
    sql`select * from node where ${allOf(where)} limit ${limit} offset ${sql.lit(offset)}`
  return {
    index: 'node_blob',
    covers,
    entries,
    select: (repositories, limit) => sql`select * from (${entries(repositories, limit, 0)}) as used
      where ${allOf([repositories, LIVE])} order by repo_id, path`,
  }
}

/** Nodes by an entry of their metadata. Rows of deleted nodes are among the entries until they are purged. */
function byEntry(key: string, leaves: readonly SearchLeaf[], dialect: Dialect): Candidates {
  const texts = leaves.flatMap(({ test }) => indexedTexts(test, dialect) ?? [])
  const pinned = leaves.some(({ test }) => test.is === 'in' && test.values.length === 1)
  const order = pinned ? sql`repo_id, node_id` : sql`repo_id, ${INDEXED_TEXT}, node_id`
  const entries: Candidates['entries'] = (repositories, limit, offset) =>
    sql`select node_id, kind, text, number from node_metadata
      where ${allOf([repositories, sql<boolean>`key = ${key}`, ...texts])}
      order by ${order} limit ${limit} offset ${sql.lit(offset)}`
  const where = allOf(leaves.map(({ test }) => entryCondition(test, dialect)))
  // The entries come first in both databases, whatever they think of the number of rows.
  const nodes =
    dialect === 'sqlite'
      ? sql`cross join node on node.id = entry.node_id where node.deleted_at is null and ${where}`
      : sql`cross join lateral (select * from node where id = entry.node_id and deleted_at is null limit 1) as node
          where ${where}`
  return {
    index: 'node_metadata_value',
    covers: leaves,
    entries,
    select: (repositories, limit) => sql`select node.* from (${entries(repositories, limit, 0)}) as entry ${nodes}`,
  }
}

/** By the beginning of the text, which is what the index holds. */
function indexedTexts(test: SearchTest, dialect: Dialect): Condition | undefined {
  if (test.is === 'in') {
    const beginnings = test.values.map((value) => Array.from(String(value)).slice(0, INDEXED_CHARACTERS).join(''))
    return isOneOf(INDEXED_TEXT, [...new Set(beginnings)])
  }
  const beginning = beginningOf(test)
  if (beginning === undefined) return undefined
  const indexed = Array.from(beginning).slice(0, INDEXED_CHARACTERS).join('')
  return testCondition({ is: 'prefix', text: indexed }, INDEXED_TEXT, dialect)
}
