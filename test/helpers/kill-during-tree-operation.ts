import assert from 'node:assert/strict'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { seedTree } from '../../bench/tree-seed.ts'
import { openDatabase } from '../../src/metadata/open-database.ts'
import { type Api, connectApi } from './api.ts'
import { makePostgres } from './databases.ts'
import { addressOf, type TestDialect } from './local-cluster.ts'
import { createRepository, listFiles } from './replication-calls.ts'
import { lastLines, startServer } from './server-process.ts'
import { tempDir } from './temp.ts'

const REPO = 'proj/files'
const FILES = 5_000
const NODE = '/repository/api/node'
/** The operation must end by itself within this time after the killed server listens again. */
const ENDS_WITHIN_MS = 60_000
const POLL_MS = 20

export type KilledKind = 'copy' | 'move' | 'delete'

interface Operation {
  readonly kind: string
  readonly status: string
  readonly fileNumber: number
  readonly errorReason: string | null
}

/**
 * A real server is killed by SIGKILL in the middle of an operation on 5,000 files, twice. Started again it goes on by itself; at the
 * end every file is where it belongs, once, and was counted once.
 */
export async function killDuringTreeOperation(
  kind: KilledKind,
  dialect: TestDialect,
  signal: AbortSignal,
): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const dir = stack.use(await tempDir())
  const postgres = dialect === 'postgres' ? stack.use(await makePostgres()) : undefined
  const options = {
    name: 'alpha',
    dataDir: dir.file('alpha'),
    env: postgres === undefined ? {} : { ENTREPOT_DATABASE: addressOf(postgres.config) },
  }
  let server = await startServer(options, signal)
  try {
    {
      using api = connectApi(server)
      await createRepository(api, REPO, signal)
      await using db = await openDatabase(
        postgres?.config ?? { dialect: 'sqlite', file: join(options.dataDir, 'entrepot.db') },
      )
      await seedTree(db, REPO, FILES)
      // The client's connection dies with the server.
      void ask(api, kind, signal).catch(() => {})
      await progressed(api, 1, signal)
      await server.kill()
    }
    const { port } = server
    server = await startServer({ ...options, port }, signal)
    {
      using api = connectApi(server)
      const { fileNumber } = await newest(api, signal)
      await progressed(api, fileNumber + 1, signal)
      await server.kill()
    }
    server = await startServer({ ...options, port }, signal)
    using api = connectApi(server)
    const operation = await ended(api, signal)
    assert.deepEqual([operation.status, operation.fileNumber, operation.errorReason], ['DONE', FILES, null])
    await assertComplete(api, kind, signal)
  } catch (error) {
    throw new Error(`${(error as Error).message}\nlog:\n${await lastLines(server.logFile)}`, { cause: error })
  } finally {
    await server.stop()
  }
}

function ask(api: Api, kind: KilledKind, signal: AbortSignal): Promise<unknown> {
  if (kind === 'delete') return api.call('DELETE', `${NODE}/delete/${REPO}/tree`, undefined, signal)
  const [srcProjectId, srcRepoName] = REPO.split('/')
  const body = { srcProjectId, srcRepoName, srcFullPath: '/tree', destFullPath: '/to' }
  return api.call('POST', `${NODE}/${kind}`, body, signal)
}

async function newest(api: Api, signal: AbortSignal): Promise<Operation> {
  const [operation] = await api.call<Operation[]>('GET', `${NODE}/operations/${REPO}`, undefined, signal)
  return operation ?? { kind: '', status: 'RUNNING', fileNumber: 0, errorReason: null }
}

/** Until that many files are done, and before all are. */
async function progressed(api: Api, files: number, signal: AbortSignal): Promise<void> {
  const found = await until(api, ({ status, fileNumber }) => fileNumber >= files || status !== 'RUNNING', signal)
  assert.equal(found.status, 'RUNNING', 'it ended before it could be killed')
}
const ended = (api: Api, signal: AbortSignal) => until(api, ({ status }) => status !== 'RUNNING', signal)

async function until(api: Api, enough: (seen: Operation) => boolean, signal: AbortSignal): Promise<Operation> {
  const deadline = performance.now() + ENDS_WITHIN_MS
  for (;;) {
    const seen = await newest(api, signal)
    if (enough(seen)) return seen
    assert.ok(performance.now() < deadline, `nothing new within ${ENDS_WITHIN_MS / 1_000} s: ${JSON.stringify(seen)}`)
    await sleep(POLL_MS, undefined, { signal })
  }
}

async function assertComplete(api: Api, kind: KilledKind, signal: AbortSignal): Promise<void> {
  const found = new Map<string, string | null>()
  for await (const { fullPath, sha256 } of listFiles(api, REPO, signal)) found.set(fullPath, sha256)
  const [sources, targets] = ['/tree/', '/to/'].map((top) => [...found.keys()].filter((path) => path.startsWith(top)))
  assert.deepEqual([sources!.length, targets!.length], { copy: [FILES, FILES], move: [0, FILES], delete: [0, 0] }[kind])
  assert.equal(new Set(targets!.map((path) => found.get(path))).size, targets!.length, 'each content once')
  for (const path of kind === 'copy' ? sources! : []) {
    assert.equal(found.get(path.replace('/tree/', '/to/')), found.get(path), path)
  }
  const folders = await api.call<{ totalRecords: number }>('GET', `${NODE}/page/${REPO}/`, undefined, signal)
  assert.equal(folders.totalRecords, { copy: 2, move: 1, delete: 0 }[kind])
}
