import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Overview, RecordInfo } from '../../src/cli/run-progress.ts'
import type { LocalCluster } from './local-cluster.ts'
import type { TaskChanges, TwoClusters } from './two-clusters.ts'

const POLL_MS = 5

/** Waits until it holds, without a say in how long that takes. */
export async function until(holds: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
  while (!(await holds())) {
    signal.throwIfAborted()
    await sleep(POLL_MS)
  }
}

export interface LinkLag {
  readonly remoteCluster: string
  readonly localRepoName: string
  readonly state: string
  readonly lagSeconds: number | null
  readonly changesBehind: number | null
  readonly lastError: string | null
}
export const lagsOf = ({ api }: LocalCluster, key: string, signal: AbortSignal): Promise<LinkLag[]> =>
  api.call('GET', `/replication/api/task/lag/${key}`, undefined, signal)

export const recordsOf = (
  { api }: Pick<LocalCluster, 'api'>,
  key: string,
  signal: AbortSignal,
): Promise<RecordInfo[]> => api.call('GET', `/replication/api/task/record/list/${key}`, undefined, signal)

export type FullOverview = Overview & { readonly fileSuccess: number; readonly fileFailed: number }
export const overviewOf = ({ api }: LocalCluster, recordId: string, signal: AbortSignal): Promise<FullOverview> =>
  api.call('GET', `/replication/api/task/record/overview/${recordId}`, undefined, signal)

export interface TaskInfo {
  readonly status: string
  readonly lastExecutionStatus: string | null
  readonly executionTimes: number
  readonly enabled: boolean
}
export const infoOf = ({ api }: LocalCluster, key: string, signal: AbortSignal): Promise<TaskInfo> =>
  api.call('GET', `/replication/api/task/info/${key}`, undefined, signal)

export const toggle = async ({ api }: LocalCluster, key: string, signal: AbortSignal): Promise<void> => {
  await api.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, signal)
}

/** All links follow, and nothing waits. */
export async function caughtUp(where: LocalCluster, key: string, signal: AbortSignal): Promise<void> {
  const isDone = ({ state, changesBehind }: LinkLag) => state === 'LIVE' && changesBehind === 0
  await until(async () => {
    const lags = await lagsOf(where, key, signal)
    return lags.length > 0 && lags.every(isDone)
  }, signal)
}

export const REAL_TIME: TaskChanges = { replicaType: 'REAL_TIME' }

/** A REAL_TIME task from A to B, live. */
export async function liveTask(clusters: TwoClusters, changes: TaskChanges, signal: AbortSignal): Promise<string> {
  const key = await clusters.create({ ...REAL_TIME, ...changes })
  await caughtUp(clusters.a, key, signal)
  return key
}

/** The open record of a task. */
export async function openRecord(where: LocalCluster, key: string, signal: AbortSignal): Promise<RecordInfo> {
  const open = (await recordsOf(where, key, signal)).filter(({ status }) => status === 'RUNNING')
  assert.equal(open.length, 1, 'one open record')
  return open[0]!
}
