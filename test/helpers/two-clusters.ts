import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import type { Overview, RecordInfo } from '../../src/cli/run-progress.ts'
import type { Format } from '../../src/formats/format.ts'
import { type Api, metaHeader } from './api.ts'
import { type FaultyProxy, faultyProxy } from './faulty-proxy.ts'
import { type LocalCluster, startCluster, type TestDialect } from './local-cluster.ts'
import {
  createRepository,
  type Detail,
  detailsOf,
  executeTask,
  listFiles,
  type Page,
  registerCluster,
  taskOf,
  userMetadata,
  waitForRun,
} from './replication-calls.ts'

export const REPO = 'proj/files'

export interface Run {
  readonly record: RecordInfo
  readonly overview: Overview & { readonly fileSuccess: number; readonly fileFailed: number }
  readonly details: readonly Detail[]
}
export interface StoredFile {
  readonly path: string
  readonly sha256: string
  readonly metadata: Readonly<Record<string, unknown>>
}
type Task = ReturnType<typeof taskOf>
/** Parts of a task's body that differ from the contract's sample. */
export interface TaskChanges extends Partial<Omit<Task, 'setting'>> {
  readonly setting?: Partial<Task['setting']> & Readonly<Record<string, unknown>>
  readonly record?: boolean
}

/** A source and a target that the source reaches through a proxy, which plays the bad line and the bad server. */
export interface TwoClusters extends AsyncDisposable {
  readonly a: LocalCluster
  readonly b: LocalCluster
  readonly line: FaultyProxy
  /** Of B at A. */
  readonly clusterId: string
  put(
    where: LocalCluster,
    path: string,
    content: string | Buffer,
    metadata?: Readonly<Record<string, string>>,
  ): Promise<void>
  text(where: LocalCluster, path: string): Promise<string>
  files(where: LocalCluster): Promise<StoredFile[]>
  /** Creates a task and waits for its first run. */
  replicate(changes?: TaskChanges): Promise<Run & { readonly key: string }>
  create(changes?: TaskChanges): Promise<string>
  /** Executes a task and waits for the end of that run. */
  again(key: string): Promise<Run>
  /** Runs a task of the same sample at B, towards its cluster `alpha`; the first call makes it. */
  replicateBack(setting?: TaskChanges['setting'], changes?: TaskChanges): Promise<Run>
  /** Waits for run number `runs` of a task at A. */
  ended(key: string, runs: number): Promise<Run>
}

const POLL_MS = 10

/** @param env more settings of the source. @param formats package types of both, besides those that are built. */
export async function twoClusters(
  dialect: TestDialect,
  signal: AbortSignal,
  env: Readonly<Record<string, string>> = {},
  formats: readonly Format[] = [],
): Promise<TwoClusters> {
  const a = await startCluster({ name: 'alpha', dialect, env, formats })
  const b = await startCluster({ name: 'beta', dialect, formats })
  const line = await faultyProxy(b.url)
  await createRepository(a.api, REPO, signal)
  const clusterId = await registerCluster(
    a.api,
    { name: 'beta', url: line.url, user: 'admin', password: b.password },
    signal,
  )
  let tasks = 0
  let backKey: string | undefined
  let backRuns = 0

  async function create({ setting, ...changes }: TaskChanges = {}): Promise<string> {
    const sample = taskOf(`task ${++tasks}`, REPO, [clusterId])
    const body = { ...sample, ...changes, setting: { ...sample.setting, ...setting } }
    return (await a.api.call<{ key: string }>('POST', '/replication/api/task/create', body, signal)).key
  }
  async function endedAt({ api }: LocalCluster, key: string, runs: number): Promise<Run> {
    const record = await waitForRun(api, key, { runs, pollMs: POLL_MS }, signal)
    const details = (await detailsOf(api, record.id, 1000, signal)).records
    return { record, overview: await overview(api, record.id, signal), details }
  }
  const ended = (key: string, runs: number) => endedAt(a, key, runs)
  return {
    a,
    b,
    line,
    clusterId,
    create,
    ended,
    async put(where, path, content, metadata = {}) {
      const bytes = typeof content === 'string' ? Buffer.from(content) : content
      await where.api.upload(REPO, path, bytes, { 'x-bkrepo-overwrite': 'true', ...metaHeader(metadata) }, signal)
    },
    async text(where, path) {
      return (await buffer(await where.api.download(REPO, path, signal))).toString()
    },
    async files(where) {
      const found: StoredFile[] = []
      for await (const node of listFiles(where.api, REPO, signal)) {
        found.push({ path: node.fullPath, sha256: node.sha256!, metadata: userMetadata(node) })
      }
      return found
    },
    async replicate(changes) {
      const key = await create(changes)
      return { key, ...(await ended(key, 1)) }
    },
    async again(key) {
      const { totalRecords } = await a.api.call<Page<unknown>>(
        'GET',
        `/replication/api/task/record/page/${key}`,
        undefined,
        signal,
      )
      await executeTask(a.api, key, signal)
      return ended(key, totalRecords + 1)
    },
    async replicateBack(setting, changes = {}) {
      if (backKey !== undefined) {
        await executeTask(b.api, backKey, signal)
        return endedAt(b, backKey, ++backRuns)
      }
      const sample = taskOf('back', REPO, ['alpha'])
      const body = { ...sample, ...changes, setting: { ...sample.setting, ...setting } }
      const { key } = await b.api.call<{ key: string }>('POST', '/replication/api/task/create', body, signal)
      backKey = key
      return endedAt(b, key, ++backRuns)
    },
    async [Symbol.asyncDispose]() {
      await a[Symbol.asyncDispose]()
      await line[Symbol.asyncDispose]()
      await b[Symbol.asyncDispose]()
    },
  }
}

const overview = (api: Api, recordId: string, signal: AbortSignal): Promise<Run['overview']> =>
  api.call('GET', `/replication/api/task/record/overview/${recordId}`, undefined, signal)

export const sha256 = (content: string | Buffer): string => createHash('sha256').update(content).digest('hex')

/** `success/skip/failed/conflict`. */
export const counts = ({ overview: { success, skip, failed, conflict } }: Run): string =>
  `${success}/${skip}/${failed}/${conflict}`
