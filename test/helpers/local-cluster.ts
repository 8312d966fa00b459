import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { describe } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { readInvocation } from '../../src/app/config.ts'
import { type RunningServer, startServer } from '../../src/app/server.ts'
import { FORMATS } from '../../src/formats/all.ts'
import type { Format } from '../../src/formats/format.ts'
import type { MetadataDatabase } from '../../src/metadata/database.ts'
import type { DatabaseConfig } from '../../src/metadata/open-database.ts'
import { ADMINISTRATOR, insertAdministrator } from './administrator.ts'
import { type Api, connectApi } from './api.ts'
import { makePostgres, skipReason } from './databases.ts'
import { sqliteTemplate } from './sqlite-template.ts'
import { tempDir } from './temp.ts'

export type TestDialect = 'sqlite' | 'postgres'

/** Runs a suite once per database. */
export function eachDialect(title: string, suite: (dialect: TestDialect) => void): void {
  describe(`${title} [sqlite]`, () => suite('sqlite'))
  describe(`${title} [postgres]`, { skip: skipReason() }, () => suite('postgres'))
}

/** A server of ours in this process, on a database and a directory of its own, with short waits. */
export interface LocalCluster extends AsyncDisposable {
  readonly name: string
  readonly url: string
  readonly password: string
  readonly api: Api
  /** Files above this size travel in parts of this size. */
  readonly partSizeBytes: number
  readonly db: MetadataDatabase
  /** Of its stored bytes. */
  readonly blobsDir: string
  /** Resolves when no job runs. */
  idle(): Promise<void>
}

export interface LocalClusterOptions {
  readonly name: string
  readonly dialect: TestDialect
  /** More settings, e.g. `{ ENTREPOT_REPLICATION_BATCH_FILES: '5' }`. */
  readonly env?: Readonly<Record<string, string>>
  /** Package types besides those that are built. */
  readonly formats?: readonly Format[]
  /** Hears every line that the server logs, at level trace. */
  readonly onLog?: (line: string) => void
}

const PART_SIZE_BYTES = 1024 * 1024
const SHORT_WAITS = {
  ENTREPOT_REPLICATION_RETRY_DELAYS_MS: '5,10,20',
  ENTREPOT_REPLICATION_RECONNECT_DELAYS_MS: '5,10,20,50',
  ENTREPOT_REPLICATION_LINK_TIMEOUT_MS: '20000',
  ENTREPOT_REPLICATION_CIRCUIT_PAUSE_MS: '20',
  ENTREPOT_REPLICATION_PART_SIZE_BYTES: String(PART_SIZE_BYTES),
}
const POLL_MS = 5

export async function startCluster({
  name,
  dialect,
  env,
  formats = [],
  onLog,
}: LocalClusterOptions): Promise<LocalCluster> {
  await using started = new AsyncDisposableStack()
  const dir = started.use(await tempDir())
  const database = dialect === 'sqlite' ? 'sqlite' : await makeServerPostgres(started)
  const settings = {
    ENTREPOT_PORT: '0',
    ENTREPOT_DATA: dir.file('data'),
    ENTREPOT_DATABASE: database,
    ENTREPOT_CLUSTER_NAME: name,
    ENTREPOT_ADMIN_PASSWORD: ADMINISTRATOR.password,
    ...SHORT_WAITS,
    ...env,
  }
  const invocation = await readInvocation({ args: [], env: settings, cwd: dir.path })
  if (invocation.kind !== 'serve') throw new Error('not a configuration of a server')
  const { config } = invocation
  if (config.database.dialect === 'sqlite') await makeServerSqlite(config.database.file)
  const server: RunningServer = started.use(
    await startServer(
      config,
      onLog === undefined
        ? pino({ level: process.env.ENTREPOT_TEST_LOG_LEVEL ?? 'fatal' })
        : pino({ level: 'trace' }, { write: onLog }),
      () => {},
      [...FORMATS, ...formats],
    ),
  )
  const api = started.use(connectApi({ url: server.url, ...ADMINISTRATOR }))
  const held = started.move()
  return {
    name,
    url: server.url,
    password: ADMINISTRATOR.password,
    api,
    partSizeBytes: PART_SIZE_BYTES,
    db: server.db,
    blobsDir: config.blobs,
    async idle() {
      const busy = () => server.db.read.selectFrom('job').select('id').where('owner', 'is not', null).executeTakeFirst()
      while ((await busy()) !== undefined) await sleep(POLL_MS)
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

/** Of a server that was started once: with its schema and its administrator. */
const startedOnce = sqliteTemplate('started-once', insertAdministrator)
async function makeServerSqlite(file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  await startedOnce.copyTo(file)
}
/** @returns its address. */
async function makeServerPostgres(stack: AsyncDisposableStack): Promise<string> {
  const db = stack.use(await makePostgres())
  await insertAdministrator(db)
  return addressOf(db.config)
}

export function addressOf(config: DatabaseConfig): string {
  if (config.dialect !== 'postgres') throw new Error('not a PostgreSQL database')
  return config.url
}
