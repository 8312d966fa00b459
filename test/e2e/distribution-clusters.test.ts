import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { RecordInfo } from '../../src/cli/run-progress.ts'
import { type Api, type ApiError, connectApi } from '../helpers/api.ts'
import { DISTRIBUTION, SCHEDULED, sampleOf } from '../helpers/distributions.ts'
import { eachDialect, startCluster, type TestDialect } from '../helpers/local-cluster.ts'
import { until } from '../helpers/real-time.ts'
import { createRepository, registerCluster } from '../helpers/replication-calls.ts'

const REPO = 'proj/files'

/** A cluster with a repository, another one, and the words of contract 001. */
async function pair(dialect: TestDialect) {
  const a = await startCluster({ name: 'alpha', dialect })
  const b = await startCluster({ name: 'beta', dialect })
  const setUp = AbortSignal.timeout(30_000)
  await createRepository(a.api, REPO, setUp)
  await createRepository(b.api, 'proj/mirror', setUp)
  const address = { name: 'beta', url: b.url, user: 'admin', password: b.password }
  const clusterId = await registerCluster(a.api, address, setUp)
  const target = { clusterId, remoteProjectId: 'proj', remoteRepoName: 'mirror' }
  const call = <T = null>(method: string, path: string, body?: unknown, api: Api = a.api): Promise<T> =>
    api.call<T>(method, `${DISTRIBUTION}/${path}`, body, AbortSignal.timeout(20_000))
  return {
    ...{ a, b, target, call },
    put: (path: string, text: string) => a.api.upload(REPO, path, Buffer.from(text), {}, AbortSignal.timeout(20_000)),
    arrives: (path: string, signal: AbortSignal) =>
      until(async () => {
        const detail = b.api.call('GET', `/repository/api/node/detail/proj/mirror${path}`, undefined, signal)
        return detail.then(
          () => true,
          () => false,
        )
      }, signal),
    async [Symbol.asyncDispose]() {
      await a[Symbol.asyncDispose]()
      await b[Symbol.asyncDispose]()
    },
  }
}
const refused = (status: number, code: number, about?: RegExp) => (error: unknown) => {
  const { status: got, code: told, message } = error as ApiError
  assert.deepEqual([got, told], [status, code], message)
  if (about !== undefined) assert.match(message, about)
  return true
}
interface Info {
  readonly name: string
  readonly clusterId: string | null
  readonly clusterName: string | null
  readonly registry: string | null
  readonly remoteRepoName: string | null
  readonly password: null
  readonly enable: boolean
  readonly replicaType: string
  readonly description: string | null
  readonly setting: { readonly conflictStrategy: string }
}

eachDialect('distribution to clusters', (dialect) => {
  it('case 46: given the sample of contract 001 for a cluster, when created, updated, shown, toggled and deleted, then all is 0', async (t) => {
    await using on = await pair(dialect)
    await on.call('POST', `create/${REPO}`, sampleOf(on.target))
    await on.put('/a.txt', 'hello')
    await on.arrives('/a.txt', t.signal)

    const [info] = await on.call<Info[]>('GET', `info/${REPO}/mirrors`)
    assert.deepEqual([info?.clusterId, info?.clusterName], [on.target.clusterId, 'beta'])
    assert.deepEqual([info?.registry, info?.password, info?.remoteRepoName, info?.enable], [null, null, 'mirror', true])
    assert.equal(info?.replicaType, 'REAL_TIME')
    assert.deepEqual(await on.call('GET', `info/${REPO}`), [info])
    assert.deepEqual(await on.call('GET', `info/${REPO}/unknown`), [])

    const { name: _, setting, ...change } = sampleOf(on.target).configs[0]!
    await on.call('POST', `update/${REPO}/mirrors`, {
      ...change,
      setting: { ...setting, conflictStrategy: 'OVERWRITE' },
    })
    await on.call('POST', `update/${REPO}/mirrors`, { ...change, description: 'another' })
    const [updated] = await on.call<Info[]>('GET', `info/${REPO}/mirrors`)
    assert.equal(updated?.setting.conflictStrategy, 'OVERWRITE', 'a setting that is left out stays')
    assert.equal(updated?.description, 'another')
    await on.put('/b.txt', 'after the update')
    await on.arrives('/b.txt', t.signal)

    await on.call('POST', `toggle/status/${REPO}/mirrors`)
    assert.equal((await on.call<Info[]>('GET', `info/${REPO}/mirrors`))[0]?.enable, false)
    await on.call('DELETE', `delete/${REPO}/mirrors`)
    assert.deepEqual(await on.call('GET', `info/${REPO}`), [])
    await assert.rejects(on.call('DELETE', `delete/${REPO}/mirrors`), refused(400, 250310))
    await assert.rejects(on.call('POST', `toggle/status/${REPO}/mirrors`), refused(400, 250310))
    await assert.rejects(on.call('POST', `update/${REPO}/mirrors`, change), refused(400, 250310))
  })

  it('given a name that is there, when created again, then it is replaced, its type too, and its key stays', async (t) => {
    await using on = await pair(dialect)
    await on.call('POST', `create/${REPO}`, sampleOf(on.target))
    const tasks = () =>
      on.a.api.call<{ records: { key: string; name: string; replicaType: string }[] }>(
        'GET',
        '/replication/api/task/page/proj',
        undefined,
        t.signal,
      )
    const [before] = (await tasks()).records
    assert.equal(before?.name, `${REPO}/mirrors`)
    const [config] = sampleOf(on.target).configs
    const nightly = { executionStrategy: 'CRON_EXPRESSION', executionPlan: { cronExpression: '0 0 3 * * ?' } }
    await on.call('POST', `create/${REPO}`, { ...config, replicaType: 'SCHEDULED', setting: nightly, enable: false })
    const after = (await tasks()).records
    assert.deepEqual(
      after.map(({ key, replicaType }) => [key, replicaType]),
      [[before?.key, 'SCHEDULED']],
    )
    await on.call('POST', `create/${REPO}`, [config])
    await on.put('/c.txt', 'c')
    await on.arrives('/c.txt', t.signal)
  })

  it('given several configurations of which one is wrong, when created, then none is stored', async () => {
    await using on = await pair(dialect)
    const [config] = sampleOf(on.target).configs
    const wrong = { ...config, name: 'other', clusterId: 'nowhere' }
    await assert.rejects(on.call('POST', `create/${REPO}`, { configs: [config, wrong] }), refused(400, 250306))
    const twice = on.call('POST', `create/${REPO}`, { configs: [config, config] })
    await assert.rejects(twice, refused(400, 250105, /configs/))
    assert.deepEqual(await on.call('GET', `info/${REPO}`), [])
    await on.call('POST', `create/${REPO}`, { configs: [config, { ...config, name: 'other' }] })
    const names = (await on.call<Info[]>('GET', `info/${REPO}`)).map(({ name }) => name)
    assert.deepEqual(names, ['mirrors', 'other'])
  })

  it('cases 44 and 45: given both, neither or half a target, when created, then the refusal names what is wrong', async () => {
    await using on = await pair(dialect)
    const [config] = sampleOf(on.target).configs
    const create = (changes: object) => on.call('POST', `create/${REPO}`, { configs: [{ ...config, ...changes }] })
    await assert.rejects(create({ clusterId: '' }), refused(400, 250105, /clusterId or registry/))
    await assert.rejects(create({ registry: 'r.example/x' }), refused(400, 250105, /clusterId or registry/))
    await assert.rejects(create({ remoteRepoName: null }), refused(400, 250103, /remoteRepoName/))
    await assert.rejects(create({ remoteProjectId: '' }), refused(400, 250103, /remoteProjectId/))
    await assert.rejects(create({ name: '1abc' }), refused(400, 250105, /name/))
    await assert.rejects(create({ name: 'x' }), refused(400, 250105, /name/))
    await assert.rejects(create({ pathConstraints: [{ path: ' ' }] }), refused(400, 250104))
    await assert.rejects(create({ setting: { conflictStrategy: 'NEVER' } }), refused(400, 250106))
    await assert.rejects(create({ replicaType: 'OFTEN' }), refused(400, 250106))
    const registry = {
      clusterId: null,
      remoteProjectId: null,
      remoteRepoName: null,
      registry: 'r.example/x',
      ping: false,
    }
    await assert.rejects(create(registry), refused(400, 250105, /GENERIC/))
    await assert.rejects(on.call('POST', 'create/proj/absent', sampleOf(on.target)), refused(404, 251006))
    await assert.rejects(on.call('POST', 'create/absent/files', sampleOf(on.target)), refused(404, 251004))
    for (const body of [[], {}, { configs: [] }, { configs: 'x' }, 'text', null]) {
      await assert.rejects(on.call('POST', `create/${REPO}`, body), (error: ApiError) => error.status === 400)
    }
  })

  it('case 50: given a user who may not write, when they distribute, then 403; without a login 401', async (t) => {
    await using on = await pair(dialect)
    const user = { userId: 'reader', name: 'reader', pwd: 'a long password' }
    await on.a.api.call('POST', '/auth/api/user/create', user, t.signal)
    const right = { resourceType: 'REPO', projectId: 'proj', permName: 'read', repos: ['files'], users: ['reader'] }
    await on.a.api.call('POST', '/auth/api/permission/create', { ...right, actions: ['READ'] }, t.signal)
    using reader = connectApi({ url: on.a.url, user: 'reader', password: user.pwd })
    assert.deepEqual(await on.call('GET', `info/${REPO}`, undefined, reader), [])
    await assert.rejects(on.call('POST', `create/${REPO}`, sampleOf(on.target), reader), refused(403, 250113))
    const anonymous = await fetch(`${on.a.url}${DISTRIBUTION}/create/${REPO}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(sampleOf(on.target)),
    })
    assert.equal(anonymous.status, 401)
    assert.equal(((await anonymous.json()) as { code: number }).code, 250114)
  })

  it('given a distribution that follows a plan, when somebody who may write starts it, then it runs; one that goes on by itself is not started', async (t) => {
    await using on = await pair(dialect)
    const user = { userId: 'writer', name: 'writer', pwd: 'a long password' }
    await on.a.api.call('POST', '/auth/api/user/create', user, t.signal)
    const right = { resourceType: 'REPO', projectId: 'proj', permName: 'write', repos: ['files'], users: ['writer'] }
    await on.a.api.call('POST', '/auth/api/permission/create', { ...right, actions: ['WRITE', 'READ'] }, t.signal)
    using writer = connectApi({ url: on.a.url, user: 'writer', password: user.pwd })
    const run = (name: string) => on.call('POST', `run/${REPO}/${name}`, undefined, writer)
    const [config] = sampleOf(on.target).configs
    await on.put('/a.txt', 'a')
    await on.call('POST', `create/${REPO}`, { configs: [{ ...config, ...SCHEDULED, name: 'nightly' }, config] }, writer)
    await run('nightly')
    await on.arrives('/a.txt', t.signal)
    const status = () => on.call<RecordInfo>('GET', `get/runOnceTaskStatus/${REPO}?name=nightly`, undefined, writer)
    await until(async () => (await status()).status === 'SUCCESS', t.signal)
    await assert.rejects(run('mirrors'), refused(400, 250303, /goes on by itself/))
    await assert.rejects(run('unknown'), refused(400, 250310))
    await on.call('POST', `toggle/status/${REPO}/nightly`, undefined, writer)
    await assert.rejects(run('nightly'), refused(400, 250304))
  })

  it('given a run-once of folders, patterns, packages or all, when stored, then its task says how much that is; again when it is replaced', async (t) => {
    await using on = await pair(dialect)
    await on.put('/a/1.txt', 'a'.repeat(100))
    await on.put('/a/b/2.txt', 'b'.repeat(20))
    await on.put('/c.txt', 'c'.repeat(3))
    const path = '/replication/api/task/page/proj?pageSize=100'
    const total = async () => {
      const { records } = await on.a.api.call<{ records: { totalBytes: number }[] }>('GET', path, undefined, t.signal)
      return records.map(({ totalBytes }) => totalBytes)
    }
    const create = (what: object) =>
      on.call('POST', `create/runOnceTask/${REPO}`, { name: 'once', ...on.target, ...what })
    for (const [what, bytes] of [
      [{ pathConstraints: ['/a'] }, 120],
      [{ pathConstraints: ['/a/*.txt', '/c.txt', '/none'] }, 103],
      [{ pathConstraints: [{ path: '/', pathRegex: '.*/2[.]txt' }] }, 20],
      [{ replicaObjectType: 'REPOSITORY' }, 123],
    ] as const) {
      await create(what)
      assert.deepEqual(await total(), [bytes])
    }
    await on.call('POST', `create/${REPO}`, { ...sampleOf(on.target).configs[0], name: 'once', enable: false })
    assert.deepEqual(await total(), [-1])
  })

  it('given a user of the target, when they may not write there, or nobody knows them, then the configuration is refused', async (t) => {
    await using on = await pair(dialect)
    const user = { userId: 'robot', name: 'robot', pwd: 'a long password' }
    await on.b.api.call('POST', '/auth/api/user/create', user, t.signal)
    const [config] = sampleOf(on.target).configs
    const as = (remoteUserUsername: string, remoteUserPassword: string) =>
      on.call('POST', `create/${REPO}`, { ...config, remoteUserUsername, remoteUserPassword })
    await assert.rejects(as('robot', user.pwd), refused(403, 250113, /robot.*may not write/))
    await assert.rejects(as('robot', 'wrong password'), refused(403, 250113, /robot.*refused/))
    const right = { resourceType: 'REPO', projectId: 'proj', permName: 'write', repos: ['mirror'], users: ['robot'] }
    await on.b.api.call('POST', '/auth/api/permission/create', { ...right, actions: ['WRITE'] }, t.signal)
    await as('robot', user.pwd)
  })

  it('cases 47 and 48: given a run-once of paths, when asked, executed twice and deleted, then each step answers as it should', async (t) => {
    await using on = await pair(dialect)
    await on.put('/a.txt', 'a')
    await on.put('/b.txt', 'b')
    const body = { name: 'once', ...on.target, pathConstraints: ['/a.txt'], description: 'asked by a test' }
    await on.call('POST', `create/runOnceTask/${REPO}`, body)
    const status = () => on.call<RecordInfo | null>('GET', `get/runOnceTaskStatus/${REPO}?name=once`)
    assert.equal(await status(), null)
    const execute = () => on.call('POST', `execute/runOnceTask/${REPO}?name=once`)
    const both = await Promise.allSettled([execute(), execute()])
    const errors = both.flatMap((one) => (one.status === 'rejected' ? [one.reason as ApiError] : []))
    assert.deepEqual(
      errors.map(({ code }) => code),
      [250303],
    )
    assert.notEqual(await status(), null)
    await until(async () => (await status())?.status !== 'RUNNING', t.signal)
    const ended = await status()
    assert.deepEqual([ended?.status, ended?.replicaOverview?.success], ['SUCCESS', 1])
    await on.arrives('/a.txt', t.signal)

    await on.call('POST', `create/runOnceTask/${REPO}`, { ...body, pathConstraints: [{ path: '/b.txt' }] })
    await execute()
    await on.arrives('/b.txt', t.signal)
    await until(async () => (await status())?.status === 'SUCCESS', t.signal)
    assert.equal((await on.call<Info[]>('GET', `info/${REPO}/once`))[0]?.replicaType, 'RUN_ONCE')
    const remove = () => on.call('DELETE', `delete/runOnceTask/${REPO}?name=once`)
    await remove()
    await remove()
    await assert.rejects(status(), refused(400, 250108))
    await assert.rejects(execute(), refused(400, 250108))
  })

  it('case 47: given a run-once that runs, when deleted or made again, then it is refused until it has ended', async (t) => {
    await using on = await pair(dialect)
    await on.put('/a.txt', 'a'.repeat(400_000))
    const body = { name: 'once', ...on.target, pathConstraints: ['/a.txt'], setting: { rateLimit: 100_000 } }
    await on.call('POST', `create/runOnceTask/${REPO}`, body)
    await on.call('POST', `execute/runOnceTask/${REPO}?name=once`)
    await assert.rejects(on.call('DELETE', `delete/runOnceTask/${REPO}?name=once`), refused(400, 250113))
    await assert.rejects(on.call('DELETE', `delete/${REPO}/once`), refused(400, 250113, /is running; wait for its end/))
    await assert.rejects(on.call('POST', `create/runOnceTask/${REPO}`, body), refused(400, 250303))
    const status = () => on.call<RecordInfo>('GET', `get/runOnceTaskStatus/${REPO}?name=once`)
    await until(async () => (await status()).status === 'SUCCESS', t.signal)
    await on.call('DELETE', `delete/runOnceTask/${REPO}?name=once`)
  })

  it('case 43: given a run-once that does not say what, or too much, when created, then 250105 names it', async () => {
    await using on = await pair(dialect)
    const create = (changes: object) =>
      on.call('POST', `create/runOnceTask/${REPO}`, { name: 'once', ...on.target, ...changes })
    await assert.rejects(create({}), refused(400, 250105, /Package or path/))
    await assert.rejects(create({ versions: ['1'] }), refused(400, 250105, /packageName/))
    await assert.rejects(create({ packageName: 'nginx' }), refused(400, 250105, /versions/))
    const two = { packageName: 'nginx', versions: ['1', '2'], targetVersions: ['3'] }
    await assert.rejects(create(two), refused(400, 250105, /targetVersions/))
    await on.call('POST', `create/${REPO}`, sampleOf(on.target))
    await assert.rejects(on.call('POST', `execute/runOnceTask/${REPO}?name=mirrors`), refused(400, 250112))
    await assert.rejects(on.call('DELETE', `delete/runOnceTask/${REPO}?name=mirrors`), refused(400, 250113))
    await assert.rejects(on.call('POST', `execute/runOnceTask/${REPO}`), (error: ApiError) => error.status === 400)
  })
})
