import assert from 'node:assert/strict'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { DatabaseConfig } from '../../src/metadata/open-database.ts'
import { connectApi } from './api.ts'
import { makePostgres } from './databases.ts'
import { addressOf, type TestDialect } from './local-cluster.ts'
import { createRepository } from './replication-calls.ts'
import { type ServerProcess, startServer } from './server-process.ts'
import { tempDir } from './temp.ts'
import { readWholeState, type WholeState } from './whole-state.ts'

/** `project/repo` of the type GENERIC. */
export const FILES = 'demo/files'
/** `project/repo` of the type RDS. */
export const RDS = 'demo/rds'
const WITH_RDS = fileURLToPath(new URL('./server-with-rds.ts', import.meta.url))

/** What was acknowledged, and what is under way; values are digests. */
export interface Ledger {
  begin(key: string, value: string): void
  acknowledge(key: string): void
  /** All that was acknowledged is there; of the rest, each is there as it was sent or not at all. Gives the keys of the rest. */
  settle(seen: ReadonlyMap<string, string>, when: string): string[]
}

export function createLedger(): Ledger {
  const acknowledged = new Map<string, string>()
  const pending = new Map<string, string>()
  return {
    begin: (key, value) => void pending.set(key, value),
    acknowledge(key) {
      acknowledged.set(key, pending.get(key)!)
      pending.delete(key)
    },
    settle(seen, when) {
      const left = [...pending.keys()]
      for (const [key, value] of pending) if (seen.get(key) === value) acknowledged.set(key, value)
      pending.clear()
      assert.deepEqual(new Map([...seen].sort()), new Map([...acknowledged].sort()), when)
      return left
    },
  }
}

/** A real server that is killed and started again. */
export interface Victim extends AsyncDisposable {
  readonly server: ServerProcess
  killAndStart(): Promise<void>
  /** What it holds, once that is known to be whole. */
  read(): Promise<WholeState>
  /** The bytes of a GET. */
  get(path: string): Promise<Buffer>
}

export async function startVictim(dialect: TestDialect, signal: AbortSignal): Promise<Victim> {
  await using stack = new AsyncDisposableStack()
  const dir = stack.use(await tempDir())
  const postgres = dialect === 'postgres' ? stack.use(await makePostgres()) : undefined
  const dataDir = dir.file('alpha')
  const config: DatabaseConfig = postgres?.config ?? { dialect: 'sqlite', file: join(dataDir, 'entrepot.db') }
  const env: Record<string, string> = postgres === undefined ? {} : { ENTREPOT_DATABASE: addressOf(config) }
  const options = { name: 'alpha', dataDir, program: WITH_RDS, env }
  let server = await startServer(options, signal)
  stack.defer(async () => void (await server.stop()))
  using api = connectApi(server)
  await createRepository(api, FILES, signal)
  const body = { projectId: 'demo', name: 'rds', type: 'RDS', category: 'LOCAL', public: false, description: null }
  await api.call('POST', '/repository/api/repo/create', body, signal)
  const { authorization } = api
  const held = stack.move()
  return {
    get server() {
      return server
    },
    async killAndStart() {
      await server.kill()
      server = await startServer({ ...options, port: server.port }, signal)
    },
    read: () => readWholeState(server, config, signal),
    async get(path) {
      const answer = await fetch(`${server.url}${path}`, { headers: { authorization }, signal })
      assert.equal(answer.status, 200, path)
      return Buffer.from(await answer.arrayBuffer())
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}
