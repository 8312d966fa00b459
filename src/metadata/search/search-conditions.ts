import { type RawBuilder, sql } from 'kysely'
import { isNest, type SearchLeaf, type SearchRule, type SearchTest } from '../../core/search-rule.ts'
import type { Dialect } from '../database.ts'
import { successor } from '../sql/text-prefix.ts'

export type Condition = RawBuilder<boolean>
export type Value = RawBuilder<unknown>

export const ALWAYS: Condition = sql<boolean>`1 = 1`
const NEVER: Condition = sql<boolean>`1 = 0`

export function allOf(conditions: readonly Condition[]): Condition {
  return conditions.length === 0 ? ALWAYS : sql<boolean>`(${sql.join(conditions, sql` and `)})`
}
export function someOf(conditions: readonly Condition[]): Condition {
  return conditions.length === 0 ? NEVER : sql<boolean>`(${sql.join(conditions, sql` or `)})`
}

/** Every leaf is true or false, never unknown, so that NOR means the same in SQL. */
export function ruleCondition(rule: SearchRule, leafCondition: (leaf: SearchLeaf) => Condition): Condition {
  if (!isNest(rule)) return leafCondition(rule)
  const inner = rule.rules.map((one) => ruleCondition(one, leafCondition))
  if (rule.relation === 'AND') return allOf(inner)
  const some = someOf(inner)
  return rule.relation === 'OR' ? some : sql<boolean>`not ${some}`
}

/** For values that may be null: no test holds for those. */
export const whenPresent = (value: Value, condition: Condition): Condition =>
  sql<boolean>`(${value} is not null and ${condition})`

/**
 * A test of a value that is never null. Text compares by its bytes and nothing in a needle or a pattern has a meaning of its own
 * but `*`; letters of any case are those of ASCII.
 */
export function testCondition(test: SearchTest, value: Value, dialect: Dialect): Condition {
  switch (test.is) {
    case 'present':
      return ALWAYS
    case 'in':
      return isOneOf(value, test.values.map(stored))
    case '<':
    case '<=':
    case '>':
    case '>=':
      return sql<boolean>`${value} ${sql.raw(test.is)} ${test.value}`
    case 'prefix':
      return beginsWith(value, test.text)
    case 'suffix': {
      const length = sql.lit(Array.from(test.text).length)
      return dialect === 'sqlite'
        ? sql<boolean>`substr(${value}, -${length}) = ${test.text}`
        : sql<boolean>`right(${value}, ${length}) = ${test.text}`
    }
    case 'contains':
      return dialect === 'sqlite'
        ? sql<boolean>`instr(${value}, ${test.text}) > 0`
        : sql<boolean>`strpos(${value}, ${test.text}) > 0`
    case 'match': {
      const pattern = test.parts.map((part) => part.replaceAll(/[!%_]/g, '!$&')).join('%')
      if (test.letters === 'exact') return sql<boolean>`${value} like ${pattern} escape '!'`
      return sql<boolean>`lower(${value}) like ${lowerAscii(pattern)} escape '!'`
    }
  }
}

export const isOneOf = (value: Value, values: readonly unknown[]): Condition =>
  values.length === 0 ? NEVER : sql<boolean>`${value} in (${sql.join(values)})`

export function beginsWith(value: Value, prefix: string): Condition {
  const next = successor(prefix)
  if (next === undefined) return sql<boolean>`${value} >= ${prefix}`
  return sql<boolean>`(${value} >= ${prefix} and ${value} < ${next})`
}

/** Flags are 0 and 1. */
const stored = (value: string | number | boolean): string | number =>
  typeof value === 'boolean' ? Number(value) : value

/** As `lower()` does in both databases: SQLite knows ASCII only, PostgreSQL under the collation "C" too. */
const lowerAscii = (text: string): string => text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase())
