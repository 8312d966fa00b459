import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { mapConcurrent } from '../../src/core/concurrency.ts'
import type { Random } from '../../src/core/ids.ts'
import { type Api, connectApi } from './api.ts'
import { contentsOf } from './complete-run.ts'
import { faultyProxy, type SeenRequest } from './faulty-proxy.ts'
import { seededRandom } from './ids.ts'
import { MISCHIEFS, misbehave } from './misbehaving-line.ts'
import { partsSentAgain, redundantBytes } from './redundant-bytes.ts'
import { createRepository, createTask, executeTask, listRecords, registerCluster, taskOf } from './replication-calls.ts'
import { lastLines, type ServerProcess, startServer } from './server-process.ts'
import { type SoakFile, type SoakSize, soakContent } from './soak-content.ts'
import { storyOf } from './soak-report.ts'
import { tempDir } from './temp.ts'

export interface RealTimeSoak extends SoakSize {
  readonly kills: number
  /** How likely the line spoils a request, 0 to 1; a tenth of that where it is about a large file. */
  readonly faults: number
  readonly seed: number
  /** More settings of each side, e.g. its database. */
  readonly env?: Readonly<Record<'a' | 'b', Readonly<Record<string, string>>>>
  log(line: string): void
}

/** Each repository is brought over by a task of another kind. */
const REPOS = ['soak/live', 'soak/nightly', 'soak/manual'] as const
const EVERY_TWO_SECONDS = '*/2 * * * * ?'
const UPLOADS_AT_ONCE = 8
const POLL_MS = 100
/** A killed server is back long before. */
const RETRY_MS = 20
const LONGEST_PAUSE_MS = 200
const CONVERGES_WITHIN_MS = 300_000
const LONGEST_HANG_MS = 2_000
/** Of all bytes: sent again although the target held them durably. */
const MOST_REDUNDANT = 0.02
/** Of what a fault leaves on its way, committed and not acknowledged; a stream may have 8 MiB there. */
const IN_FLIGHT_BYTES = 1_048_576

/**
 * Files are uploaded to two real processes' source while a real-time, a cron and a manual task bring them over, and at random moments one of
 * the two is killed by SIGKILL and started again, while the line between them misbehaves. At the end: what was acknowledged is on both sides, no run is left RUNNING, each record
 * counts what its details show, and hardly anything was sent twice that was safe already.
 */
export async function soakRealTime(plan: RealTimeSoak, signal: AbortSignal): Promise<void> {
  const random = seededRandom(plan.seed)
  const content = soakContent(plan, random)
  await using dir = await tempDir()
  const options = {
    a: { name: 'alpha', dataDir: dir.file('alpha'), env: plan.env?.a ?? {} },
    b: { name: 'beta', dataDir: dir.file('beta'), env: plan.env?.b ?? {} },
  }
  const servers = { a: await startServer(options.a, signal), b: await startServer(options.b, signal) }
  const line = await faultyProxy(servers.b.url)
  try {
    using a = connectApi(servers.a)
    using b = connectApi(servers.b)
    const keys = await createTasks(a, servers.b, line.url, signal)
    const uploads = uploading(a, content.files, signal)
    const redundant = redundantBytes()
    const from = performance.now()
    const share = (request: SeenRequest) => (isPart(request) ? plan.faults / 10 : plan.faults)
    const chances = { kinds: MISCHIEFS, random: seededRandom(plan.seed + 1), share, longestHangMs: LONGEST_HANG_MS }
    const bad = misbehave(line, { ...chances, spares: isPart })
    await killing(plan, random, uploads, servers, options, redundant, signal)
    const sent = await uploads.all
    bad.stop()
    plan.log(`${sent.size} files acknowledged, ${uploads.retries()} uploads repeated, ${plan.kills} kills`)
    plan.log(`faults of the line: ${[...bad.done].map(([kind, times]) => `${kind} ${times}`).join(', ')}`)
    const { manual, ...others } = keys
    await converged({ a, b, manual, sent }, signal)
    await settled(a, [others.nightly, manual], signal)
    await redundant.note(servers.b, signal)

    const live = await storyOf(a, keys.live, 'may-run', signal)
    const rest = [await storyOf(a, keys.nightly, 'ended', signal), await storyOf(a, manual, 'ended', signal)]
    for (const [index, story] of [live, ...rest].entries()) {
      const paths = [...sent.keys()]
        .filter((key) => key.startsWith(`${REPOS[index]}:`))
        .map((key) => key.split(':')[1]!)
      const ended = story.records.map(({ status, errorReason }) => `${status} ${errorReason ?? ''}`.trim())
      const untold = paths.filter((path) => !story.written.has(path))
      const about = `${REPOS[index]}: ${untold.length} files without a detail, e.g. ${untold.slice(0, 5)}; records: ${[...new Set(ended)].join(' | ')}`
      assert.deepEqual([untold.length, story.written.size], [0, paths.length], about)
      const twice = [...story.written].filter(([, times]) => times > 1)
      assert.deepEqual(twice, [], `written twice in ${REPOS[index]}`)
      plan.log(`${REPOS[index]}: ${story.records.length} records, ${story.written.size} details`)
    }
    const bytes = content.smallBytes + content.largeBytes
    const again = redundant.total(partsSentAgain(line.seen))
    assert.ok(again !== undefined)
    plan.log(`${mb(bytes)} of contents; ${mb(again)} sent although the target held it durably`)
    plan.log(`${Math.round((performance.now() - from) / 1000)} s`)
    const faults = [...bad.done.values()].reduce((sum, times) => sum + times, 0)
    assert.ok(
      again <= MOST_REDUNDANT * bytes + faults * IN_FLIGHT_BYTES,
      `${mb(again)} of ${mb(bytes)} were sent again`,
    )
  } catch (error) {
    const logs = await Promise.all([servers.a, servers.b].map(async ({ logFile }) => lastLines(logFile)))
    throw new Error(`seed ${plan.seed}: ${(error as Error).message}\nlog of a:\n${logs[0]}\nlog of b:\n${logs[1]}`, {
      cause: error,
    })
  } finally {
    await servers.a.stop()
    await line[Symbol.asyncDispose]()
    await servers.b.stop()
  }
}

async function createTasks(a: Api, target: ServerProcess, url: string, signal: AbortSignal) {
  for (const repository of REPOS) await createRepository(a, repository, signal)
  const { user, password } = target
  const clusterId = await registerCluster(a, { name: 'beta', url, user, password }, signal)
  const [live, nightly, manual] = REPOS.map((repository) => taskOf(repository, repository, [clusterId]))
  const cron = {
    executionStrategy: 'CRON_EXPRESSION',
    executionPlan: { executeImmediately: false, cronExpression: EVERY_TWO_SECONDS },
  }
  return {
    live: await createTask(a, { ...live!, replicaType: 'REAL_TIME' }, signal),
    nightly: await createTask(a, { ...nightly!, setting: { ...nightly!.setting, ...cron } }, signal),
    manual: await createTask(a, manual!, signal),
  }
}

/** Uploads each file until it is acknowledged, to the repositories in turns. */
function uploading(a: Api, files: readonly SoakFile[], signal: AbortSignal) {
  const sent = new Map<string, string>()
  let retries = 0
  const uploadOne = async ([file, index]: readonly [SoakFile, number], stop: AbortSignal) => {
    const repository = REPOS[index % REPOS.length]!
    for (;;) {
      stop.throwIfAborted()
      try {
        const node = await a.upload(repository, file.path, file.content(), { 'x-bkrepo-overwrite': 'true' }, stop)
        assert.equal(node.sha256, file.sha256, file.path)
        sent.set(`${repository}:${file.path}`, file.sha256)
        return
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error
        retries++
        await sleep(RETRY_MS, undefined, { signal: stop })
      }
    }
  }
  const numbered = files.map((file, index) => [file, index] as const)
  const all = mapConcurrent(numbered, UPLOADS_AT_ONCE, uploadOne, signal).then(() => sent)
  all.catch(() => undefined)
  return { all, done: () => sent.size, retries: () => retries, total: files.length }
}

/** Spread over the uploads; what is left of them when all files are up follows at once. */
async function killing(
  { kills, log }: RealTimeSoak,
  random: Random,
  uploads: ReturnType<typeof uploading>,
  servers: Record<'a' | 'b', ServerProcess>,
  options: Record<'a' | 'b', { name: string; dataDir: string; env: Readonly<Record<string, string>> }>,
  redundant: ReturnType<typeof redundantBytes>,
  signal: AbortSignal,
): Promise<void> {
  for (let killed = 1; killed <= kills; killed++) {
    const due = ((killed - random.next()) / (kills + 1)) * uploads.total
    let waits = 0
    while (uploads.done() < due && waits++ < 100) await sleep(POLL_MS / 5, undefined, { signal })
    await sleep(random.next() * LONGEST_PAUSE_MS, undefined, { signal })
    const victim = random.next() < 0.5 ? 'a' : 'b'
    if (victim === 'b') await redundant.note(servers.b, signal)
    await servers[victim].kill()
    servers[victim] = await startServer({ ...options[victim], port: servers[victim].port }, signal)
    if (killed % 10 === 0) log(`${killed} of ${kills} kills, ${uploads.done()} of ${uploads.total} files up`)
  }
}

interface Sides {
  readonly a: Api
  readonly b: Api
  /** Executed again and again until all is there. */
  readonly manual: string
  /** Digests by `repository:path`. */
  readonly sent: ReadonlyMap<string, string>
}

async function converged({ a, b, manual, sent }: Sides, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + CONVERGES_WITHIN_MS
  for (let missing = sent.size; missing > 0; ) {
    const [newest] = await listRecords(a, manual, signal)
    if (newest?.status !== 'RUNNING') await executeTask(a, manual, signal)
    await sleep(10 * POLL_MS, undefined, { signal })
    const there = await everythingOn(b, signal)
    missing = [...sent].filter(([key, sha256]) => there.get(key) !== sha256).length
    assert.ok(performance.now() < deadline, `${missing} of ${sent.size} files did not arrive`)
  }
  assert.deepEqual(await everythingOn(a, signal), sent, 'the source holds what it acknowledged, and no more')
  assert.deepEqual(await everythingOn(b, signal), sent, 'the target holds the same')
}

async function everythingOn(api: Api, signal: AbortSignal): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const repository of REPOS) {
    const contents = await contentsOf(api, repository, signal).catch(() => new Map<string, string>())
    for (const [path, sha256] of contents) found.set(`${repository}:${path}`, sha256)
  }
  return found
}

/** Switches the tasks off and waits for their last runs: a run that is left RUNNING for ever fails here. */
async function settled(a: Api, keys: readonly string[], signal: AbortSignal): Promise<void> {
  for (const key of keys) await a.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, signal)
  const deadline = performance.now() + CONVERGES_WITHIN_MS
  for (const key of keys) {
    while ((await listRecords(a, key, signal)).some(({ status }) => status === 'RUNNING')) {
      assert.ok(performance.now() < deadline, `a run of task ${key} is stuck in RUNNING`)
      await sleep(POLL_MS, undefined, { signal })
    }
  }
}

/** Of a large file: there are many, and a bit that changes in one costs the whole file. */
const isPart = ({ path }: SeenRequest): boolean => path.includes('/uploads')

const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`
