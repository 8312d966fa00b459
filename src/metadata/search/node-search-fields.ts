import { sql } from 'kysely'
import { digestBytes, parseDigest } from '../../core/digest.ts'
import type { SearchLeaf, SearchTest } from '../../core/search-rule.ts'
import type { Dialect } from '../database.ts'
import {
  allOf,
  beginsWith,
  type Condition,
  isOneOf,
  testCondition,
  type Value,
  whenPresent,
} from './search-conditions.ts'

/** The very text of the index `node_name`. */
export const NAME: Value = sql`ltrim(substr(path, length(parent) + 1), '/')`
/** `/a/`: the folder as it is on the wire. */
const FOLDER: Value = sql`(case when parent = '/' then parent else parent || '/' end)`
/** The beginning of a metadata value that the index `node_metadata_value` holds. */
export const INDEXED_TEXT: Value = sql`substr(text, 1, 200)`
export const INDEXED_CHARACTERS = 200

/** Columns by wire name, without those that need a look elsewhere. */
const COLUMNS: Readonly<Record<string, Value>> = {
  name: NAME,
  fullPath: sql.ref('path'),
  path: FOLDER,
  folder: sql.ref('folder'),
  size: sql.ref('size'),
  md5: sql.ref('md5'),
  createdBy: sql.ref('created_by'),
  createdDate: sql.ref('created_at'),
  lastModifiedBy: sql.ref('modified_by'),
  lastModifiedDate: sql.ref('modified_at'),
  lastAccessDate: sql.ref('accessed_at'),
  expireDate: sql.ref('expires_at'),
  repoName: sql`(select name from repository where repository.id = repo_id)`,
  repoType: sql`(select type from repository where repository.id = repo_id)`,
}
const NULLABLE: ReadonlySet<string> = new Set(['md5', 'lastAccessDate', 'expireDate'])

/** For ORDER BY. Null comes first in ascending order, in both databases. */
export function sortValue(field: string): Value {
  return NULLABLE.has(field) ? sql`coalesce(${COLUMNS[field]!}, ${sql.lit(field === 'md5' ? '' : 0)})` : COLUMNS[field]!
}

/** True or false of any row of `node` (columns without a table's name). @throws Error for a field that nodes do not have. */
export function nodeCondition(leaf: SearchLeaf, project: string, dialect: Dialect): Condition {
  const { field, test } = leaf
  if (field === 'metadata') return metadataCondition(leaf.key!, test, dialect)
  if (field === 'projectId') return testCondition(test, sql`cast(${project} as text)`, dialect)
  if (field === 'sha256') return whenPresent(sql.ref('sha256'), digestCondition(test, dialect))
  if (field === 'path' && test.is === 'in') return isOneOf(sql.ref('parent'), test.values)
  if (field === 'path' && test.is === 'prefix') return folderBegins(test.text, dialect)
  const value = COLUMNS[field]
  if (value === undefined) throw new Error(`nodes have no field ${field}`)
  const condition = testCondition(test, value, dialect)
  return NULLABLE.has(field) ? whenPresent(value, condition) : condition
}

/** A slash at the prefix's last character or later: so far the folder goes. Needs nothing but the path, which an index holds. */
function folderBegins(prefix: string, dialect: Dialect): Condition {
  const path = sql.ref('path')
  const end = sql`substr(${path}, ${sql.lit(Array.from(prefix).length)})`
  return allOf([beginsWith(path, prefix), testCondition({ is: 'contains', text: '/' }, end, dialect)])
}

function digestCondition(test: SearchTest, dialect: Dialect): Condition {
  return test.is === 'in'
    ? isOneOf(sql.ref('sha256'), digestsOf(test.values))
    : testCondition(test, sql`sha256`, dialect)
}

/** What is no digest equals none. */
export function digestsOf(values: readonly unknown[]): Uint8Array[] {
  return values.flatMap((value) => {
    const digest = parseDigest(String(value))
    return digest === undefined ? [] : [digestBytes(digest)]
  })
}

/** Values are typed: the text "1" is not the number 1. An entry whose value is JSON null is not there. */
function metadataCondition(key: string, test: SearchTest, dialect: Dialect): Condition {
  const entry = (condition: Condition): Condition =>
    sql<boolean>`exists (select 1 from node_metadata where node_id = id and key = ${key} and ${condition})`
  return entry(entryCondition(test, dialect))
}

/** True or false of any row of `node_metadata`. */
export function entryCondition(test: SearchTest, dialect: Dialect): Condition {
  const text = sql.ref('text')
  switch (test.is) {
    case 'present':
      return sql<boolean>`not (kind = 'o' and text = 'null')`
    case 'in': {
      const of = (type: string) => test.values.filter((value) => typeof value === type)
      const kinds = [
        sql<boolean>`(kind = 's' and ${isOneOf(text, of('string'))})`,
        sql<boolean>`(kind = 'n' and ${isOneOf(sql.ref('number'), of('number'))})`,
        sql<boolean>`(kind = 'o' and ${isOneOf(text, of('boolean').map(String))})`,
      ]
      return sql<boolean>`(${sql.join(kinds, sql` or `)})`
    }
    case '<':
    case '<=':
    case '>':
    case '>=':
      return whenPresent(sql`number`, testCondition(test, sql`number`, dialect))
    default:
      return sql<boolean>`(kind = 's' and ${testCondition(test, text, dialect)})`
  }
}
