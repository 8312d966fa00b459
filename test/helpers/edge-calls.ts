import { setTimeout as sleep } from 'node:timers/promises'
import type { Api } from './api.ts'
import { taskOf } from './replication-calls.ts'

/** Where the centre would find the edge, if it could: nobody listens there. */
export const CLOSED_URL = 'http://127.0.0.1:1'
const POLL_MS = 10

/** Settings of an edge that is quick to come. */
export const edgeEnv = (
  centre: { readonly url: string; readonly user: string; readonly password: string },
  name: string,
) => ({
  ENTREPOT_EDGE_CENTRE_URL: centre.url,
  ENTREPOT_EDGE_NAME: name,
  ENTREPOT_EDGE_USER: centre.user,
  ENTREPOT_EDGE_PASSWORD: centre.password,
  ENTREPOT_EDGE_HEARTBEAT_MS: '50',
  ENTREPOT_EDGE_POLL_MS: '50',
})

/** @returns the id of the cluster. */
export async function registerEdge(api: Api, name: string, signal: AbortSignal): Promise<string> {
  const body = { name, url: CLOSED_URL, type: 'EDGE', detectType: 'REPORT', username: 'admin' }
  await api.call('POST', '/replication/api/cluster/create', body, signal)
  return (await edgeInfo(api, name, signal)).id
}

export interface EdgeInfo {
  readonly id: string
  readonly status: string
  readonly errorReason: string | null
  readonly detectType: string
  readonly lastReportTime: string | null
}
export const edgeInfo = (api: Api, name: string, signal: AbortSignal): Promise<EdgeInfo> =>
  api.call('GET', `/replication/api/cluster/info?name=${name}`, undefined, signal)

export interface PullTask {
  readonly key: string
  readonly status: string
  readonly lastExecutionStatus: string | null
  readonly executionTimes: number
  readonly replicatedBytes: number
  readonly remoteClusters: readonly { readonly name: string }[]
}
/** An EDGE_PULL task of one repository. @returns its key. */
export async function createPull(
  api: Api,
  name: string,
  repo: string,
  edges: readonly string[],
  signal: AbortSignal,
  setting: object = {},
): Promise<string> {
  const sample = taskOf(name, repo, [...edges])
  const body = { ...sample, replicaType: 'EDGE_PULL', setting: { ...sample.setting, ...setting } }
  return (await api.call<{ key: string }>('POST', '/replication/api/task/create', body, signal)).key
}
export const pullTask = (api: Api, key: string, signal: AbortSignal): Promise<PullTask> =>
  api.call('GET', `/replication/api/task/info/${key}`, undefined, signal)

/** Asks again until it holds. */
export async function until<T>(ask: () => Promise<T>, holds: (answer: T) => boolean, signal: AbortSignal): Promise<T> {
  for (;;) {
    const answer = await ask()
    if (holds(answer)) return answer
    await sleep(POLL_MS, undefined, { signal })
  }
}
