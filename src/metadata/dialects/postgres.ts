import { type Dialect, PostgresDialect } from 'kysely'
import type pg from 'pg'

/** Waiting longer for a free connection means that something holds them all: an error says more than a hang. */
const CONNECT_TIMEOUT_MS = 30_000
/** type oids of `pg_type`. */
const INT8 = 20
const NUMERIC = 1700

export interface PostgresOptions {
  readonly url: string
  readonly poolSize: number
  /** Hears of idle connections that broke; the pool replaces them by itself. */
  readonly onError: (error: Error) => void
  /** Statements for each new connection. */
  readonly prepare?: string
}

/**
 * Kysely on a `pg` pool of its own. bigint and the numeric that sums of bigint give come as numbers, as in SQLite; one above
 * 2^53 throws instead of losing digits. bytea comes as Buffer. The driver is loaded with the first query: a server on SQLite does
 * without its memory.
 */
export function postgresDialect(options: PostgresOptions): Dialect {
  return new PostgresDialect({ pool: () => createPool(options) })
}

async function createPool({ url, poolSize, onError, prepare }: PostgresOptions): Promise<pg.Pool> {
  const { default: driver } = await import('pg')
  const pool = new driver.Pool({
    connectionString: url,
    max: poolSize,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    application_name: 'entrepot',
    types: { getTypeParser: typeParserOf(driver) },
  })
  // Without a listener the loss of an idle connection ends the process …
  pool.on('error', onError)
  // … and so does the loss of one that is in use. Whoever uses it hears of it from his query; the pool drops it afterwards.
  pool.on('connect', (client) => void client.on('error', () => {}))
  // Before the caller's first query: a connection runs one after the other. A lost connection is told by that query.
  if (prepare !== undefined) pool.on('connect', (client) => void client.query(prepare).catch(() => {}))
  return pool
}

/** Of this pool only: the parsers of the `pg` module itself stay as they are. */
const typeParserOf = ({ types }: typeof pg) =>
  ((oid: number, format?: 'text' | 'binary') =>
    oid === INT8 || oid === NUMERIC ? exactNumber : types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser

function exactNumber(text: string): number {
  const value = Number(text)
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) throw new RangeError(`${text} does not fit a number exactly`)
  return value
}

/** serialization_failure and deadlock_detected: nothing is wrong with the work, running it again is the cure. */
export function isTransient(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === '40001' || code === '40P01'
}
