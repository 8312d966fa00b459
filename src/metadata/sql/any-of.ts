import { type RawBuilder, sql } from 'kysely'
import type { Reader } from '../database.ts'
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
