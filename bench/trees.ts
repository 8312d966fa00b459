import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openDatabase } from '../src/metadata/open-database.ts'
import { type Api, connectApi } from '../test/helpers/api.ts'
import { createRepository } from '../test/helpers/replication-calls.ts'
import { startServer } from '../test/helpers/server-process.ts'
import { atMost, type Measurement } from './measurement.ts'
import { canRun, type Dialect, databasesFor } from './postgres.ts'
import type { Scenario } from './scenario.ts'
import { SMALL_FILES } from './stage.ts'
import { seedTree } from './tree-seed.ts'

const FILES = 100_000
const REPO = 'bench/trees'
const LONGEST_WAIT_MS = 100
const SMALL_BYTES = 4_096
const QUIET_MS = 3_000
const NODE = '/repository/api/node'

/** On servers of their own. */
export const TREE_SCENARIOS: readonly Scenario[] = (['sqlite', 'postgres'] as const).filter(canRun).map((dialect) => ({
  name: `trees-${dialect}`,
  title: `a folder of 100,000 files copied, moved, deleted, restored on ${dialect} while others read and upload`,
  run: (stage, signal) => measureTrees(`trees-${dialect}`, dialect, stage.small.length / SMALL_FILES, signal),
}))

/**
 * A folder of 100,000 files is copied, moved and deleted, one call each, while two other clients ask for node details and upload
 * small files. The number is the longest that either of them waited for an answer.
 */
async function measureTrees(name: string, dialect: Dialect, scale: number, signal: AbortSignal): Promise<Measurement> {
  const files = Math.round(FILES * scale)
  const dir = await mkdtemp(join(tmpdir(), 'entrepot-bench-trees-'))
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rm(dir, { recursive: true, force: true, maxRetries: 3 }))
  const [env = {}] = await databasesFor(dialect, 1, stack)
  const url = env.ENTREPOT_DATABASE
  const server = stack.use(await startServer({ name: 'bench-trees', dataDir: join(dir, 'data'), env }, signal))
  const [caller, reader, writer] = [1, 2, 3].map(() => stack.use(connectApi({ ...server, connections: 1 })))
  await createRepository(caller!, REPO, signal)
  {
    const file = join(dir, 'data', 'entrepot.db')
    await using db = await openDatabase(url === undefined ? { dialect: 'sqlite', file } : { dialect: 'postgres', url })
    await seedTree(db, REPO, files)
  }
  const probe = await startProbe(reader!, writer!, signal)
  await sleep(QUIET_MS)
  const lines = [`at rest ${shown(probe.take())}`]
  const ends = { srcProjectId: 'bench', srcRepoName: 'trees' }
  const steps: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['copy', () => call('POST', '/copy', { ...ends, srcFullPath: '/tree', destFullPath: '/copied' })],
    ['move', () => call('POST', '/move', { ...ends, srcFullPath: '/tree', destFullPath: '/moved/here' })],
    ['page', () => call('GET', `/page/${REPO}/moved?deep=true&pageSize=100`)],
    ['sorted page', () => call('GET', `/page/${REPO}/moved?deep=true&pageSize=100&sort=true`)],
    ['delete', () => call('DELETE', `/delete/${REPO}/copied`)],
    ['restore', () => call('POST', `/restore/${REPO}/copied`)],
  ]
  const call = (method: string, path: string, body?: object) => caller!.call(method, `${NODE}${path}`, body, signal)
  let worst = 0
  for (const [what, run] of steps) {
    const start = performance.now()
    await run()
    const tookMs = performance.now() - start
    const waits = probe.take()
    worst = Math.max(worst, waits.detail.longest, waits.upload.longest)
    lines.push(`${what} ${tookMs.toFixed(0)} ms, meanwhile ${shown(waits)}`)
    console.error(`  ${lines.at(-1)}`)
  }
  await probe.stop()
  return {
    scenario: name,
    what: `${files} files: ${lines.join('; ')}`,
    value: worst,
    unit: 'ms',
    goals: [atMost('longest wait ms', worst, LONGEST_WAIT_MS)],
  }
}

interface Waits {
  readonly count: number
  readonly longest: number
  readonly p99: number
}
const NO_WAITS: Waits = { count: 0, longest: 0, p99: 0 }

/** Two clients, each with its next request as soon as the last one was answered. */
async function startProbe(reader: Api, writer: Api, signal: AbortSignal) {
  const details: number[] = []
  const uploads: number[] = []
  const content = randomBytes(SMALL_BYTES)
  let running = true
  let uploaded = 0
  const upload = () => {
    content.writeUInt32BE(uploaded)
    return writer.upload(REPO, `/probe/file-${uploaded++}`, content, {}, signal)
  }
  await upload()
  const repeat = async (times: number[], ask: () => Promise<unknown>) => {
    while (running) {
      const start = performance.now()
      await ask()
      times.push(performance.now() - start)
      // A client that never pauses measures its own load.
      await sleep(2)
    }
  }
  const done = Promise.all([
    repeat(details, () => reader.call('GET', `${NODE}/detail/${REPO}/probe/file-0`, undefined, signal)),
    repeat(uploads, upload),
  ])
  done.catch(() => {})
  return {
    take: () => ({ detail: judged(details.splice(0)), upload: judged(uploads.splice(0)) }),
    async stop() {
      running = false
      await done
    },
  }
}

function judged(times: number[]): Waits {
  if (times.length === 0) return NO_WAITS
  times.sort((a, b) => a - b)
  return { count: times.length, longest: times.at(-1)!, p99: times[Math.floor(times.length * 0.99)]! }
}
const shown = (waits: Readonly<Record<'detail' | 'upload', Waits>>): string =>
  Object.entries(waits)
    .map(([what, { count, longest, p99 }]) => `${count} ${what}s ≤ ${longest.toFixed(0)} ms (p99 ${p99.toFixed(0)})`)
    .join(', ')
