import type { Kysely, Transaction as KyselyTransaction } from 'kysely'
import type { Schema } from './schema.ts'

export type Dialect = 'sqlite' | 'postgres'

/** What queries run on: the reading connection, or a transaction. */
export type Reader = Kysely<Schema>
export type Transaction = KyselyTransaction<Schema>

/**
 * The metadata store. Queries take a `Reader` or a `Transaction`, so that the caller decides what belongs together.
 * SQLite: one writing connection (BEGIN IMMEDIATE, one transaction at a time) and one reading connection (WAL), so that reads
 * never wait for a writer. PostgreSQL: a pool for transactions and one for reads, READ COMMITTED.
 */
export interface MetadataDatabase extends AsyncDisposable {
  readonly dialect: Dialect
  /** For reads outside a transaction. Sees what is committed. */
  readonly read: Reader
  /**
   * For reads that may take long. SQLite: on a connection in a thread of its own, one after the other, so that requests do not wait
   * for them; PostgreSQL: on connections that follow indexes only, for at most 30 s. Sees what is committed.
   */
  readonly slow: Reader
  /**
   * For snapshots that are read for minutes, in transactions (`unhurried.ts`). SQLite: a thread of its own, one transaction at a time;
   * PostgreSQL: connections without a time limit. Opened by the first that reads.
   */
  readonly unhurried: Reader
  /**
   * Runs `work` in one writing transaction, settles what it charged (`usage.ts`) and commits, durably; a throw rolls back. PostgreSQL serialization failures and
   * deadlocks are run again up to 5 times, so `work` must have no effect outside the database. Never call it inside itself.
   */
  transact<T>(work: (trx: Transaction) => Promise<T>): Promise<T>
  /** Grows with every commit that changed something, before `transact` resolves; undefined where other processes may commit too (PostgreSQL). */
  commits(): number | undefined
  /** Creates or upgrades the schema; safe when several processes start at once. */
  migrate(): Promise<void>
  close(): Promise<void>
}
