import { setTimeout as sleep } from 'node:timers/promises'
import type { Overview, RecordInfo } from '../../src/cli/run-progress.ts'
import type { Api, NodeRecord } from './api.ts'

// Calls of the public API that every end-to-end program needs, in the words of the contract (000 tasks, 002 records).

export interface Page<T> {
  readonly pageNumber: number
  readonly totalRecords: number
  readonly totalPages: number
  readonly records: readonly T[]
}
export interface Detail {
  readonly artifactName: string
  readonly remoteCluster: string
  readonly size: number
  readonly sha256: string
  readonly status: string
  readonly conflictStrategy: string | null
  readonly startTime: string
  readonly endTime: string | null
  readonly errorReason: string | null
}

const LARGEST_PAGE = 1_000
const TASKS = '/replication/api/task'

/** `repository`: `project/repo`. The project is created when it is missing. */
export async function createRepository(api: Api, repository: string, signal: AbortSignal): Promise<void> {
  const [projectId = '', name = ''] = repository.split('/')
  if (!(await api.call<boolean>('GET', `/repository/api/project/exist/${projectId}`, undefined, signal))) {
    const project = { name: projectId, displayName: projectId, description: 'Made for a demonstration' }
    await api.call('POST', '/repository/api/project/create', project, signal)
  }
  const body = { projectId, name, type: 'GENERIC', category: 'LOCAL', public: false, description: null }
  await api.call('POST', '/repository/api/repo/create', body, signal)
}

export interface ClusterAddress {
  readonly name: string
  readonly url: string
  readonly user: string
  readonly password: string
}

/** Registers another server at `api` and gives its id. */
export async function registerCluster(api: Api, cluster: ClusterAddress, signal: AbortSignal): Promise<string> {
  const body = {
    name: cluster.name,
    url: cluster.url,
    type: 'STANDALONE',
    username: cluster.user,
    password: cluster.password,
  }
  await api.call('POST', '/replication/api/cluster/create', body, signal)
  const path = `/replication/api/cluster/info?name=${encodeURIComponent(cluster.name)}`
  return (await api.call<{ id: string }>('GET', path, undefined, signal)).id
}

/** The sample of contract 000, field for field, for one repository of type GENERIC. */
export function taskOf(name: string, repository: string, clusterIds: readonly string[]) {
  const [projectId, repoName] = repository.split('/')
  return {
    name,
    localProjectId: projectId,
    replicaObjectType: 'REPOSITORY',
    replicaTaskObjects: [
      {
        localRepoName: repoName,
        remoteProjectId: projectId,
        remoteRepoName: repoName,
        repoType: 'GENERIC',
        packageConstraints: [],
        pathConstraints: [],
      },
    ],
    replicaType: 'SCHEDULED',
    setting: {
      rateLimit: 0,
      includeMetadata: true,
      conflictStrategy: 'SKIP',
      errorStrategy: 'CONTINUE',
      executionStrategy: 'IMMEDIATELY',
      executionPlan: { executeImmediately: true },
    },
    remoteClusterIds: clusterIds,
    enabled: true,
    description: 'test replica task',
  }
}

/** Creates the task and gives its key; its first run starts at once. */
export async function createTask(api: Api, task: ReturnType<typeof taskOf>, signal: AbortSignal): Promise<string> {
  return (await api.call<{ key: string }>('POST', `${TASKS}/create`, task, signal)).key
}

export async function executeTask(api: Api, key: string, signal: AbortSignal): Promise<void> {
  await api.call('POST', `${TASKS}/execute/${key}`, undefined, signal)
}

/** Newest first. */
export async function listRecords(api: Api, key: string, signal: AbortSignal): Promise<readonly RecordInfo[]> {
  return api.call('GET', `${TASKS}/record/list/${key}`, undefined, signal)
}

export interface Waiting {
  /** How many records the task has, once the run we wait for has begun. */
  readonly runs: number
  readonly pollMs: number
  onProgress?(record: RecordInfo): void
}

/** Waits for the end of run number `runs` of the task and gives its closed record. */
export async function waitForRun(api: Api, key: string, waiting: Waiting, signal: AbortSignal): Promise<RecordInfo> {
  let id: string | undefined
  for (;;) {
    if (id === undefined) {
      const records = await listRecords(api, key, signal)
      if (records.length >= waiting.runs) id = records[0]?.id
    }
    if (id !== undefined) {
      const { record } = await api.call<{ record: RecordInfo }>('GET', `${TASKS}/record/${id}`, undefined, signal)
      waiting.onProgress?.(record)
      if (record.status !== 'RUNNING') return record
    }
    await sleep(waiting.pollMs, undefined, { signal })
  }
}

export async function overviewOf(api: Api, recordId: string, signal: AbortSignal): Promise<Overview> {
  return api.call('GET', `${TASKS}/record/overview/${recordId}`, undefined, signal)
}

export async function detailsOf(
  api: Api,
  recordId: string,
  pageSize: number,
  signal: AbortSignal,
): Promise<Page<Detail>> {
  const path = `${TASKS}/record/detail/page/${recordId}?pageNumber=1&pageSize=${pageSize}`
  return api.call('GET', path, undefined, signal)
}

/** Every file of a repository, a page in memory at a time. */
export async function* listFiles(api: Api, repository: string, signal: AbortSignal): AsyncGenerator<NodeRecord> {
  const flags = 'deep=true&includeFolder=false&includeMetadata=true&sort=true'
  for (let pageNumber = 1; ; pageNumber++) {
    const path = `/repository/api/node/page/${repository}/?${flags}&pageNumber=${pageNumber}&pageSize=${LARGEST_PAGE}`
    const page = await api.call<Page<NodeRecord>>('GET', path, undefined, signal)
    yield* page.records
    if (pageNumber >= page.totalPages) return
  }
}

/** What users stored with a node, without what the system added. */
export function userMetadata(node: NodeRecord): Readonly<Record<string, unknown>> {
  if (node.nodeMetadata == null) return node.metadata ?? {}
  return Object.fromEntries(node.nodeMetadata.filter((entry) => !entry.system).map(({ key, value }) => [key, value]))
}
