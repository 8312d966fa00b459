import { join } from 'node:path'
import type { SentFile } from '../demo/upload.ts'
import type { Api } from '../test/helpers/api.ts'
import { createRepository } from '../test/helpers/replication-calls.ts'
import { type BenchFile, largeFile, smallFiles } from './content.ts'
import { openPair, type Pair, putAll } from './pair.ts'
import type { Dialect } from './postgres.ts'
import { startRawLimit } from './raw-limit.ts'

export const LARGE = 'bench/large'
export const SMALL = 'bench/small'
const LARGE_BYTES = 1024 ** 3
export const SMALL_FILES = 10_000
const LEAST_SMALL_FILES = 100
export const SMALL_BYTES = 4_096

/** Two servers, the raw one, and the content that scenarios move between them. */
export interface Stage extends Pair {
  /** An empty directory for servers of a scenario's own; removed at the end of the program. */
  readonly dir: string
  readonly dialect: Dialect
  /** 1: the sizes of docs/performance.md. */
  readonly scale: number
  readonly raw: Api
  readonly large: BenchFile
  readonly small: readonly BenchFile[]
  /** What A holds in `SMALL` right now, by path. */
  readonly smallNow: Map<string, SentFile>
  /** Does a step that several scenarios build on, unless it was done: measured or not, by whoever came first. */
  once(step: string, work: () => Promise<unknown>): Promise<void>
  /** Uploads over all connections; each answer must name the digest that we expect. */
  put(api: Api, repository: string, files: readonly BenchFile[]): Promise<void>
}

export interface StageOptions {
  readonly dir: string
  readonly scale: number
  readonly dialect: Dialect
}

export async function openStage({ dir, scale, dialect }: StageOptions, signal: AbortSignal): Promise<Stage> {
  const large = largeFile('/large.bin', Math.round(LARGE_BYTES * scale), 1)
  const small = smallFiles(Math.max(LEAST_SMALL_FILES, Math.round(SMALL_FILES * scale)), SMALL_BYTES, 2)
  await using stack = new AsyncDisposableStack()
  const pair = stack.use(await openPair({ name: 'stage', dir, dialect }, signal))
  const raw = stack.use(await startRawLimit(join(dir, 'raw')))
  for (const repository of [LARGE, SMALL]) await createRepository(pair.a, repository, signal)
  const done = new Set<string>()
  const opened = stack.move()
  return {
    ...pair,
    ...{ dir, dialect, scale, raw: raw.api, large, small },
    smallNow: new Map(small.map(({ expected }) => [expected.path, expected])),
    async once(step, work) {
      if (!done.has(step)) await work()
      done.add(step)
    },
    put: (api, repository, files) => putAll(api, repository, files, signal),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}
