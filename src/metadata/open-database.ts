import { AsyncLocalStorage } from 'node:async_hooks'
import { Kysely } from 'kysely'
import type { MetadataDatabase, Transaction } from './database.ts'
import { isTransient, postgresDialect } from './dialects/postgres.ts'
import { sqliteDialect } from './dialects/sqlite.ts'
import { createCheckpoints } from './dialects/sqlite-checkpoints.ts'
import { createDurability } from './dialects/sqlite-durability.ts'
import { sqliteThreadDialect } from './dialects/sqlite-thread.ts'
import { applyMigrations } from './migrate.ts'
import { MIGRATIONS, type Migration } from './migrations/all.ts'
import { settleUsage } from './repositories/usage.ts'
import type { Schema } from './schema.ts'
import { answerNow } from './sql/prepared-query.ts'

export type DatabaseConfig =
  | { readonly dialect: 'sqlite'; readonly file: string }
  | { readonly dialect: 'postgres'; readonly url: string }

export interface DatabaseOptions {
  /** Hears of broken idle connections, which heal by themselves. */
  readonly onError: (error: Error) => void
  /** PostgreSQL: connections for transactions, and as many for reads. */
  readonly poolSize: number
  readonly migrations: readonly Migration[]
}

const MAX_ATTEMPTS = 5
const SLOW_READS = 4
const UNHURRIED_READS = 2
/** Slow reads name the index that they follow by their order and stop early; PostgreSQL would rather read a table and sort it. */
const BY_INDEX_ONLY = `set enable_seqscan = off; set enable_bitmapscan = off; set random_page_cost = 1.1;
  set max_parallel_workers_per_gather = 0; set jit = off; set statement_timeout = '30s'`

/** Opens the store; the schema is brought up to date by `migrate()`. @throws when the file or the server cannot be reached. */
export async function openDatabase(
  config: DatabaseConfig,
  { onError = () => {}, poolSize = 10, migrations = MIGRATIONS }: Partial<DatabaseOptions> = {},
): Promise<MetadataDatabase> {
  const { dialect } = config
  // Reads have connections of their own on both: a read made while a transaction is open can never wait for transactions.
  const connect = (mode: 'write' | 'read') =>
    new Kysely<Schema>({
      dialect:
        config.dialect === 'sqlite'
          ? sqliteDialect(
              config.file,
              mode,
              mode === 'read' ? (readNow) => answerNow(read, readNow) : undefined,
              () => {
                changes++
              },
            )
          : postgresDialect({ url: config.url, poolSize, onError }),
    })
  const writer = connect('write')
  const read = connect('read')
  const slow = new Kysely<Schema>({
    dialect:
      config.dialect === 'sqlite'
        ? sqliteThreadDialect(config.file)
        : postgresDialect({ url: config.url, poolSize: SLOW_READS, onError, prepare: BY_INDEX_ONLY }),
  })
  const unhurried = new Kysely<Schema>({
    dialect:
      config.dialect === 'sqlite'
        ? sqliteThreadDialect(config.file)
        : postgresDialect({ url: config.url, poolSize: UNHURRIED_READS, onError }),
  })
  const inside = new AsyncLocalStorage<{ open: boolean }>()
  /** The data directory belongs to one process (`data-directory-lock.ts`), so that it sees every commit of its SQLite. */
  let commits = 0
  /** Statements that changed something. Many transactions only look whether there is something to do. */
  let changes = 0
  const checkpoints = config.dialect === 'sqlite' ? createCheckpoints(config.file) : undefined
  const durability = config.dialect === 'sqlite' ? createDurability(config.file) : undefined

  const countCommit = () => {
    commits++
    checkpoints?.committed()
  }

  async function attempt<T>(work: (trx: Transaction) => Promise<T>): Promise<T> {
    const state = { open: true }
    let changesBefore = changes
    durability?.check()
    try {
      const done = await writer.transaction().execute(async (trx) => {
        // Only now nobody else writes; what others change before we come to count makes us count once more, which does no harm.
        changesBefore = changes
        const result = await inside.run(state, work, trx)
        await settleUsage(trx)
        return result
      })
      state.open = false
      if (changes !== changesBefore) {
        countCommit()
        // The next transaction has its turn already: one sync serves all that commit while another is under way.
        await durability?.settled()
      }
      return done
    } catch (error) {
      if (state.open && changes !== changesBefore) countCommit()
      throw error
    } finally {
      state.open = false
    }
  }
  const database: MetadataDatabase = {
    dialect,
    read,
    slow,
    unhurried,
    async transact(work) {
      if (inside.getStore()?.open === true) {
        throw new Error('transact inside transact would wait for itself: pass the outer transaction on')
      }
      for (let attempts = 1; ; attempts++) {
        try {
          return await attempt(work)
        } catch (error) {
          if (!isTransient(error) || attempts === MAX_ATTEMPTS) throw error
        }
      }
    },
    commits: () => (dialect === 'sqlite' ? commits : undefined),
    migrate: () => database.transact((trx) => applyMigrations(trx, dialect, migrations)),
    async close() {
      await checkpoints?.close()
      await durability?.close()
      await slow.destroy()
      await unhurried.destroy()
      await read.destroy()
      await writer.destroy()
    },
    [Symbol.asyncDispose]: () => database.close(),
  }
  // The first connection is made now: a wrong path or address is told at the start, and the writer creates the file that the
  // reader opens.
  try {
    await writer.connection().execute(async () => {})
    await read.connection().execute(async () => {})
  } catch (error) {
    await database.close()
    throw error
  }
  return database
}
