import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { it } from 'node:test'
import { connectApi } from '../helpers/api.ts'
import { createPull, edgeEnv, edgeInfo, pullTask, registerEdge, until } from '../helpers/edge-calls.ts'
import { eachDialect, type LocalCluster, startCluster } from '../helpers/local-cluster.ts'
import { createRepository, detailsOf, listFiles, taskOf, waitForRun } from '../helpers/replication-calls.ts'
import { tcpProxy } from '../helpers/tcp-proxy.ts'
import { TEST_CERTIFICATE, tlsProxy } from '../helpers/tls-proxy.ts'
import { sha256 } from '../helpers/two-clusters.ts'

const REPO = 'proj/files'
const KIB = 1024
const MIB = 1024 * KIB
/** Inline in a stream, in a request of its own, in parts. */
const FILES = new Map([
  ['/empty', Buffer.alloc(0)],
  ['/small.txt', Buffer.from('small')],
  ['/one/request.bin', Buffer.alloc(300 * KIB, 'r')],
  ['/in/parts.bin', Buffer.alloc(5 * MIB, 'p')],
])

const LARGE = randomBytes(16 * MIB)

eachDialect('edge pull', (dialect) => {
  it('given an edge that its centre cannot connect to, when it polls, then what waits for it arrives, with the records of any run', async (t) => {
    await using centre = await startCluster({ name: 'centre', dialect })
    const env = edgeEnv({ url: centre.url, user: 'admin', password: centre.password }, 'shop')
    await createRepository(centre.api, REPO, t.signal)
    for (const [path, content] of FILES) await centre.api.upload(REPO, path, content, {}, t.signal)
    await registerEdge(centre.api, 'shop', t.signal)
    const key = await createPull(centre.api, 'to the shop', REPO, ['shop'], t.signal)
    const waiting = await pullTask(centre.api, key, t.signal)
    assert.deepEqual([waiting.status, waiting.lastExecutionStatus, waiting.executionTimes], ['WAITING', null, 0])

    await using edge = await startCluster({ name: 'my shop', dialect, env })
    const done = await until(
      () => pullTask(centre.api, key, t.signal),
      ({ status }) => status === 'COMPLETED',
      t.signal,
    )
    assert.deepEqual([done.lastExecutionStatus, done.remoteClusters, done.executionTimes], ['SUCCESS', [], 1])
    assert.deepEqual(await hashes(edge, t.signal), expected())
    const record = await waitForRun(centre.api, key, { runs: 1, pollMs: 10 }, t.signal)
    const details = await detailsOf(centre.api, record.id, 100, t.signal)
    assert.deepEqual([record.status, record.errorReason, details.totalRecords], ['SUCCESS', null, FILES.size])
    const info = await edgeInfo(centre.api, 'shop', t.signal)
    assert.deepEqual([info.status, info.errorReason, info.detectType], ['HEALTHY', null, 'REPORT'])
    assert.match(info.lastReportTime ?? '', /^\d{4}-/)
  })

  it('given a line that breaks again and again, when an edge pulls, then the run goes on where it was, as one run', async (t) => {
    await using centre = await startCluster({ name: 'centre', dialect })
    await using line = await tcpProxy(centre.url)
    await createRepository(centre.api, REPO, t.signal)
    for (const [path, content] of FILES) await centre.api.upload(REPO, path, content, {}, t.signal)
    await centre.api.upload(REPO, '/large.bin', LARGE, {}, t.signal)
    await registerEdge(centre.api, 'shop', t.signal)
    const key = await createPull(centre.api, 'to the shop', REPO, ['shop'], t.signal)
    const env = edgeEnv({ url: line.url, user: 'admin', password: centre.password }, 'shop')
    await using edge = await startCluster({ name: 'my shop', dialect, env })
    for (const bytes of [2, 6, 11]) {
      await until(
        async () => line.fromServer(),
        (passed) => passed > bytes * MIB,
        t.signal,
      )
      assert.ok(line.cut() > 0)
    }
    const done = await until(
      () => pullTask(centre.api, key, t.signal),
      ({ status }) => status === 'COMPLETED',
      t.signal,
    )
    assert.deepEqual([done.lastExecutionStatus, done.remoteClusters, done.executionTimes], ['SUCCESS', [], 1])
    assert.deepEqual(await hashes(edge, t.signal), expected([['/large.bin', LARGE]]))
    const record = await waitForRun(centre.api, key, { runs: 1, pollMs: 10 }, t.signal)
    const details = await detailsOf(centre.api, record.id, 100, t.signal)
    assert.deepEqual([record.status, record.errorReason, details.totalRecords], ['SUCCESS', null, FILES.size + 1])
  })

  it('given two edges of which one is away, when they pull, then each is done when it has everything', async (t) => {
    await using centre = await startCluster({ name: 'centre', dialect })
    await createRepository(centre.api, REPO, t.signal)
    for (const [path, content] of FILES) await centre.api.upload(REPO, path, content, {}, t.signal)
    await registerEdge(centre.api, 'north', t.signal)
    await registerEdge(centre.api, 'south', t.signal)
    const key = await createPull(centre.api, 'to all', REPO, [], t.signal)
    const own = { url: centre.url, user: 'admin', password: centre.password }
    const left = () => pullTask(centre.api, key, t.signal)
    await using north = await startCluster({ name: 'north', dialect, env: edgeEnv(own, 'north') })
    const isHalf = (task: Awaited<ReturnType<typeof left>>) =>
      task.remoteClusters.length === 1 && task.status === 'WAITING'
    const half = await until(left, isHalf, t.signal)
    assert.deepEqual([half.status, half.remoteClusters[0]?.name, half.executionTimes], ['WAITING', 'south', 1])
    await using south = await startCluster({ name: 'south', dialect, env: edgeEnv(own, 'south') })
    const done = await until(left, ({ status }) => status === 'COMPLETED', t.signal)
    assert.deepEqual([done.remoteClusters, done.executionTimes], [[], 2])
    for (const edge of [north, south]) assert.deepEqual(await hashes(edge, t.signal), expected())
  })

  it('given a centre behind TLS, when an edge trusts its certificate, then it pulls; without that it says what is wrong', async (t) => {
    await using centre = await startCluster({ name: 'centre', dialect })
    await using secure = await tlsProxy(centre.url)
    await createRepository(centre.api, REPO, t.signal)
    for (const [path, content] of FILES) await centre.api.upload(REPO, path, content, {}, t.signal)
    await registerEdge(centre.api, 'shop', t.signal)
    const key = await createPull(centre.api, 'to the shop', REPO, ['shop'], t.signal)
    const env = edgeEnv({ url: secure.url, user: 'admin', password: centre.password }, 'shop')
    {
      await using wary = await startCluster({ name: 'my shop', dialect, env })
      const status = () =>
        wary.api.call<{ errorReason: string | null }>('GET', '/replication/api/edge/status', undefined, t.signal)
      const { errorReason } = await until(status, (now) => now.errorReason !== null, t.signal)
      assert.match(errorReason ?? '', /TLS with .* failed: self.signed certificate/)
    }
    const trusting = { ...env, ENTREPOT_EDGE_CERTIFICATE: TEST_CERTIFICATE }
    await using edge = await startCluster({ name: 'my shop', dialect, env: trusting })
    await until(
      () => pullTask(centre.api, key, t.signal),
      ({ status }) => status === 'COMPLETED',
      t.signal,
    )
    assert.deepEqual(await hashes(edge, t.signal), expected())
  })

  it('given a pull that fails, when the edge polls on, then it is tried 4 times in all, and again when the edge asks for it', async (t) => {
    await using centre = await startCluster({ name: 'centre', dialect })
    await createRepository(centre.api, REPO, t.signal)
    await centre.api.upload(REPO, '/small.txt', Buffer.from('ours'), {}, t.signal)
    await registerEdge(centre.api, 'shop', t.signal)
    const env = edgeEnv({ url: centre.url, user: 'admin', password: centre.password }, 'shop')
    await using edge = await startCluster({ name: 'my shop', dialect, env })
    await createRepository(edge.api, REPO, t.signal)
    await edge.api.upload(REPO, '/small.txt', Buffer.from('theirs'), {}, t.signal)
    const sample = taskOf('strict', REPO, ['shop'])
    const setting = { ...sample.setting, conflictStrategy: 'FAST_FAIL' }
    const body = { ...sample, replicaType: 'EDGE_PULL', setting }
    const { key } = await centre.api.call<{ key: string }>('POST', '/replication/api/task/create', body, t.signal)
    const task = () => pullTask(centre.api, key, t.signal)
    const hasEnded = ({ lastExecutionStatus }: { lastExecutionStatus: string | null }) =>
      lastExecutionStatus === 'FAILED'
    await until(task, (now) => now.executionTimes === 4 && hasEnded(now), t.signal)
    const status = () =>
      edge.api.call<{ lastPullTime: string }>('GET', '/replication/api/edge/status', undefined, t.signal)
    const { lastPullTime } = await status()
    await until(status, (now) => now.lastPullTime > lastPullTime, t.signal)
    const given = await task()
    assert.deepEqual([given.executionTimes, given.status, given.remoteClusters.length], [4, 'WAITING', 1])

    await edge.api.call('DELETE', `/repository/api/node/delete/${REPO}/small.txt`, undefined, t.signal)
    const pulled = await edge.api.call<{ key: string; state: string }[]>(
      'POST',
      `/replication/api/edge/pull?key=${key}`,
      undefined,
      t.signal,
    )
    assert.deepEqual(
      pulled.map(({ key, state }) => [key, state]),
      [[key, 'STARTED']],
    )
    await until(task, (now) => now.status === 'COMPLETED', t.signal)
    await assert.rejects(edge.api.call('POST', `/replication/api/task/execute/${key}`, undefined, t.signal), /250310/)
  })

  it('given a reader of a repository, when he has an edge pull it, then he may; whoever may not read it may not', async (t) => {
    await using centre = await startCluster({ name: 'centre', dialect })
    await createRepository(centre.api, REPO, t.signal)
    await centre.api.upload(REPO, '/small.txt', Buffer.from('small'), {}, t.signal)
    await registerEdge(centre.api, 'shop', t.signal)
    const [projectId, repo] = REPO.split('/')
    const create = async (name: string, user: string, password: string, place: object = {}) => {
      using api = connectApi({ url: centre.url, user, password })
      const { replicaType: _none, ...task } = taskOf(name, REPO, [])
      const body = { ...task, replicaTaskObjects: [{ localRepoName: repo, ...place }] }
      return await api.call('POST', '/replication/api/task/edge/create', body, t.signal)
    }
    await centre.api.call(
      'POST',
      '/auth/api/user/create',
      { userId: 'reader', name: 'r', pwd: 'reader-password' },
      t.signal,
    )
    await assert.rejects(create('mine', 'reader', 'reader-password'), /250113/)
    const permission = { resourceType: 'REPO', permName: 'readers', projectId, repos: [repo] }
    const mayRead = { ...permission, users: ['reader'], actions: ['READ'] }
    await centre.api.call('POST', '/auth/api/permission/create', mayRead, t.signal)
    const elsewhere = create('over others', 'reader', 'reader-password', { remoteRepoName: 'others' })
    await assert.rejects(elsewhere, /250105.*remoteRepoName/)
    assert.equal(await create('mine', 'reader', 'reader-password'), null)
    assert.equal(await create('of the admin', 'admin', centre.password), null)
    const env = edgeEnv({ url: centre.url, user: 'admin', password: centre.password }, 'shop')
    await using edge = await startCluster({ name: 'my shop', dialect, env })
    await until(
      () => hashes(edge, t.signal).catch(() => new Map()),
      (found) => found.size === 1,
      t.signal,
    )
  })

  it('given an edge that is there, when tasks of other kinds have it as target, then they reach it the same way', async (t) => {
    await using centre = await startCluster({ name: 'centre', dialect })
    await createRepository(centre.api, REPO, t.signal)
    for (const [path, content] of FILES) await centre.api.upload(REPO, path, content, {}, t.signal)
    await registerEdge(centre.api, 'shop', t.signal)
    const body = taskOf('push', REPO, ['shop'])
    const create = () => centre.api.call<{ key: string }>('POST', '/replication/api/task/create', body, t.signal)
    await assert.rejects(create(), /250301.*has not reported/)
    const env = edgeEnv({ url: centre.url, user: 'admin', password: centre.password }, 'shop')
    await using edge = await startCluster({ name: 'my shop', dialect, env })
    await until(
      () => edgeInfo(centre.api, 'shop', t.signal),
      ({ status }) => status === 'HEALTHY',
      t.signal,
    )
    const { key } = await create()
    const record = await waitForRun(centre.api, key, { runs: 1, pollMs: 10 }, t.signal)
    assert.deepEqual([record.status, await hashes(edge, t.signal)], ['SUCCESS', expected()])
  })
})

async function hashes(edge: LocalCluster, signal: AbortSignal): Promise<Map<string, string | null | undefined>> {
  const found = new Map<string, string | null | undefined>()
  for await (const node of listFiles(edge.api, REPO, signal)) found.set(node.fullPath, node.sha256)
  return found
}
const expected = (more: readonly (readonly [string, Buffer])[] = []) =>
  new Map([...FILES, ...more].map(([path, content]) => [path, sha256(content)] as const).sort())
