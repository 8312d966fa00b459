import assert from 'node:assert/strict'
import { mapConcurrent } from '../../src/core/concurrency.ts'
import { connectApi } from './api.ts'
import { assertComplete, endOfRun } from './complete-run.ts'
import { faultyProxy } from './faulty-proxy.ts'
import { seededRandom } from './ids.ts'
import { type PassedBytes, passedBytes, scheduleKills } from './kill-schedule.ts'
import { partsSentAgain, redundantBytes } from './redundant-bytes.ts'
import { createRepository, createTask, registerCluster, taskOf } from './replication-calls.ts'
import { lastLines, type ServerProcess, startServer } from './server-process.ts'
import { type SoakFile, type SoakSize, soakContent } from './soak-content.ts'
import { tempDir } from './temp.ts'

export interface RandomKills extends SoakSize {
  readonly kills: number
  readonly seed: number
  /** More settings of each side, e.g. its database. */
  readonly env?: Readonly<Record<'a' | 'b', Readonly<Record<string, string>>>>
  log(line: string): void
}

const REPO = 'proj/files'
const UPLOADS_AT_ONCE = 16
/** The run must end by itself within this time after the last kill. */
const ENDS_WITHIN_MS = 300_000
/** Of all bytes: sent again although the target held them durably. */
const MOST_REDUNDANT = 0.01

/**
 * One long run between two real processes. At random moments of its way one of them is killed by SIGKILL and started again at
 * once. At the end: contents equal byte for byte, SUCCESS, one detail for each file, counters exact, and hardly anything was sent
 * twice that was safe already.
 */
export async function killAtRandomMoments(plan: RandomKills, signal: AbortSignal): Promise<void> {
  const { kills, seed, log } = plan
  const random = seededRandom(seed)
  const content = soakContent(plan, random)
  const bytes = content.smallBytes + content.largeBytes
  await using dir = await tempDir()
  const options = {
    a: { name: 'alpha', dataDir: dir.file('alpha'), env: plan.env?.a ?? {} },
    b: { name: 'beta', dataDir: dir.file('beta'), env: plan.env?.b ?? {} },
  }
  const servers = { a: await startServer(options.a, signal), b: await startServer(options.b, signal) }
  const line = await faultyProxy(servers.b.url)
  try {
    const sent = await uploadAll(servers.a, content.files, signal)
    const passed = passedBytes(scheduleKills(kills, { small: content.smallBytes, large: content.largeBytes }, random))
    line.watch((request, count) => passed.note(request, count))
    const redundant = redundantBytes()
    const key = await startRun(servers.a, servers.b, line.url, signal)
    for (let killed = 1; killed <= kills; killed++) {
      const { victim, kind } = await nextKill(passed, servers.a, key, signal)
      if (victim === 'b') await redundant.note(servers.b, signal)
      const server = servers[victim]
      await server.kill()
      passed.over()
      log(`kill ${killed} of ${kills}: ${victim} while ${kind} files travel, after ${mb(passed.total())}`)
      servers[victim] = await startServer({ ...options[victim], port: server.port }, signal)
    }
    using a = connectApi(servers.a)
    using b = connectApi(servers.b)
    const record = await endOfRun(a, key, ENDS_WITHIN_MS, signal)
    await redundant.note(servers.b, signal)
    await assertComplete({ a, b, repository: REPO, sent, downloads: 'all' }, { key, record }, signal)
    const parts = partsSentAgain(line.seen)
    const again = redundant.total(parts)
    const inFlight = passed.total() - bytes - (again ?? 0)
    log(
      `${mb(bytes)} of contents, ${mb(passed.total())} passed: ${again === undefined ? 'an unknown part' : mb(again)} sent`,
    )
    log(`although the target held it durably, ${mb(inFlight)} in flight at the kills or not contents`)
    assert.ok(again !== undefined, `the target does not tell entrepot_sync_redundant_bytes_total`)
    assert.ok(again <= MOST_REDUNDANT * bytes, `${mb(again)} of ${mb(bytes)} were sent again`)
  } catch (error) {
    const logs = await Promise.all([servers.a, servers.b].map(async ({ logFile }) => lastLines(logFile)))
    throw new Error(`seed ${seed}: ${(error as Error).message}\nlog of a:\n${logs[0]}\nlog of b:\n${logs[1]}`, {
      cause: error,
    })
  } finally {
    await servers.a.stop()
    await line[Symbol.asyncDispose]()
    await servers.b.stop()
  }
}

async function uploadAll(server: ServerProcess, files: readonly SoakFile[], signal: AbortSignal) {
  using api = connectApi(server)
  await createRepository(api, REPO, signal)
  const sent = new Map<string, string>()
  const uploadOne = async (file: SoakFile, stop: AbortSignal) => {
    const node = await api.upload(REPO, file.path, file.content(), {}, stop)
    assert.equal(node.sha256, file.sha256, file.path)
    sent.set(file.path, file.sha256)
  }
  await mapConcurrent(files, UPLOADS_AT_ONCE, uploadOne, signal)
  return sent
}

async function startRun(a: ServerProcess, b: ServerProcess, lineUrl: string, signal: AbortSignal): Promise<string> {
  using api = connectApi(a)
  const address = { name: 'beta', url: lineUrl, user: b.user, password: b.password }
  const clusterId = await registerCluster(api, address, signal)
  return await createTask(api, taskOf('soak', REPO, [clusterId]), signal)
}

/** @throws when the run ends while kills are left. */
async function nextKill(passed: PassedBytes, a: ServerProcess, key: string, signal: AbortSignal) {
  using api = connectApi(a)
  const ended = new AbortController()
  const stop = AbortSignal.any([signal, ended.signal])
  const watching = endOfRun(api, key, ENDS_WITHIN_MS, stop).then(
    () => ended.abort(),
    () => undefined,
  )
  const kill = await passed.nextKill(stop)
  ended.abort()
  await watching
  assert.ok(kill !== undefined, 'the run ended before all kills')
  return kill
}

const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`
