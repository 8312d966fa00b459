import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import { createAnsweringThread } from '../../core/answering-thread.ts'
import { Semaphore } from '../../core/concurrency.ts'
import { AppError } from '../../core/errors.ts'

/** What goes to the thread; rows come back. */
export interface ThreadQuestion {
  /** A snapshot has one asker at a time, from its `begin` to its end. */
  readonly on: 'statement' | 'snapshot'
  readonly sql: string
  readonly parameters: readonly unknown[]
}
/** Statements that wait for the thread; more would wait for minutes. */
const MAX_WAITING = 200
/** Its rows live for one answer. */
const MAX_YOUNG_GENERATION_MB = 8

/**
 * Kysely on a reading connection of `node:sqlite` in a thread of its own, which starts with the first query: its statements may
 * take long without keeping this thread. One after the other. A transaction is a snapshot to read from, one at a time; other statements
 * run in between.
 */
export function sqliteThreadDialect(file: string): Dialect {
  return {
    // Otherwise Kysely would let its callers wait for each other, without a limit.
    createAdapter: () => Object.defineProperty(new SqliteAdapter(), 'supportsMultipleConnections', { value: true }),
    createDriver: () => createDriver(file),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
}

function createDriver(file: string): Driver {
  const thread = createThread(file)
  const turns = new Semaphore(1)
  /** Of the connection that reads from a snapshot. */
  const held = new WeakMap<DatabaseConnection, Disposable>()
  const createConnection = (): DatabaseConnection => ({
    async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
      return { rows: (await thread.ask(held.has(this) ? 'snapshot' : 'statement', sql, parameters)) as R[] }
    },
    streamQuery() {
      throw new Error('An open cursor would hold the one connection: read pages by key instead')
    },
  })
  async function end(connection: DatabaseConnection, how: 'commit' | 'rollback'): Promise<void> {
    using _turn = held.get(connection)
    await thread.ask('snapshot', how, [])
    held.delete(connection)
  }
  return {
    async init() {},
    acquireConnection: async () => createConnection(),
    async releaseConnection() {},
    async beginTransaction(connection) {
      const turn = await turns.acquire()
      try {
        await thread.ask('snapshot', 'begin', [])
      } catch (error) {
        turn[Symbol.dispose]()
        throw error
      }
      held.set(connection, turn)
    },
    // When the thread is lost, so is its snapshot: what was read is not of one moment, and the error says so.
    commitTransaction: (connection) => end(connection, 'commit'),
    rollbackTransaction: (connection) => end(connection, 'rollback').catch(() => {}),
    destroy: () => thread.close(),
  }
}

function createThread(file: string) {
  const thread = createAnsweringThread<ThreadQuestion, unknown[]>(
    new URL('./sqlite-thread-entry.ts', import.meta.url),
    { workerData: { file }, resourceLimits: { maxYoungGenerationSizeMb: MAX_YOUNG_GENERATION_MB } },
    'The thread that reads the database has ended',
  )
  return {
    ask(on: ThreadQuestion['on'], sql: string, parameters: readonly unknown[]): Promise<unknown[]> {
      if (on === 'statement' && thread.waiting >= MAX_WAITING) {
        throw new AppError(
          'TOO_MANY_REQUESTS',
          'Too many searches wait for their turn: try again later',
          {},
          { retryable: true },
        )
      }
      return thread.ask({ on, sql, parameters })
    },
    close: thread.close,
  }
}
