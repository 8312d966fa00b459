import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Api, connectApi } from './api.ts'
import { type FaultyProxy, faultyProxy, type SeenRequest } from './faulty-proxy.ts'
import {
  createRepository,
  createTask,
  detailsOf,
  listFiles,
  overviewOf,
  type RecordInfo,
  registerCluster,
  taskOf,
} from './replication-calls.ts'
import { lastLines, type ServerProcess, startServer } from './server-process.ts'
import { tempDir } from './temp.ts'

/** When to kill: at a request of A to B, before B sees it or after B has answered it. It counts requests: good for one run. */
export interface Moment {
  readonly name: string
  readonly at: 'request' | 'answer'
  matches(request: SeenRequest): boolean
}

/** The `nth` request of a kind over the whole run. */
const nth = (part: string, wanted: number) => {
  let count = 0
  return ({ path }: SeenRequest) => path.includes(part) && ++count === wanted
}
/** Ten moments that between them cover every step of a run. */
export const MOMENTS: readonly (() => Moment)[] = [
  () => ({ name: 'before the target is greeted', at: 'request', matches: nth('/hello', 1) }),
  () => ({ name: 'while the link is opened', at: 'answer', matches: nth('/open', 1) }),
  () => ({ name: 'while the first batch is compared', at: 'request', matches: nth('/compare', 1) }),
  () => ({ name: 'while small blobs are sent', at: 'request', matches: nth('/blobs/pack', 1) }),
  () => ({ name: 'after a pack was stored', at: 'answer', matches: nth('/blobs/pack', 2) }),
  () => ({ name: 'before a batch is applied', at: 'request', matches: nth('/apply', 1) }),
  () => ({
    name: 'after the target committed a batch, before the source knows',
    at: 'answer',
    matches: nth('/apply', 1),
  }),
  () => ({ name: 'in the middle of a large file', at: 'answer', matches: nth('/parts/', 2) }),
  () => ({ name: 'when a large file is complete', at: 'answer', matches: nth('/complete', 1) }),
  () => ({ name: 'after the last batch was committed at the target', at: 'answer', matches: nth('/apply', 2) }),
]

const REPO = 'proj/files'
const SMALL_FILES = 600
const LARGE_BYTES = 40 * 1024 * 1024
/** The run must end by itself within this time after the killed server listens again. */
const ENDS_WITHIN_MS = 60_000

export interface KillPlan {
  readonly victim: 'a' | 'b'
  readonly moment: Moment
  /** More settings of the source, e.g. its database. */
  readonly env?: Readonly<Record<string, string>>
  /** The same of the target. */
  readonly targetEnv?: Readonly<Record<string, string>>
  /** Who goes on: the killed server started again, or a node with a data directory of its own that shares database and blobs. */
  readonly successor?: 'itself' | 'another node'
  /** SIGKILL unless said otherwise; SIGTERM must end with code 0 while the line goes on working. */
  readonly how?: 'SIGKILL' | 'SIGTERM'
}

/**
 * A real run between two real processes, one of which is killed by SIGKILL at the moment: once its successor is up the run ends
 * SUCCESS by itself, content is equal, no detail is missing or doubled, counters are right.
 */
export async function killDuringRun(plan: KillPlan, signal: AbortSignal): Promise<void> {
  const { victim, moment, env = {}, targetEnv = {}, successor = 'itself', how = 'SIGKILL' } = plan
  await using dir = await tempDir()
  const blobs = { ENTREPOT_BLOBS: dir.file('blobs of alpha') }
  const alpha = { name: 'alpha', dataDir: dir.file('alpha'), env: { ...env, ...blobs } }
  const beta = { name: 'beta', dataDir: dir.file('beta'), env: targetEnv }
  const servers = { a: await startServer(alpha, signal), b: await startServer(beta, signal) }
  const line = await faultyProxy(servers.b.url)
  try {
    const key = await prepare(servers.a, servers.b, line, signal)
    const killed = Promise.withResolvers<void>()
    const kill = async () => {
      if (how === 'SIGTERM') assert.equal(await servers[victim].stop(), 0)
      else await servers[victim].kill()
      killed.resolve()
    }
    let done = false
    line.script((request) => {
      if (done || !moment.matches(request)) return undefined
      done = true
      if (how === 'SIGTERM') {
        kill().catch(killed.reject)
        return undefined
      }
      if (moment.at === 'answer') return { afterAnswer: kill }
      void kill()
      return { cutAfterBytes: 0 }
    })
    using before = connect(servers.a)
    await before.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, signal)
    await killed.promise
    const { port } = servers[victim]
    const itself = victim === 'a' ? alpha : beta
    const next = successor === 'itself' ? itself : { ...alpha, dataDir: dir.file('another node') }
    servers[victim] = await startServer({ ...next, port }, signal)
    using a = connect(servers.a)
    using b = connect(servers.b)
    const record = await endOf(a, key, signal)
    await assertComplete(a, b, key, record, signal)
  } catch (error) {
    const logs = await Promise.all([servers.a, servers.b].map(async ({ logFile }) => lastLines(logFile)))
    throw new Error(`${(error as Error).message}\nlog of a:\n${logs[0]}\nlog of b:\n${logs[1]}`, { cause: error })
  } finally {
    await servers.a.stop()
    await line[Symbol.asyncDispose]()
    await servers.b.stop()
  }
}

const connect = (server: ServerProcess): Api => connectApi(server)

async function prepare(a: ServerProcess, b: ServerProcess, line: FaultyProxy, signal: AbortSignal): Promise<string> {
  using api = connect(a)
  await createRepository(api, REPO, signal)
  const files = Array.from({ length: SMALL_FILES }, (_, n) => `/dir${n % 7}/file ${n}.txt`)
  const putSome = async () => {
    for (let path = files.pop(); path !== undefined; path = files.pop()) {
      await api.upload(REPO, path, Buffer.from(`content of ${path}`.repeat(200)), {}, signal)
    }
  }
  await Promise.all(Array.from({ length: 8 }, putSome))
  await api.upload(REPO, '/large.bin', randomBytes(LARGE_BYTES), {}, signal)
  const clusterId = await registerCluster(
    api,
    { name: 'beta', url: line.url, user: b.user, password: b.password },
    signal,
  )
  return await createTask(api, { ...taskOf('task', REPO, [clusterId]), enabled: false }, signal)
}

async function endOf(api: Api, key: string, signal: AbortSignal): Promise<RecordInfo> {
  const deadline = performance.now() + ENDS_WITHIN_MS
  for (;;) {
    const records = await api.call<RecordInfo[]>('GET', `/replication/api/task/record/list/${key}`, undefined, signal)
    const [newest] = records
    if (newest !== undefined && newest.status !== 'RUNNING') {
      assert.equal(records.length, 1, 'one execution, one record')
      return newest
    }
    assert.ok(performance.now() < deadline, `the run did not end within ${ENDS_WITHIN_MS / 1000} s`)
    await sleep(100, undefined, { signal })
  }
}

async function assertComplete(a: Api, b: Api, key: string, record: RecordInfo, signal: AbortSignal): Promise<void> {
  assert.equal(record.status, 'SUCCESS', record.errorReason ?? '')
  const contents = async (api: Api) => {
    const found = new Map<string, string | null>()
    for await (const node of listFiles(api, REPO, signal)) found.set(node.fullPath, node.sha256)
    return found
  }
  const source = await contents(a)
  assert.equal(source.size, SMALL_FILES + 1)
  assert.deepEqual(await contents(b), source)
  const overview = await overviewOf(a, record.id, signal)
  assert.deepEqual(
    { ...overview, fileSuccess: 0, fileFailed: 0 },
    { success: SMALL_FILES + 1, failed: 0, conflict: 0, skip: 0, fileSuccess: 0, fileFailed: 0 },
  )
  const { records: details, totalRecords } = await detailsOf(a, record.id, 1000, signal)
  assert.equal(totalRecords, SMALL_FILES + 1)
  assert.deepEqual(new Set(details.map(({ artifactName }) => artifactName)), new Set(source.keys()))
  assert.ok(details.every(({ status }) => status === 'SUCCESS'))
  const task = await a.call<{ executionTimes: number; lastExecutionStatus: string }>(
    'GET',
    `/replication/api/task/info/${key}`,
    undefined,
    signal,
  )
  assert.deepEqual([task.executionTimes, task.lastExecutionStatus], [1, 'SUCCESS'])
}
