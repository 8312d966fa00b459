import { type Kysely, sql } from 'kysely'
import { AppError } from '../core/errors.ts'
import type { Dialect, Transaction } from './database.ts'
import type { Migration } from './migrations/all.ts'

/** Any number that no other use of advisory locks in this program has (`changes/sequencer.ts`). */
const MIGRATION_LOCK = 3_510_401

interface MigrationSchema {
  schema_migration: { name: string }
}

/**
 * Applies what is missing, in the caller's one transaction. Several processes may start at once: SQLite lets one transaction
 * write at a time, PostgreSQL is told to by an advisory lock.
 * @throws AppError DATABASE_TOO_NEW when the database has steps that this program does not know.
 */
export async function applyMigrations(
  trx: Transaction,
  dialect: Dialect,
  migrations: readonly Migration[],
): Promise<void> {
  if (dialect === 'postgres') await sql`select pg_advisory_xact_lock(${sql.lit(MIGRATION_LOCK)})`.execute(trx)
  await sql`create table if not exists schema_migration (name text primary key)`.execute(trx)
  const log = trx as unknown as Kysely<MigrationSchema>
  const applied = new Set((await log.selectFrom('schema_migration').select('name').execute()).map(({ name }) => name))
  const unknown = [...applied].filter((name) => !migrations.some((migration) => migration.name === name)).sort()
  if (unknown.length > 0) {
    throw new AppError(
      'DATABASE_TOO_NEW',
      `The database was written by a newer version of Entrepot (unknown schema steps: ${unknown.join(', ')}). Start that version, or restore a backup taken before the upgrade`,
      { unknown },
    )
  }
  for (const migration of migrations) {
    if (applied.has(migration.name)) continue
    await migration.apply(trx as unknown as Kysely<unknown>, dialect)
    await log.insertInto('schema_migration').values({ name: migration.name }).execute()
  }
}
