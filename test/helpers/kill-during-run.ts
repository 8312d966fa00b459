import assert from 'node:assert/strict'
import { mapConcurrent } from '../../src/core/concurrency.ts'
import { type Api, connectApi } from './api.ts'
import { seededBytes } from './blobs.ts'
import { assertComplete, endOfRun } from './complete-run.ts'
import { type Fault, type FaultyProxy, faultyProxy, type SeenRequest } from './faulty-proxy.ts'
import { createRepository, createTask, registerCluster, taskOf } from './replication-calls.ts'
import { lastLines, type ServerProcess, startServer } from './server-process.ts'
import { afterBytes, atFrame, FRAME, type StopPlace } from './stop-places.ts'
import { tempDir } from './temp.ts'
import { sha256 } from './whole-state.ts'

/** When to kill: at a request of A to B. It counts requests: good for one run. */
export interface Moment {
  readonly name: string
  /** `request`: before B sees it; `answer`: after B has answered it; else at a place within it, beyond which nothing passes. */
  readonly at: 'request' | 'answer' | StopPlace
  /** `holds a file`: one of its own, so that the difference has to be looked for. */
  readonly target?: 'holds a file'
  matches(request: SeenRequest): boolean
}

/** The `nth` request of a kind over the whole run. */
const nth = (part: string, wanted: number) => {
  let count = 0
  return ({ path }: SeenRequest) => path.includes(part) && ++count === wanted
}
const STREAM = '/stream'
const SENT_BYTES = 1024 * 1024

/** Moments that between them cover every step of a run. */
export const MOMENTS = {
  open: () => ({ name: 'before the target is asked to open the link', at: 'request', matches: nth('/open', 1) }),
  opened: () => ({ name: 'while the link is opened', at: 'answer', matches: nth('/open', 1) }),
  reconciled: () => ({
    name: 'while the difference is looked for',
    at: 'answer',
    target: 'holds a file',
    matches: nth('/recon', 1),
  }),
  missing: () => ({ name: 'when missing blobs are asked for', at: 'answer', matches: nth('/blobs/missing', 1) }),
  stream: () => ({ name: 'before a stream begins', at: 'request', matches: nth(STREAM, 1) }),
  begun: () => ({
    name: 'when a stream has begun',
    at: atFrame('request', 'after', FRAME.begin, 1),
    matches: nth(STREAM, 1),
  }),
  sending: () => ({
    name: 'in the middle of a stream',
    at: afterBytes('request', SENT_BYTES),
    matches: nth(STREAM, 1),
  }),
  committed: () => ({
    name: 'after the target committed a batch, before the source knows',
    at: atFrame('answer', 'before', FRAME.ack, 1),
    matches: nth(STREAM, 1),
  }),
  acknowledged: () => ({
    name: 'when the second batch was acknowledged',
    at: atFrame('answer', 'after', FRAME.ack, 2),
    matches: nth(STREAM, 1),
  }),
  parts: () => ({ name: 'in the middle of a large file', at: 'answer', matches: nth('/parts/', 2) }),
  complete: () => ({ name: 'when a large file is complete', at: 'answer', matches: nth('/complete', 1) }),
  closing: () => ({ name: 'while the link is closed', at: 'answer', matches: nth('/open', 2) }),
} as const satisfies Record<string, () => Moment>

/** Behind a proxy that buffers, where acknowledgements come with the end of a bounded request. */
export const afterBoundedStream = (): Moment => ({
  name: 'after a bounded stream was answered, before the source knows',
  at: 'answer',
  matches: nth(STREAM, 1),
})

const REPO = 'proj/files'
const FOREIGN = '/only at the target.txt'
/** Two batches of a stream at least. */
const SMALL_FILES = 900
const UPLOADS_AT_ONCE = 8
/** Without a pattern, so that as many travel: no stream compresses them. */
const SMALL_BYTES = 5_000
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
  /** Of the line between them. */
  readonly line?: 'streaming' | 'buffering'
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
  const line = await faultyProxy(servers.b.url, plan.line)
  try {
    const { key, sent } = await prepare(servers.a, servers.b, line, signal)
    if (moment.target === 'holds a file') await putForeign(servers.b, signal)
    const killed = Promise.withResolvers<void>()
    const kill = async () => {
      if (how === 'SIGTERM') assert.equal(await servers[victim].stop(), 0)
      else await servers[victim].kill()
      killed.resolve()
    }
    line.script(faultAt(moment, how, kill, killed.reject))
    using before = connect(servers.a)
    await before.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, signal)
    // While the source is dead it answers nobody: then the moment has come.
    const ended = endOfRun(before, key, ENDS_WITHIN_MS, signal).catch(() => killed.promise)
    if ((await Promise.race([killed.promise, ended])) !== undefined)
      throw new Error('the run ended before the moment came')
    await killed.promise
    const { port } = servers[victim]
    const itself = victim === 'a' ? alpha : beta
    const next = successor === 'itself' ? itself : { ...alpha, dataDir: dir.file('another node') }
    servers[victim] = await startServer({ ...next, port }, signal)
    using a = connect(servers.a)
    using b = connect(servers.b)
    const record = await endOfRun(a, key, ENDS_WITHIN_MS, signal)
    const foreign = moment.target === undefined ? [] : [FOREIGN]
    await assertComplete({ a, b, repository: REPO, sent, foreign }, { key, record }, signal)
  } catch (error) {
    const logs = await Promise.all([servers.a, servers.b].map(async ({ logFile }) => lastLines(logFile)))
    throw new Error(`${(error as Error).message}\nlog of a:\n${logs[0]}\nlog of b:\n${logs[1]}`, { cause: error })
  } finally {
    await servers.a.stop()
    await line[Symbol.asyncDispose]()
    await servers.b.stop()
  }
}

/** What the line does to each request: nothing but at the moment. */
function faultAt(
  moment: Moment,
  how: 'SIGKILL' | 'SIGTERM',
  kill: () => Promise<void>,
  fail: (error: unknown) => void,
): (request: SeenRequest) => Fault | undefined {
  const { at } = moment
  const stop = () => void kill().catch(fail)
  let done = false
  return (request) => {
    if (done || !moment.matches(request)) return undefined
    done = true
    if (typeof at !== 'string') {
      const reached = async () => {
        if (how === 'SIGKILL') return kill().then(() => 'cut' as const)
        stop()
        return 'go on' as const
      }
      return { at, reached }
    }
    if (how === 'SIGKILL' && at === 'answer') return { afterAnswer: kill }
    stop()
    return how === 'SIGKILL' ? { cutAfterBytes: 0 } : undefined
  }
}

const connect = (server: ServerProcess): Api => connectApi(server)

async function putForeign(b: ServerProcess, signal: AbortSignal): Promise<void> {
  using api = connect(b)
  await createRepository(api, REPO, signal)
  await api.upload(REPO, FOREIGN, Buffer.from('of the target'), {}, signal)
}

async function prepare(a: ServerProcess, b: ServerProcess, line: FaultyProxy, signal: AbortSignal) {
  using api = connect(a)
  await createRepository(api, REPO, signal)
  const sent = new Map<string, string>()
  const put = async (path: string, bytes: Buffer) => {
    await api.upload(REPO, path, bytes, {}, signal)
    sent.set(path, sha256(bytes))
  }
  const files = Array.from({ length: SMALL_FILES }, (_, n) => n)
  const putOne = (n: number) => put(`/dir${n % 7}/file ${n}.txt`, seededBytes(n, SMALL_BYTES))
  await mapConcurrent(files, UPLOADS_AT_ONCE, putOne, signal)
  await put('/large.bin', seededBytes(SMALL_FILES, LARGE_BYTES))
  const address = { name: 'beta', url: line.url, user: b.user, password: b.password }
  const clusterId = await registerCluster(api, address, signal)
  const key = await createTask(api, { ...taskOf('task', REPO, [clusterId]), enabled: false }, signal)
  return { key, sent }
}
