import type { RecordInfo } from '../../src/cli/run-progress.ts'
import type { TestDialect } from './local-cluster.ts'
import { until } from './real-time.ts'
import { type Registry, startRegistry } from './registry.ts'
import type { Detail, Page } from './replication-calls.ts'

export const REPO = 'demo/images'
export const DISTRIBUTION = '/replication/api/remote/distribution'

/** A registry of ours whose repository `demo/images` is distributed, in the words of contract 001. */
export interface DistributionSource extends AsyncDisposable {
  readonly registry: Registry
  /** All that was logged. */
  log(): string
  call<T = null>(method: string, path: string, body?: unknown): Promise<T>
  api<T>(method: string, path: string, body?: unknown): Promise<T>
  /** A tag of the image `nginx`, or of another one. */
  tag(name: string, image?: string, more?: object): ReturnType<Registry['pushImage']>
  /** Makes or replaces a distribution. */
  distribute(name: string, config: object): Promise<void>
  status(name: string): Promise<RecordInfo | null>
  /** Makes a run-once of these versions of `nginx`, runs it and waits for its end. */
  runOnce(name: string, config: object, signal: AbortSignal): Promise<RecordInfo>
  /** Starts a run of a distribution and waits for its end. */
  run(name: string, signal: AbortSignal): Promise<RecordInfo>
  ended(name: string, signal: AbortSignal): Promise<RecordInfo>
  task(name: string): Promise<DistributedTask>
  records(name: string): Promise<readonly RecordInfo[]>
  details(record: Pick<RecordInfo, 'id'>): Promise<readonly (Detail & { version: string | null })[]>
  /** As `details`, `tag STATUS` ascending. */
  detailTexts(record: Pick<RecordInfo, 'id'>): Promise<readonly string[]>
  /** The link follows, and nothing waits. */
  caughtUp(name: string, signal: AbortSignal): Promise<void>
}
interface DistributedTask {
  readonly key: string
  readonly name: string
  readonly enabled: boolean
  readonly replicaType: string
  readonly totalBytes: number | null
  readonly replicatedBytes: number
}

const PATIENCE_MS = 30_000

export async function distributionSource(
  dialect: TestDialect,
  env: Readonly<Record<string, string>> = {},
): Promise<DistributionSource> {
  const lines: string[] = []
  const registry = await startRegistry(
    dialect,
    { ENTREPOT_ALLOW_PRIVATE_TARGETS: 'true', ...env },
    { onLog: (line) => void lines.push(line) },
  )
  const api = <T>(method: string, path: string, body?: unknown): Promise<T> =>
    registry.server.api.call<T>(method, path, body, AbortSignal.timeout(PATIENCE_MS))
  const call = <T = null>(method: string, path: string, body?: unknown): Promise<T> =>
    api<T>(method, `${DISTRIBUTION}/${path}`, body)
  const tasks = '/replication/api/task'
  const source: DistributionSource = {
    ...{ registry, api, call },
    log: () => lines.join(''),
    tag: (name, image = 'nginx', more = {}) => registry.pushImage(`${REPO}/${image}`, name, more),
    async distribute(name, config) {
      await call('POST', `create/${REPO}`, { configs: [{ name, ...config }] })
    },
    status: (name) => call<RecordInfo | null>('GET', `get/runOnceTaskStatus/${REPO}?name=${name}`),
    async runOnce(name, config, signal) {
      await call('POST', `create/runOnceTask/${REPO}`, { name, packageName: 'nginx', ...config })
      await call('POST', `execute/runOnceTask/${REPO}?name=${name}`)
      return source.ended(name, signal)
    },
    async run(name, signal) {
      await api('POST', `${tasks}/execute/${(await source.task(name)).key}`)
      return source.ended(name, signal)
    },
    async ended(name, signal) {
      await until(async () => !['RUNNING', undefined].includes((await source.status(name))?.status), signal)
      return (await source.status(name))!
    },
    async task(name) {
      const { records } = await api<Page<DistributedTask>>('GET', `${tasks}/page/demo?pageSize=100`)
      return records.find((task) => task.name === `${REPO}/${name}`)!
    },
    records: async (name) => api('GET', `${tasks}/record/list/${(await source.task(name)).key}`),
    async details({ id }) {
      const path = `${tasks}/record/detail/page/${id}?pageNumber=1&pageSize=1000`
      return (await api<Page<Detail & { version: string | null }>>('GET', path)).records
    },
    detailTexts: async (record) =>
      (await source.details(record)).map(({ version, status }) => `${version} ${status}`).sort(),
    async caughtUp(name, signal) {
      const { key } = await source.task(name)
      const lags = () => api<{ state: string; changesBehind: number | null }[]>('GET', `${tasks}/lag/${key}`)
      await until(
        async () => (await lags()).some(({ state, changesBehind }) => state === 'LIVE' && changesBehind === 0),
        signal,
      )
    },
    [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose](),
  }
  return source
}

/** The setting of a distribution that begins when it is told to. */
export const SCHEDULED = {
  replicaType: 'SCHEDULED',
  setting: {
    conflictStrategy: 'SKIP',
    executionStrategy: 'CRON_EXPRESSION',
    executionPlan: { cronExpression: '0 0 3 1 1 ? 2099' },
  },
} as const
export const scheduled = (setting: object) => ({ ...SCHEDULED, setting: { ...SCHEDULED.setting, ...setting } })

/** The sample of contract 001, its placeholders filled in: for a registry or for a cluster. */
export const sampleOf = (target: object) => ({
  configs: [
    {
      name: 'mirrors',
      ...target,
      packageConstraints: [],
      pathConstraints: [],
      replicaType: 'REAL_TIME',
      setting: {
        rateLimit: 0,
        includeMetadata: true,
        conflictStrategy: 'SKIP',
        errorStrategy: 'CONTINUE',
        executionStrategy: 'IMMEDIATELY',
        executionPlan: { executeImmediately: true },
      },
      enable: true,
      description: 'test replica task',
    },
  ],
})
