import type { CompiledQuery } from 'kysely'
import type { Dialect, Reader } from '../database.ts'
import type { ReadNow } from '../dialects/sqlite.ts'
import { dialectOf } from './dialect-of.ts'

/** Readers that answer at once, in this thread, without Kysely's way to a connection: it takes longer than the answer. */
const atOnce = new WeakMap<Reader, ReadNow>()
export const answerNow = (reader: Reader, readNow: ReadNow): unknown => atOnce.set(reader, readNow)

/** Stands for a value until the query runs. */
class Slot {
  readonly name: string
  constructor(name: string) {
    this.name = name
  }
}

/**
 * A query that is built and turned into text once, for the few that every request makes: that takes longer than running them.
 *
 *     const byId = preparedQuery<{ id: string }, Row>((reader, { id }) => reader.selectFrom('t').selectAll().where('id', '=', id))
 *     const rows = await byId(db.read, { id: 'x' })
 *
 * The values may be compared with and selected only: a text that depends on them (`is null`, lists) is another query.
 */
export function preparedQuery<Values extends object, Row>(
  build: (reader: Reader, values: Values) => { compile(): CompiledQuery<Row> },
): (reader: Reader, values: Values) => Promise<readonly Row[]> {
  const compiled = new Map<Dialect, CompiledQuery<Row>>()
  const slots = new Proxy({} as Values, { get: (_target, name) => new Slot(String(name)) })
  return async (reader, values) => {
    const dialect = dialectOf(reader)
    const query = compiled.get(dialect) ?? build(reader, slots).compile()
    compiled.set(dialect, query)
    const parameters = query.parameters.map((value) =>
      value instanceof Slot ? values[value.name as keyof Values] : value,
    )
    const readNow = atOnce.get(reader)
    if (readNow !== undefined) return readNow(query.sql, parameters) as Row[]
    const { rows } = await reader.executeQuery<Row>({ ...query, parameters })
    return rows
  }
}
