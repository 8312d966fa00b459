import { join } from 'node:path'
import { mapConcurrent } from '../src/core/concurrency.ts'
import { type Api, connectApi } from '../test/helpers/api.ts'
import { registerCluster } from '../test/helpers/replication-calls.ts'
import { type ServerProcess, startServer } from '../test/helpers/server-process.ts'
import type { BenchFile } from './content.ts'
import { type Dialect, databasesFor } from './postgres.ts'
import { type Measured, watchUsage } from './process-usage.ts'
import { type Replicate, replicator } from './replicator.ts'

export const CONNECTIONS = 16

/** Two servers of which A knows B. */
export interface Pair extends AsyncDisposable {
  readonly a: Api
  readonly b: Api
  readonly serverA: ServerProcess
  readonly serverB: ServerProcess
  readonly clusterId: string
  /** Watches both processes meanwhile. */
  measure(work: () => Promise<unknown>): Promise<Measured>
  readonly replicate: Replicate
}

export interface PairOptions {
  /** Of the directory below `dir` that holds all its data. */
  readonly name: string
  readonly dir: string
  readonly dialect: Dialect
  /** More settings of the source. */
  readonly env?: Readonly<Record<string, string>>
}

export async function openPair({ name, dir, dialect, env = {} }: PairOptions, signal: AbortSignal): Promise<Pair> {
  await using stack = new AsyncDisposableStack()
  const [envA, envB] = await databasesFor(dialect, 2, stack)
  const start = async (side: string, settings: Readonly<Record<string, string>>) =>
    stack.use(await startServer({ name: `bench-${side}`, dataDir: join(dir, name, side), env: settings }, signal))
  const serverA = await start('a', { ...envA, ...env })
  const serverB = await start('b', { ...envB })
  const a = stack.use(connectApi({ ...serverA, connections: CONNECTIONS }))
  const b = stack.use(connectApi({ ...serverB, connections: CONNECTIONS }))
  const clusterId = await registerCluster(a, serverB, signal)
  const measure = async (work: () => Promise<unknown>): Promise<Measured> => {
    const watch = watchUsage([serverA.pid, serverB.pid])
    const from = performance.now()
    try {
      await work()
    } finally {
      watch.stop()
    }
    const ms = performance.now() - from
    const [usageA, usageB] = watch.end()
    return { ms, a: usageA!, b: usageB! }
  }
  const replicate = replicator({ a, b, clusterId, measure }, signal)
  const opened = stack.move()
  return {
    ...{ a, b, serverA, serverB, clusterId, measure, replicate },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** Uploads over all connections; each answer must name the digest that we expect. */
export async function putAll(
  api: Api,
  repository: string,
  files: readonly BenchFile[],
  signal: AbortSignal,
): Promise<void> {
  const headers = { 'x-bkrepo-overwrite': 'true' }
  const putOne = async ({ expected, content }: BenchFile, stop: AbortSignal) => {
    const { sha256 } = await api.upload(repository, expected.path, content, headers, stop)
    if (sha256 !== expected.sha256) throw new Error(`${expected.path}: the server stored ${sha256}`)
  }
  await mapConcurrent(files, CONNECTIONS, putOne, signal)
}
