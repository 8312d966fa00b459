import { join } from 'node:path'
import type { SentFile } from '../demo/upload.ts'
import { mapConcurrent } from '../src/core/concurrency.ts'
import { type Api, connectApi } from '../test/helpers/api.ts'
import { createRepository, registerCluster } from '../test/helpers/replication-calls.ts'
import { startServer } from '../test/helpers/server-process.ts'
import { type BenchFile, largeFile, smallFiles } from './content.ts'
import { type Measured, watchUsage } from './process-usage.ts'
import { startRawLimit } from './raw-limit.ts'
import { type Replicate, replicator } from './replicator.ts'

export const LARGE = 'bench/large'
export const SMALL = 'bench/small'
export const CONNECTIONS = 16
const LARGE_BYTES = 1024 ** 3
export const SMALL_FILES = 10_000
const LEAST_SMALL_FILES = 100
const SMALL_BYTES = 4_096

/** Two servers, the raw one, and the content that scenarios move between them. */
export interface Stage extends AsyncDisposable {
  readonly a: Api
  readonly raw: Api
  readonly large: BenchFile
  readonly small: readonly BenchFile[]
  /** What A holds in `SMALL` right now, by path. */
  readonly smallNow: Map<string, SentFile>
  /** Does a step that several scenarios build on, unless it was done: measured or not, by whoever came first. */
  once(step: string, work: () => Promise<unknown>): Promise<void>
  measure(work: () => Promise<unknown>): Promise<Measured>
  /** Uploads over all connections; each answer must name the digest that we expect. */
  put(api: Api, repository: string, files: readonly BenchFile[]): Promise<void>
  readonly replicate: Replicate
}

export async function openStage(dir: string, scale: number, signal: AbortSignal): Promise<Stage> {
  const large = largeFile('/large.bin', Math.round(LARGE_BYTES * scale), 1)
  const small = smallFiles(Math.max(LEAST_SMALL_FILES, Math.round(SMALL_FILES * scale)), SMALL_BYTES, 2)
  await using stack = new AsyncDisposableStack()
  const serverA = stack.use(await startServer({ name: 'bench-a', dataDir: join(dir, 'a') }, signal))
  const serverB = stack.use(await startServer({ name: 'bench-b', dataDir: join(dir, 'b') }, signal))
  const raw = stack.use(await startRawLimit(join(dir, 'raw')))
  const a = stack.use(connectApi({ ...serverA, connections: CONNECTIONS }))
  const b = stack.use(connectApi({ ...serverB, connections: CONNECTIONS }))
  for (const repository of [LARGE, SMALL]) await createRepository(a, repository, signal)
  const clusterId = await registerCluster(a, serverB, signal)

  const done = new Set<string>()
  const measure = async (work: () => Promise<unknown>): Promise<Measured> => {
    const watch = watchUsage([serverA.pid, serverB.pid])
    const start = performance.now()
    await work()
    const ms = performance.now() - start
    const [usageA, usageB] = watch.end()
    return { ms, a: usageA!, b: usageB! }
  }
  const replicate = replicator({ a, b, clusterId, measure }, signal)
  const opened = stack.move()
  return {
    a,
    raw: raw.api,
    large,
    small,
    smallNow: new Map(small.map(({ expected }) => [expected.path, expected])),
    async once(step, work) {
      if (!done.has(step)) await work()
      done.add(step)
    },
    measure,
    async put(api, repository, files) {
      const headers = { 'x-bkrepo-overwrite': 'true' }
      const putOne = async ({ expected, content }: BenchFile, stop: AbortSignal) => {
        const { sha256 } = await api.upload(repository, expected.path, content, headers, stop)
        if (sha256 !== expected.sha256) throw new Error(`${expected.path}: the server stored ${sha256}`)
      }
      await mapConcurrent(files, CONNECTIONS, putOne, signal)
    },
    replicate,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}
