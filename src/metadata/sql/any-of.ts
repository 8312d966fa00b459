import { type RawBuilder, sql } from 'kysely'
import type { Reader } from '../database.ts'
import { arrayLiteral } from './array-literal.ts'
import { dialectOf } from './dialect-of.ts'

/**
 * "The column is one of these": any number of values in one parameter, so that the statement's text does not grow with them and
 * no limit of parameters is met. An index on the column serves it.
 */
export function anyOf(
  reader: Reader,
  column: string,
  values: readonly string[] | readonly number[],
): RawBuilder<boolean> {
  const ref = sql.ref(column)
  if (dialectOf(reader) === 'sqlite') {
    return sql<boolean>`${ref} in (select value from json_each(${JSON.stringify(values)}))`
  }
  const type = typeof values[0] === 'number' ? sql`bigint[]` : sql`text[]`
  return sql<boolean>`${ref} = any(${[...values]}::${type})`
}

/** The same in a prepared query. @param list what `listOf` makes of the values. */
export function anyListed(reader: Reader, column: string, type: 'text' | 'bigint', list: string): RawBuilder<boolean> {
  const ref = sql.ref(column)
  if (dialectOf(reader) === 'sqlite') return sql<boolean>`${ref} in (select value from json_each(${list}))`
  return sql<boolean>`${ref} = any(${list}::${sql.raw(type)}[])`
}
export const listOf = (reader: Reader, values: readonly (string | number)[]): string =>
  dialectOf(reader) === 'sqlite' ? JSON.stringify(values) : arrayLiteral(values, (value) => value)
