import { randomBytes } from 'node:crypto'
import { after, describe } from 'node:test'
import pg from 'pg'
import type { MetadataDatabase } from '../../src/metadata/database.ts'
import { type DatabaseConfig, openDatabase } from '../../src/metadata/open-database.ts'
import { migrationsVersion } from './migrations-version.ts'
import { findPostgres, type PostgresServer, startPostgres } from './postgres-server.ts'
import { sqliteTemplate } from './sqlite-template.ts'
import { tempDir } from './temp.ts'

export interface TestDatabase extends MetadataDatabase {
  /** For a second handle on the same data, as another process would have: `openDatabase(db.config)`. */
  readonly config: DatabaseConfig
}
export type MakeDatabase = () => Promise<TestDatabase>

/**
 * Runs a suite on SQLite and on PostgreSQL. `make` gives an empty, migrated database of its own: `await using db = await make()`.
 * PostgreSQL is the server of `ENTREPOT_TEST_POSTGRES` (the test runner sets it), or one started for this process.
 */
export function eachDatabase(title: string, suite: (make: MakeDatabase) => void): void {
  describe(`${title} [sqlite]`, () => suite(makeSqlite))
  describe(`${title} [postgres]`, { skip: skipReason() }, () => suite(makePostgres))
}

/** Why nothing can run on PostgreSQL here; false: it can, or it must (`ENTREPOT_REQUIRE_ALL=1`). */
export function skipReason(): string | false {
  if (process.env.ENTREPOT_TEST_POSTGRES !== undefined || process.env.ENTREPOT_REQUIRE_ALL === '1') return false
  const found = findPostgres()
  return 'missing' in found ? found.missing : false
}

/** The address of the tests' server, for tests that need PostgreSQL itself; starts it when it must. */
export async function postgresUrl(): Promise<string> {
  const given = process.env.ENTREPOT_TEST_POSTGRES
  if (given !== undefined) return given
  started ??= startPostgres()
  return (await started).url
}
let started: Promise<PostgresServer> | undefined
after(async () => {
  if (started === undefined) for (const name of idle) await drop(await postgresUrl(), name)
  await (await started)?.stop()
})

export async function makeSqlite(): Promise<TestDatabase> {
  const dir = await tempDir()
  const file = dir.file('entrepot.db')
  await migrated.copyTo(file)
  return opened({ dialect: 'sqlite', file }, async () => dir[Symbol.asyncDispose]())
}
const migrated = sqliteTemplate('migrated')

/**
 * A database is made once and used by many tests, one after the other: emptying takes 10 ms, making 200. It gets a new name each
 * time, so that whatever a test left running cannot reach it any more.
 */
export async function makePostgres(): Promise<TestDatabase> {
  const url = await postgresUrl()
  const name = newName()
  const old = idle.pop()
  template ??= makeTemplate(url)
  await administer(
    url,
    old === undefined
      ? `create database ${name} template ${await template}`
      : `alter database ${old} rename to ${name}`,
  )
  return opened({ dialect: 'postgres', url: withName(url, name) }, async () => {
    await administer(withName(url, name), EMPTY_ALL_TABLES)
    idle.push(name)
  })
}
const idle: string[] = []
const newName = () => `test_${randomBytes(8).toString('hex')}`

/** Without tables and never used again, for tests of the schema itself. */
export async function makeBlankPostgres(): Promise<TestDatabase> {
  const url = await postgresUrl()
  const name = newName()
  await administer(url, `create database ${name}`)
  return opened({ dialect: 'postgres', url: withName(url, name) }, () => drop(url, name))
}

export async function makeBlankSqlite(): Promise<TestDatabase> {
  const dir = await tempDir()
  return opened({ dialect: 'sqlite', file: dir.file('entrepot.db') }, async () => dir[Symbol.asyncDispose]())
}

const drop = (url: string, name: string) => administer(url, `drop database if exists ${name} with (force)`)

/** DELETE is far faster than TRUNCATE on tables of a few rows, and so is `setval` than to restart a sequence. */
const EMPTY_ALL_TABLES = `do $$ declare t record; begin
  perform pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid();
  for t in select relname, relkind, oid from pg_class where relnamespace = 'public'::regnamespace
    and relkind in ('r', 'S') and relname <> 'schema_migration' loop
    if t.relkind = 'r' then execute format('delete from %I', t.relname);
    else perform setval(t.oid::regclass, (select seqstart from pg_sequence where seqrelid = t.oid), false); end if;
  end loop; end $$`

async function opened(config: DatabaseConfig, remove: () => Promise<void>): Promise<TestDatabase> {
  const db = await openDatabase(config, { poolSize: 5 })
  const dispose = async () => {
    await db.close()
    await remove()
  }
  return { ...db, config, [Symbol.asyncDispose]: dispose }
}

let template: Promise<string> | undefined

/** Copying a migrated database is faster than migrating; the test files of one run share it. */
async function makeTemplate(url: string): Promise<string> {
  const name = `template_${await migrationsVersion()}`
  await using admin = await connect(url)
  await admin.client.query('select pg_advisory_lock(1)')
  const known = await admin.client.query('select 1 from pg_database where datname = $1', [name])
  if (known.rowCount === 0) {
    await admin.client.query(`drop database if exists ${name}_new`)
    await admin.client.query(`create database ${name}_new`)
    const db = await openDatabase({ dialect: 'postgres', url: withName(url, `${name}_new`) })
    await db.migrate()
    await db.close()
    await admin.client.query(`alter database ${name}_new rename to ${name}`)
  }
  return name
}

async function connect(url: string): Promise<AsyncDisposable & { client: pg.Client }> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  return { client, [Symbol.asyncDispose]: () => client.end() }
}

async function administer(url: string, statement: string): Promise<void> {
  await using admin = await connect(url)
  await admin.client.query(statement)
}

function withName(url: string, name: string): string {
  const changed = new URL(url)
  changed.pathname = `/${name}`
  return changed.href
}
