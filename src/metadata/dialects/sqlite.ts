import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import { Semaphore } from '../../core/concurrency.ts'

/** How long a statement waits for another process that holds the write lock. */
const BUSY_TIMEOUT_MS = 10_000
/** Prepared statements are kept up to this many characters of SQL in all, so that a few huge batches cannot fill the memory. */
const MAX_CACHED_SQL = 200_000
/** Above what `insert-rows.ts` and the queries of requests make; the rest would fill the memory and is seldom asked twice. */
const MAX_CACHED_STATEMENT = 8_000

/** 64 MiB. Checkpoints are made by `sqlite-checkpoints.ts`; past this, the writer makes one itself. */
const MAX_WAL_PAGES = 16_384
/**
 * A batch of 500 files touches a thousand pages, since digests lie all over their indexes: SQLite's own 2 MiB would write them out and
 * read them again within the transaction.
 */
const WRITE_CACHE_KIB = 8_192

export type SqliteMode = 'write' | 'read'

/** A connection that only reads outside transactions may be asked without waiting for a turn: each statement is done at once. */
export type ReadNow = (sql: string, parameters: readonly unknown[]) => unknown[]

/**
 * Kysely on `node:sqlite`: one connection, handed to one caller at a time in order of asking. `write` opens transactions with
 * BEGIN IMMEDIATE, so that a transaction never fails half-way because another process wrote first; `read` refuses writes.
 * Integers come as numbers; one above 2^53 throws instead of losing digits. Rows have no prototype.
 * WAL with synchronous=NORMAL: a commit is whole or not at all, and on disk when `sqlite-durability.ts` says so.
 */
/** @param changed hears of statements that changed something. */
export function sqliteDialect(
  file: string,
  mode: SqliteMode,
  opened: (readNow: ReadNow) => void = () => {},
  changed: () => void = () => {},
): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => createDriver(file, mode, opened, changed),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
}

function createDriver(file: string, mode: SqliteMode, opened: (readNow: ReadNow) => void, changed: () => void): Driver {
  const turns = new Semaphore(1)
  let database: DatabaseSync
  let connection: DatabaseConnection
  let turn: Disposable | undefined
  const begin = CompiledQuery.raw(mode === 'write' ? 'begin immediate' : 'begin')
  const commit = CompiledQuery.raw('commit')
  return {
    async init() {
      database = openSqlite(file, mode)
      connection = createConnection(database, changed)
      const prepare = createStatementCache(database)
      opened((text, parameters) => prepare(text).statement.all(...(parameters as SQLInputValue[])))
    },
    async acquireConnection() {
      turn = await turns.acquire()
      return connection
    },
    async releaseConnection() {
      turn?.[Symbol.dispose]()
    },
    async beginTransaction(on) {
      await on.executeQuery(begin)
    },
    async commitTransaction(on) {
      await on.executeQuery(commit)
    },
    async rollbackTransaction() {
      // A full disk or an I/O error has rolled back already; a second rollback would hide the first error.
      if (database.isTransaction) database.exec('rollback')
    },
    async destroy() {
      using _last = await turns.acquire()
      database.close()
    },
  }
}

function openSqlite(file: string, mode: SqliteMode): DatabaseSync {
  const database = new DatabaseSync(file, {
    readOnly: mode === 'read',
    timeout: BUSY_TIMEOUT_MS,
    enableForeignKeyConstraints: false,
  })
  if (mode === 'write') {
    database.exec('pragma journal_mode = wal; pragma synchronous = normal')
    database.exec(`pragma wal_autocheckpoint = ${MAX_WAL_PAGES}; pragma cache_size = -${WRITE_CACHE_KIB}`)
  }
  // LIKE compares case as PostgreSQL does.
  database.exec('pragma case_sensitive_like = on')
  return database
}

function createConnection(database: DatabaseSync, changed: () => void): DatabaseConnection {
  const prepare = createStatementCache(database)
  return {
    async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
      const { statement, returnsRows, writes } = prepare(sql)
      const values = parameters as SQLInputValue[]
      if (returnsRows) {
        const rows = statement.all(...values) as R[]
        if (writes && rows.length > 0) changed()
        return { rows, numAffectedRows: BigInt(rows.length) }
      }
      const { changes, lastInsertRowid } = statement.run(...values)
      if (writes && Number(changes) > 0) changed()
      return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
    },
    streamQuery() {
      throw new Error('An open cursor would hold the one connection: read pages by key instead')
    },
  }
}

interface Prepared {
  readonly statement: StatementSync
  readonly returnsRows: boolean
  /** `changes` of any other statement tells of one before it. */
  readonly writes: boolean
}
const WRITES = /^\s*(?:insert|update|delete|replace|with|create|drop|alter)\b/i

/** Keyed by SQL text; the least recently used go first. */
function createStatementCache(database: DatabaseSync): (sql: string) => Prepared {
  const cache = new Map<string, Prepared>()
  let characters = 0
  return (sql) => {
    const known = cache.get(sql)
    if (known !== undefined) {
      cache.delete(sql)
      cache.set(sql, known)
      return known
    }
    const statement = database.prepare(sql)
    const prepared = { statement, returnsRows: statement.columns().length > 0, writes: WRITES.test(sql) }
    if (sql.length > MAX_CACHED_STATEMENT) return prepared
    cache.set(sql, prepared)
    characters += sql.length
    for (const oldest of cache.keys()) {
      if (characters <= MAX_CACHED_SQL) break
      cache.delete(oldest)
      characters -= oldest.length
    }
    return prepared
  }
}
