import { type RawBuilder, sql } from 'kysely'
import type { Reader } from '../database.ts'
import { dialectOf } from './dialect-of.ts'

/** A whole number above 2^53 goes as text. */
export type GivenValue = string | number | null

/**
 * Rows of values as a table of a statement, any number of them: the text of the statement does not grow with them, and no limit of
 * parameters is met. For `from`, alone or first of a join.
 * @param columns in the order of the values.
 */
export function givenRows(
  reader: Reader,
  name: string,
  columns: Readonly<Record<string, 'text' | 'bigint'>>,
  rows: readonly (readonly GivenValue[])[],
): RawBuilder<unknown> {
  const all = Object.entries(columns)
  if (dialectOf(reader) === 'sqlite') {
    const fields = all.map(([column, type], at) => {
      const value = sql`value ->> ${sql.lit(at)}`
      return type === 'text'
        ? sql`${value} as ${sql.ref(column)}`
        : sql`cast(${value} as integer) as ${sql.ref(column)}`
    })
    return sql`(select ${sql.join(fields)} from json_each(${JSON.stringify(rows)})) as ${sql.ref(name)}`
  }
  const arrays = all.map(([, type], at) => {
    const values = rows.map((row) => row[at]!)
    return sql`${values}::${type === 'text' ? sql`text[]` : sql`bigint[]`}`
  })
  return sql`unnest(${sql.join(arrays)}) as ${sql.ref(name)} (${sql.join(all.map(([column]) => sql.ref(column)))})`
}
