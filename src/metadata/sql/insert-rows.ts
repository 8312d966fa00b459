import { setImmediate as yieldThread } from 'node:timers/promises'
import { CompiledQuery } from 'kysely'
import type { Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { arrayLiteral } from './array-literal.ts'
import { dialectOf } from './dialect-of.ts'

type Value = string | number | Uint8Array | null
/** As PostgreSQL calls it; digests are `bytea`. */
export type ColumnType = 'bigint' | 'integer' | 'double precision' | 'text' | 'bytea'

/** What a statement takes of each row: `{ path: ['text', (file) => file.path] }`. */
export type RowColumns<Row> = Readonly<Record<string, readonly [type: ColumnType, of: (row: Row) => Value]>>

export interface RowInsert<Table extends keyof Schema, Row> {
  readonly into: Table
  readonly columns: Readonly<Partial<Record<keyof Schema[Table] & string, RowColumns<Row>[string]>>>
  /** Beginning with `on conflict`. */
  readonly onConflict?: string
  /** Names of columns, with commas. Costs SQLite about 3 µs a row. */
  readonly returning?: string
}

export interface RowUpdate<Row> {
  readonly columns: RowColumns<Row>
  /** May name the rows as `v`, and their columns: `update t set a = v.a from v where t.id = v.id`. */
  readonly statement: string
}

export interface WrittenRows<Returned> {
  /** Rows inserted, changed or deleted. */
  readonly affected: number
  /** In the order of the rows, but for those left out by `on conflict do nothing`. */
  readonly returned: Returned[]
}
export type WriteRows<Row, Returned = never> = (
  trx: Transaction,
  rows: readonly Row[],
) => Promise<WrittenRows<Returned>>

/**
 * SQLite: rows per statement. Few texts, all small enough to stay prepared; more rows at once are no faster. A batch goes in as the
 * largest that fit, so that any number of rows takes few statements.
 */
const SIZES = [64, 16, 4, 1] as const
/** SQLite runs in this thread: after so many rows, a few milliseconds, whatever else waits for it has its turn. */
const ROWS_PER_TURN = 256
/** PostgreSQL: a statement of this many rows stays far below a second. */
const ROWS_PER_ROUND_TRIP = 2_000

/**
 * Inserts any number of rows by a text that is made once, instead of one that Kysely builds anew for each batch: that takes longer
 * than the insertion. SQLite takes 64 rows a statement, PostgreSQL all of them as one array per column, in one round trip.
 * Rows go in in their order. Tables, columns and conditions are constants of the program, never input.
 *
 *     const insertTags = insertingRows<'tag', Tag>({
 *       into: 'tag',
 *       columns: { path: ['text', (tag) => tag.path], size: ['bigint', (tag) => tag.sizeBytes] },
 *       onConflict: 'on conflict (path) do update set size = excluded.size',
 *     })
 *     await insertTags(trx, tags)
 */
export function insertingRows<Table extends keyof Schema, Row, Returned = never>(
  insert: RowInsert<Table, Row>,
): WriteRows<Row, Returned> {
  const columns = insert.columns as RowColumns<Row>
  const names = Object.keys(columns).join(', ')
  const into = `insert into "${insert.into}" (${names})`
  const after = `${insert.onConflict ?? ''}${insert.returning === undefined ? '' : ` returning ${insert.returning}`}`
  return writer(columns, {
    sqlite: (values) => `${into} values ${values} ${after}`,
    postgres: (unnested) => `${into} select * from ${unnested} ${after}`,
  })
}

/** Runs one statement over any number of rows, in the same way. */
export function updatingRows<Row, Returned = never>({ columns, statement }: RowUpdate<Row>): WriteRows<Row, Returned> {
  const v = `with v (${Object.keys(columns).join(', ')}) as`
  return writer(columns, {
    sqlite: (values) => `${v} (values ${values}) ${statement}`,
    postgres: (unnested) => `${v} (select * from ${unnested}) ${statement}`,
  })
}

interface Texts {
  /** Of `(?, ?), (?, ?)`. */
  sqlite(values: string): string
  /** Of `unnest($1::text[], …)`. */
  postgres(unnested: string): string
}

function writer<Row, Returned>(columns: RowColumns<Row>, texts: Texts): WriteRows<Row, Returned> {
  const types = Object.values(columns).map(([type]) => type)
  const getters = Object.values(columns).map(([, of]) => of)
  const marks = `(${types.map(() => '?').join(', ')})`
  const bySize = new Map(
    SIZES.map((size) => [size, CompiledQuery.raw(texts.sqlite(Array(size).fill(marks).join(', ')))]),
  )
  const arrays = types.map((type, index) => `$${index + 1}::${type}[]`).join(', ')
  const unnested = CompiledQuery.raw(texts.postgres(`unnest(${arrays})`))
  return async (trx, rows) => {
    const statements =
      dialectOf(trx) === 'sqlite'
        ? sqliteStatements(rows, getters, bySize)
        : postgresStatements(rows, getters, unnested)
    let affected = 0
    let returned: Returned[] = []
    let rowsInTurn = 0
    for (const { query, parameters, size } of statements) {
      if (rowsInTurn >= ROWS_PER_TURN) {
        await yieldThread()
        rowsInTurn = 0
      }
      const result = await trx.executeQuery<Returned>({ ...(query as CompiledQuery<Returned>), parameters })
      affected += Number(result.numAffectedRows ?? 0)
      returned = returned.length === 0 ? result.rows : returned.concat(result.rows)
      rowsInTurn += size
    }
    return { affected, returned }
  }
}

interface Statement {
  readonly query: CompiledQuery
  readonly parameters: Value[]
  readonly size: number
}

function* sqliteStatements<Row>(
  rows: readonly Row[],
  getters: readonly ((row: Row) => Value)[],
  bySize: ReadonlyMap<number, CompiledQuery>,
): Generator<Statement> {
  for (let at = 0; at < rows.length; ) {
    const size = SIZES.find((fits) => fits <= rows.length - at)!
    const parameters: Value[] = []
    for (const end = at + size; at < end; at++) {
      const row = rows[at]!
      for (const of of getters) parameters.push(of(row))
    }
    yield { query: bySize.get(size)!, parameters, size }
  }
}

function* postgresStatements<Row>(
  rows: readonly Row[],
  getters: readonly ((row: Row) => Value)[],
  query: CompiledQuery,
): Generator<Statement> {
  for (let at = 0; at < rows.length; at += ROWS_PER_ROUND_TRIP) {
    const slice = rows.length <= ROWS_PER_ROUND_TRIP ? rows : rows.slice(at, at + ROWS_PER_ROUND_TRIP)
    const parameters = getters.map((of) => arrayLiteral(slice, of))
    // Its server answers elsewhere: only the building of the parameters holds this thread.
    yield { query, parameters, size: ROWS_PER_TURN }
  }
}
