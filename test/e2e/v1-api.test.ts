import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { it } from 'node:test'
import type { Api, ApiError } from '../helpers/api.ts'
import { eachDialect, type LocalCluster, startCluster, type TestDialect } from '../helpers/local-cluster.ts'
import { until } from '../helpers/real-time.ts'
import { createRepository, executeTask, waitForRun } from '../helpers/replication-calls.ts'

const PATH = '/replication/task'

interface V1Task {
  readonly key: string
  readonly type: string
  readonly status: string
  readonly localProjectId: string | null
  readonly setting: { readonly remoteClusterInfo: Readonly<Record<string, unknown>> }
}
interface V1Log {
  readonly status: string
  readonly replicationProgress: Readonly<Record<string, number>>
  readonly endTime: string | null
}

/** A source and a target without tasks, clusters or repositories. */
async function pair(dialect: TestDialect) {
  const a = await startCluster({ name: 'alpha', dialect })
  const b = await startCluster({ name: 'beta', dialect })
  const remote = { url: `${b.url}/replication`, username: 'admin', password: b.password }
  return {
    ...{ a, b, remote },
    async [Symbol.asyncDispose]() {
      await a[Symbol.asyncDispose]()
      await b[Symbol.asyncDispose]()
    },
  }
}
/** The sample of contract 003, with another address and login. */
const sample = (remote: object, changes: object = {}, setting: object = {}) => ({
  type: 'INCREMENTAL',
  includeAllProject: false,
  localProjectId: 'ops',
  localRepoName: 'test',
  remoteProjectId: 'ops',
  remoteRepoName: 'test',
  setting: {
    includeMetadata: true,
    includePermission: true,
    conflictStrategy: 'SKIP',
    remoteClusterInfo: remote,
    executionPlan: { executeImmediately: true },
    ...setting,
  },
  ...changes,
})
const create = (api: Api, body: object, signal: AbortSignal) => api.call<null>('POST', `${PATH}/create`, body, signal)
const list = (api: Api, signal: AbortSignal) => api.call<V1Task[]>('GET', `${PATH}/list`, undefined, signal)
const latest = (api: Api, key: string, signal: AbortSignal) =>
  api.call<V1Log | null>('GET', `${PATH}/log/latest/${key}`, undefined, signal)
const refused = (code: number) => (error: unknown) => (error as ApiError).code === code
const put = ({ api }: LocalCluster, repository: string, path: string, text: string, signal: AbortSignal) =>
  api.upload(repository, path, Buffer.from(text), {}, signal)
async function text({ api }: LocalCluster, repository: string, path: string, signal: AbortSignal) {
  try {
    return (await buffer(await api.download(repository, path, signal))).toString()
  } catch {
    return undefined
  }
}

eachDialect('the older API (contract 003)', (dialect) => {
  it('case 57: given connect/test by GET with body, GET with query and POST, when called, then all say the same', async (t) => {
    await using two = await pair(dialect)
    const ways = [
      (given: Readonly<Record<string, string>>) => two.a.api.call('GET', `${PATH}/connect/test`, given, t.signal),
      (given: Readonly<Record<string, string>>) =>
        two.a.api.call('GET', `${PATH}/connect/test?${new URLSearchParams(given)}`, undefined, t.signal),
      (given: Readonly<Record<string, string>>) => two.a.api.call('POST', `${PATH}/connect/test`, given, t.signal),
    ]
    for (const way of ways) {
      assert.equal(await way(two.remote), null)
      await assert.rejects(way({ ...two.remote, password: 'wrong-password' }), refused(250301))
      await assert.rejects(way({ username: 'admin' }), refused(250103))
      await assert.rejects(way({ url: 'http://169.254.169.254/replication' }), refused(250105))
    }
  })

  it('given the samples of the contract, when posted, then an incremental task runs, and lists, details and logs tell of it', async (t) => {
    await using two = await pair(dialect)
    const { a, b } = two
    await createRepository(a.api, 'ops/test', t.signal)
    await put(a, 'ops/test', '/before.txt', 'before', t.signal)
    assert.equal(await create(a.api, sample(two.remote), t.signal), null)
    await until(async () => (await text(b, 'ops/test', '/before.txt', t.signal)) === 'before', t.signal)
    await put(a, 'ops/test', '/after.txt', 'after', t.signal)
    await until(async () => (await text(b, 'ops/test', '/after.txt', t.signal)) === 'after', t.signal)

    const [task, ...more] = await list(a.api, t.signal)
    assert.deepEqual(more, [])
    const { key } = task!
    assert.deepEqual([task!.type, task!.status, task!.localProjectId], ['INCREMENTAL', 'REPLICATING', 'ops'])
    const { url, username, password } = task!.setting.remoteClusterInfo
    assert.deepEqual([url, username, password], [two.remote.url, 'admin', '******'])
    assert.deepEqual(await a.api.call('GET', `${PATH}/detail/${key}`, undefined, t.signal), task)
    assert.equal(await a.api.call('GET', `${PATH}/detail/none`, undefined, t.signal), null)
    // A file is there a moment before the source counts it.
    const counted = async () => (await latest(a.api, key, t.signal))!.replicationProgress.successNode === 2
    await until(counted, t.signal)
    const log = await latest(a.api, key, t.signal)
    assert.deepEqual([log!.status, log!.endTime], ['REPLICATING', null])
    assert.deepEqual(await a.api.call('GET', `${PATH}/log/list/${key}`, undefined, t.signal), [log])

    await a.api.call('POST', `${PATH}/interrupt/${key}`, undefined, t.signal)
    assert.equal((await list(a.api, t.signal))[0]!.status, 'INTERRUPTED')
    assert.equal((await latest(a.api, key, t.signal))!.status, 'INTERRUPTED')
    await assert.rejects(a.api.call('POST', `${PATH}/interrupt/${key}`, undefined, t.signal), refused(250303))
    await a.api.call('DELETE', `${PATH}/delete/${key}`, undefined, t.signal)
    await assert.rejects(a.api.call('DELETE', `${PATH}/delete/${key}`, undefined, t.signal), refused(250108))
    assert.deepEqual(await list(a.api, t.signal), [])
  })

  it('given a full task of a whole project, when it runs again after a repository was made, then that one is copied too', async (t) => {
    await using two = await pair(dialect)
    const { a, b } = two
    await createRepository(a.api, 'ops/test', t.signal)
    await put(a, 'ops/test', '/1', 'one', t.signal)
    const changes = { type: 'FULL', localRepoName: null, remoteProjectId: 'mirror', remoteRepoName: null }
    await create(a.api, sample(two.remote, changes, { includePermission: false }), t.signal)
    const { key } = (await list(a.api, t.signal))[0]!
    await waitForRun(a.api, key, { runs: 1, pollMs: 10 }, t.signal)
    assert.equal(await text(b, 'mirror/test', '/1', t.signal), 'one')
    assert.equal((await list(a.api, t.signal))[0]!.status, 'SUCCESS')

    await createRepository(a.api, 'ops/later', t.signal)
    await put(a, 'ops/later', '/2', 'two', t.signal)
    await executeTask(a.api, key, t.signal)
    await waitForRun(a.api, key, { runs: 2, pollMs: 10 }, t.signal)
    assert.equal(await text(b, 'mirror/later', '/2', t.signal), 'two')
    const { status, replicationProgress } = (await latest(a.api, key, t.signal))!
    assert.equal(status, 'SUCCESS')
    assert.deepEqual(
      [replicationProgress.totalProject, replicationProgress.totalRepo, replicationProgress.successRepo],
      [1, 2, 2],
    )
    assert.equal(replicationProgress.successNode, 2)
    await assert.rejects(a.api.call('POST', `${PATH}/interrupt/${key}`, undefined, t.signal), refused(250303))
    const update = { key, name: 'other', localProjectId: 'ops', replicaTaskObjects: [{ localRepoName: 'test' }] }
    const clusters = await a.api.call<{ id: string; url: string }[]>(
      'GET',
      '/replication/api/cluster/list',
      undefined,
      t.signal,
    )
    const body = { ...update, remoteClusterIds: clusters.map(({ id }) => id) }
    await assert.rejects(a.api.call('POST', '/replication/api/task/update', body, t.signal), refused(250308))
  })

  it('given a project without repositories, when its task runs, then it succeeds; later VIRTUAL ones are left out, and a copy has the set', async (t) => {
    await using two = await pair(dialect)
    const { a, b } = two
    const project = { name: 'ops', displayName: 'ops', description: '' }
    await a.api.call('POST', '/repository/api/project/create', project, t.signal)
    const changes = { type: 'FULL', localRepoName: null, remoteRepoName: null }
    await create(a.api, sample(two.remote, changes, { includePermission: false }), t.signal)
    const { key } = (await list(a.api, t.signal))[0]!
    assert.equal((await waitForRun(a.api, key, { runs: 1, pollMs: 10 }, t.signal)).status, 'SUCCESS')

    await createRepository(a.api, 'ops/test', t.signal)
    await put(a, 'ops/test', '/1', 'one', t.signal)
    const virtual = { type: 'virtual', repositoryList: [{ projectId: 'ops', name: 'test' }], settings: {} }
    const body = { projectId: 'ops', name: 'all', type: 'GENERIC', category: 'VIRTUAL', configuration: virtual }
    await a.api.call('POST', '/repository/api/repo/create', body, t.signal)
    await a.api.call('POST', '/replication/api/task/copy', { key, name: 'a copy' }, t.signal)
    const tasks = await a.api.call<{ records: { key: string; name: string }[] }>(
      'GET',
      '/replication/api/task/page/ops',
      undefined,
      t.signal,
    )
    const copy = tasks.records.find(({ name }) => name === 'a copy')!
    await a.api.call('POST', `/replication/api/task/toggle/status/${copy.key}`, undefined, t.signal)
    assert.equal((await waitForRun(a.api, copy.key, { runs: 1, pollMs: 10 }, t.signal)).status, 'SUCCESS')
    assert.equal(await text(b, 'ops/test', '/1', t.signal), 'one')
    const detail = await a.api.call<{ objects: { localRepoName: string }[] }>(
      'GET',
      `/replication/api/task/detail/${copy.key}`,
      undefined,
      t.signal,
    )
    assert.deepEqual(
      detail.objects.map(({ localRepoName }) => localRepoName),
      ['test'],
    )
    assert.equal((await list(a.api, t.signal)).length, 1, 'a copy is a task of the current API')
  })

  it('case 58: given an incremental task of all projects, when a project, a repository and a file are made, then the file arrives', async (t) => {
    await using two = await pair(dialect)
    const { a, b } = two
    await createRepository(a.api, 'ops/test', t.signal)
    await put(a, 'ops/test', '/1', 'one', t.signal)
    await create(a.api, sample(two.remote, { includeAllProject: true }, { includePermission: false }), t.signal)
    await until(async () => (await text(b, 'ops/test', '/1', t.signal)) === 'one', t.signal)
    const [task] = await list(a.api, t.signal)
    assert.equal(task!.localProjectId, null)

    await createRepository(a.api, 'newcomer/files', t.signal)
    await put(a, 'newcomer/files', '/2', 'two', t.signal)
    await until(async () => (await text(b, 'newcomer/files', '/2', t.signal)) === 'two', t.signal)
    // Of the same name in another project, and followed from there on.
    await createRepository(a.api, 'newcomer/test', t.signal)
    await put(a, 'newcomer/test', '/1', 'other', t.signal)
    await until(async () => (await text(b, 'newcomer/test', '/1', t.signal)) === 'other', t.signal)
    await put(a, 'newcomer/test', '/3', 'three', t.signal)
    await until(async () => (await text(b, 'newcomer/test', '/3', t.signal)) === 'three', t.signal)
    assert.equal(await text(b, 'ops/test', '/3', t.signal), undefined)
    const log = await a.api.call<V1Log[]>('GET', `${PATH}/log/list/${task!.key}`, undefined, t.signal)
    assert.equal(log.length, 1)
  })

  it('given wrong requests, when posted, then the code says what is wrong and nothing is stored', async (t) => {
    await using two = await pair(dialect)
    const { api } = two.a
    await createRepository(api, 'ops/test', t.signal)
    const full = { type: 'FULL' }
    const later = (plan: object) => sample(two.remote, full, { executionPlan: { executeImmediately: false, ...plan } })
    const cases: readonly (readonly [object, number])[] = [
      [{}, 250103],
      [sample(two.remote, { localProjectId: null }), 250103],
      [sample(two.remote, { setting: null }), 250103],
      [sample(two.remote, {}, { remoteClusterInfo: null }), 250103],
      [sample({ username: 'admin' }), 250103],
      [sample({ ...two.remote, url: 'ftp://x' }), 250105],
      [sample({ ...two.remote, password: 'wrong-password' }), 250301],
      [sample({ ...two.remote, url: 'http://127.0.0.1:1/replication' }), 250301],
      [sample(two.remote, { type: 'OTHER' }), 250106],
      [sample(two.remote, { localProjectId: 'nowhere' }), 251004],
      [sample(two.remote, { localRepoName: 'nothing' }), 251006],
      [sample(two.remote, { localRepoName: null }), 250105],
      [sample({ ...two.remote, url: two.a.url, password: two.a.password }), 250105],
      [later({}), 250103],
      [later({ cronExpression: 'every day' }), 250105],
      [later({ executeTime: '2001-01-01T00:00:00' }), 250105],
    ]
    for (const [body, code] of cases) {
      await assert.rejects(create(api, body, t.signal), refused(code), JSON.stringify([body, code]))
    }
    assert.deepEqual(await list(api, t.signal), [])
    await create(api, later({ cronExpression: '0 0 3 * * ?' }), t.signal)
    assert.deepEqual(
      (await list(api, t.signal)).map(({ status }) => status),
      ['WAITING'],
    )
  })

  it('given several tasks to one address, when created, then they share a cluster, and a new password takes the place of the old', async (t) => {
    await using two = await pair(dialect)
    const { api } = two.a
    await createRepository(api, 'ops/test', t.signal)
    const full = { type: 'FULL' }
    const quiet = { includePermission: false }
    await create(api, sample(two.remote, full, quiet), t.signal)
    await create(api, sample({ ...two.remote, url: `${two.b.url}/` }, full, quiet), t.signal)
    const clusters = () => api.call<{ name: string }[]>('GET', '/replication/api/cluster/list', undefined, t.signal)
    assert.equal((await clusters()).length, 1)

    const password = `new-${createHash('sha256').update('password').digest('hex').slice(0, 12)}`
    await two.b.api.call('PUT', '/auth/api/user/update/info/admin', { pwd: password }, t.signal)
    const unseen = { ...full, validateConnectivity: false }
    await assert.rejects(create(api, sample({ ...two.remote, password }, unseen, quiet), t.signal), refused(250105))
    await create(api, sample({ ...two.remote, password }, full, quiet), t.signal)
    assert.equal((await clusters()).length, 1)
    await create(api, sample({ ...two.remote, username: 'other' }, unseen, quiet), t.signal)
    assert.equal((await clusters()).length, 2)
  })
})
