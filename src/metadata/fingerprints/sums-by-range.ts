import { type RawBuilder, sql } from 'kysely'
import type { RangeSum } from '../../core/fingerprint.ts'
import type { Reader } from '../database.ts'
import { dialectOf } from '../sql/dialect-of.ts'
import { type Summed, type SumRow, summed, toRangeSum } from './sum-columns.ts'

/** What is summed of each range `g` of the given ones. */
export interface Source {
  /** A table of the ranges, named `g`, with their numbers as `i`. */
  readonly given: RawBuilder<unknown>
  /** `select` list, with the columns of `sums`. */
  readonly columns: RawBuilder<unknown>
  readonly tables: RawBuilder<unknown>
  /** Ties them to `g`. */
  readonly condition: RawBuilder<boolean>
  readonly sums: Summed
}

/**
 * Sums by number of the range, in one statement; ranges with nothing in them may be left out. Each range is looked up by index, whatever
 * the planner believes to know of the tables: `cross join` keeps SQLite to the order, a sum per range PostgreSQL.
 */
export async function sumsByRange(
  reader: Reader,
  { given, columns, tables, condition, sums }: Source,
): Promise<{ readonly i: number; readonly sum: RangeSum }[]> {
  const query =
    dialectOf(reader) === 'sqlite'
      ? sql<SumRow & { i: number }>`select i, ${summed(sums)}
          from (select g.i, ${columns} from ${given} cross join ${tables} where ${condition}) as found group by i`
      : sql<SumRow & { i: number }>`select g.i, each.* from ${given}
          cross join lateral (select ${summed(sums)} from (select ${columns} from ${tables} where ${condition}) as found) as each`
  const { rows } = await query.execute(reader)
  return rows.map((row) => ({ i: row.i, sum: toRangeSum(row) }))
}
