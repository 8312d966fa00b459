import assert from 'node:assert/strict'
import { it } from 'node:test'
import { ApiError, connectApi } from '../helpers/api.ts'
import { eachDialect } from '../helpers/local-cluster.ts'
import { caughtUp, liveTask, openRecord, toggle, until } from '../helpers/real-time.ts'
import type { Page } from '../helpers/replication-calls.ts'
import { counts, type TaskChanges, twoClusters } from '../helpers/two-clusters.ts'

const TASKS = '/replication/api/task'
const FILES = { localRepoName: 'files', remoteProjectId: 'proj', remoteRepoName: 'files', repoType: 'GENERIC' }
const hasCode = (code: number) => (error: unknown) => error instanceof ApiError && error.code === code
const fieldsOf = (value: object) => Object.keys(value).sort()
const words = (text: string) => text.trim().split(/\s+/).sort()

interface LinkShown {
  readonly state: string
  readonly reason: string | null
  readonly downSince: string | null
}
interface Described {
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}
const METHODS = ['get', 'put', 'post', 'delete', 'patch']
/** Open to others: what they may do is decided by the repositories that they name. */
const NOT_OF_ADMINISTRATORS = ['/replication/api/task/edge/create']

eachDialect('the contract of replication', (dialect) => {
  it('cases 34 and 54: given paths and days to keep records, when a task is created, then normalised, or refused by their codes', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    const of = (path: string): TaskChanges => ({
      ...{ enabled: false, replicaObjectType: 'PATH' },
      replicaTaskObjects: [{ ...FILES, pathConstraints: [path] }] as never,
    })
    const key = await two.create(of('a//./x/../b/'))
    const { objects } = await two.a.api.call<{ objects: { pathConstraints: unknown }[] }>(
      'GET',
      `${TASKS}/detail/${key}`,
      undefined,
      t.signal,
    )
    assert.deepEqual(objects[0]!.pathConstraints, [{ path: '/a/b', pathRegex: null, deletedDate: null }])
    await assert.rejects(two.create(of(' ')), hasCode(250104))
    await assert.rejects(two.create(of('/x'.repeat(65))), hasCode(251011))
    for (const recordReserveDays of [0, 61]) {
      await assert.rejects(two.create({ recordReserveDays } as TaskChanges), hasCode(250105))
    }
  })

  it('case 51: given a user who is no administrator, when any documented call is made, then 403; without credentials 401', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    const { api, url } = two.a
    const someone = { userId: 'someone', name: 'someone', pwd: 'correct-horse-2' }
    await api.call('POST', '/auth/api/user/create', someone, t.signal)
    using reader = connectApi({ url, user: 'someone', password: someone.pwd })
    const described = (await (await fetch(`${url}/openapi.json`, { signal: t.signal })).json()) as Described
    const calls = Object.entries(described.paths)
      .filter(([path]) => /^\/replication\/(api\/(task|cluster|replica)|task)\//.test(path))
      .filter(([path]) => !NOT_OF_ADMINISTRATORS.includes(path))
      .flatMap(([path, methods]) =>
        METHODS.filter((method) => method in methods).map((method) => [method, path] as const),
      )
    assert.ok(calls.length > 50, `${calls.length} calls`)
    for (const [method, path] of calls) {
      const concrete = url + path.replace(/\{[^}]+\}/g, 'x')
      for (const [authorization, status, code] of [
        [reader.authorization, 403, 250113],
        [undefined, 401, 250114],
      ] as const) {
        const headers = authorization === undefined ? {} : { authorization }
        const answer = await fetch(concrete, { method: method.toUpperCase(), headers, signal: t.signal })
        const envelope = (await answer.json()) as { code: number }
        assert.deepEqual([answer.status, envelope.code], [status, code], `${method} ${path}`)
      }
    }
  })

  it('given the objects of a task as they are shown, when it is updated with them, then nothing changes', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    const { api } = two.a
    const pathConstraints = ['/a', { pathRegex: '/b/.*' }]
    const key = await two.create({ enabled: false, replicaTaskObjects: [{ ...FILES, pathConstraints }] as never })
    const detail = () =>
      api.call<{ task: { setting: object }; objects: object[] }>('GET', `${TASKS}/detail/${key}`, undefined, t.signal)
    const { task, objects } = await detail()
    assert.deepEqual(
      fieldsOf(objects[0]!),
      words('localRepoName remoteProjectId remoteRepoName repoType packageConstraints pathConstraints sourceFilter'),
    )
    const update = { key, name: 'task 1', localProjectId: 'proj', replicaObjectType: 'REPOSITORY' }
    const rest = { replicaTaskObjects: objects, remoteClusterIds: [two.clusterId], setting: task.setting }
    await api.call('POST', `${TASKS}/update`, { ...update, ...rest }, t.signal)
    const after = await detail()
    assert.deepEqual([after.task.setting, after.objects], [task.setting, objects])
  })

  it('given what waits to be tried again, when it is listed, then failures and events have all their fields', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    const { api } = two.a
    const list = async (what: string) =>
      (await api.call<Page<object>>('GET', `/replication/api/replica/${what}/page`, undefined, t.signal)).records
    const key = await liveTask(two, {}, t.signal)
    two.line.script(({ method, path }) =>
      method === 'PUT' && path.includes('/blobs/') ? { answer: 503, headers: { 'retry-after': '0' } } : undefined,
    )
    await two.put(two.a, '/x', Buffer.alloc(100_000, 1))
    await until(async () => (await list('failure')).length === 1, t.signal)
    const [failure] = await list('failure')
    const [event] = await list('event')
    const names = 'id taskKey retryCount retrying createdDate lastModifiedDate'
    for (const name of words(`${names} remoteClusterId projectId repoName remoteProjectId remoteRepoName failureType
      packageConstraint pathConstraint failureReason`)) {
      assert.ok(name in failure!, `failure.${name}`)
    }
    for (const name of words(`${names} messageId eventType event taskCompleted taskSucceeded`)) {
      assert.ok(name in event!, `event.${name}`)
    }
    assert.partialDeepStrictEqual(event, {
      taskKey: key,
      eventType: 'NORMAL',
      taskCompleted: true,
      taskSucceeded: false,
    })
    assert.partialDeepStrictEqual(failure, { taskKey: key, failureType: 'PATH', projectId: 'proj', repoName: 'files' })
  })

  it('given a REAL_TIME task, when its target goes away and comes back, then its open record says so', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    const key = await liveTask(two, {}, t.signal)
    const { id } = await openRecord(two.a, key, t.signal)
    const link = async () => {
      const { links } = await two.a.api.call<{ links: LinkShown[] }>(
        'GET',
        `${TASKS}/record/${id}`,
        undefined,
        t.signal,
      )
      return links[0]!
    }
    assert.partialDeepStrictEqual(await link(), { state: 'LIVE', reason: null, downSince: null })
    two.line.script(() => ({ cutAfterBytes: 0 }))
    await two.put(two.a, '/x', 'x')
    await until(async () => (await link()).state === 'RETRY', t.signal)
    const { reason, downSince } = await link()
    assert.ok(reason !== null && downSince !== null)
    two.line.script(() => undefined)
    await caughtUp(two.a, key, t.signal)
    assert.partialDeepStrictEqual(await link(), { state: 'LIVE', reason: null, downSince: null })
    await toggle(two.a, key, t.signal)
    assert.equal((await link()).state, 'DONE')
  })

  it('given a run of a task that was switched off, when its cluster is deleted, then the run ends and says so', async (t) => {
    await using two = await twoClusters(dialect, t.signal, { ENTREPOT_REPLICATION_BATCH_FILES: '1' })
    for (let n = 0; n < 5; n++) await two.put(two.a, `/${n}`, `content ${n}`)
    const held = two.line.hold(({ path }) => path.includes('/open'))
    const key = await two.create()
    await held.reached
    await assert.rejects(
      two.a.api.call('DELETE', `/replication/api/cluster/delete/${two.clusterId}`, undefined, t.signal),
      hasCode(250105),
    )
    await two.a.api.call('POST', `${TASKS}/toggle/status/${key}`, undefined, t.signal)
    await two.a.api.call('DELETE', `/replication/api/cluster/delete/${two.clusterId}`, undefined, t.signal)
    two.line.script(() => ({ cutAfterBytes: 0 }))
    held.release()
    const run = await two.ended(key, 1)
    assert.equal(run.record.status, 'FAILED', counts(run))
    assert.match(run.record.errorReason ?? '', /removed|not found/)
    const toggled = two.a.api.call('POST', `${TASKS}/toggle/status/${key}`, undefined, t.signal)
    await assert.rejects(toggled, hasCode(250306))
  })
})
