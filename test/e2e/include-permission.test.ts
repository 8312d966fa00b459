import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { RecordInfo } from '../../src/cli/run-progress.ts'
import { eachDialect, type LocalCluster, startCluster, type TestDialect } from '../helpers/local-cluster.ts'
import { until } from '../helpers/real-time.ts'
import { createRepository, executeTask, waitForRun } from '../helpers/replication-calls.ts'

const PASSWORD = 'a password of alice'
const AUTH = '/auth/api'

/** Two clusters whose logs are kept, the source with a file in a private repository. */
async function pair(dialect: TestDialect, signal: AbortSignal) {
  const lines: string[] = []
  const onLog = (line: string) => void lines.push(line)
  const a = await startCluster({ name: 'alpha', dialect, onLog })
  const b = await startCluster({ name: 'beta', dialect, onLog })
  await createRepository(a.api, 'ops/files', signal)
  await a.api.upload('ops/files', '/dir/1', Buffer.from('one'), {}, signal)

  const call = <T>({ api }: LocalCluster, method: string, path: string, body?: object) =>
    api.call<T>(method, `${AUTH}${path}`, body, signal)
  const user = (where: LocalCluster, userId: string, more: object = {}) =>
    call(where, 'POST', '/user/create', { userId, name: userId, pwd: PASSWORD, ...more })
  const permission = async (where: LocalCluster, permName: string, more: object) => {
    const of = { resourceType: 'NODE', projectId: 'ops', permName, repos: ['files'], users: [], actions: ['READ'] }
    return (await call<{ id: string }>(where, 'POST', '/permission/create', { ...of, ...more })).id
  }
  let runs = 0
  async function replicate(
    more: object = {},
    login = { username: 'admin', password: b.password },
  ): Promise<RecordInfo> {
    const remoteClusterInfo = { url: b.url, ...login }
    const setting = { includePermission: true, remoteClusterInfo }
    const body = { type: 'FULL', localProjectId: 'ops', localRepoName: 'files', setting, ...more }
    await a.api.call('POST', '/replication/task/create', body, signal)
    runs = 1
    return waitForRun(a.api, await key(), { runs, pollMs: 10 }, signal)
  }
  const key = async () =>
    (await a.api.call<{ key: string }[]>('GET', '/replication/task/list', undefined, signal))[0]!.key
  async function again(): Promise<RecordInfo> {
    await executeTask(a.api, await key(), signal)
    return waitForRun(a.api, await key(), { runs: ++runs, pollMs: 10 }, signal)
  }
  /** Status of a download at B by a user. */
  async function reads(userId: string, password = PASSWORD): Promise<number> {
    const authorization = `Basic ${Buffer.from(`${userId}:${password}`).toString('base64')}`
    const answer = await fetch(`${b.url}/generic/ops/files/dir/1`, { headers: { authorization }, signal })
    await answer.arrayBuffer()
    return answer.status
  }
  const told = () =>
    lines
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
      .filter(({ msg }) => msg === 'users, roles and permissions are at the target')
  return {
    ...{ a, b, call, user, permission, replicate, again, reads, told, lines },
    async [Symbol.asyncDispose]() {
      await a[Symbol.asyncDispose]()
      await b[Symbol.asyncDispose]()
    },
  }
}

eachDialect('users, roles and permissions that go along', (dialect) => {
  it('given users with roles, groups and permissions, when run, then they may do there what they may here, with their passwords', async (t) => {
    await using two = await pair(dialect, t.signal)
    const { a } = two
    for (const name of ['alice', 'bob', 'carol', 'dora', 'eve']) await two.user(a, name)
    await two.user(a, 'team', { group: true, asstUsers: ['carol'] })
    const of = { type: 'PROJECT', projectId: 'ops' }
    const role = await two.call<string>(a, 'POST', '/role/create', { ...of, roleId: 'readers', name: 'Readers' })
    await two.call(a, 'PATCH', `/user/role/add/${role}`, ['alice'])
    await two.permission(a, 'by-role', { roles: [role] })
    await two.permission(a, 'by-user', { users: ['bob', 'team'], includePattern: ['/dir'] })
    await two.permission(a, 'elsewhere', { users: ['dora'], includePattern: ['/other'] })

    assert.equal((await two.replicate()).status, 'SUCCESS')
    assert.deepEqual(
      await Promise.all(['alice', 'bob', 'carol', 'dora'].map((name) => two.reads(name))),
      [200, 200, 200, 403],
    )
    assert.equal(await two.reads('eve'), 401, 'has no right in the scope, and did not travel')
    assert.equal(await two.reads('alice', 'another password'), 401)
    const [first] = two.told()
    assert.deepEqual(
      [first!.users, first!.roles],
      [
        { ...NONE, created: 5 },
        { ...NONE, created: 1 },
      ],
    )

    assert.equal((await two.again()).status, 'SUCCESS')
    const [, second] = two.told()
    assert.deepEqual(
      [second!.users, second!.roles],
      [
        { ...NONE, unchanged: 5 },
        { ...NONE, unchanged: 1 },
      ],
    )
    assert.deepEqual(second!.permissions, { ...NONE, unchanged: 6 })

    const text = two.lines.join('')
    assert.ok(text.includes('users, roles and permissions are at the target'))
    for (const secret of [PASSWORD, 'argon2id', two.b.password]) assert.equal(text.includes(secret), false, secret)
    const audit = await two.b.db.read.selectFrom('audit_log').selectAll().execute()
    assert.equal(JSON.stringify(audit).includes('argon2id'), false)
  })

  it('given users that the target has, when run, then neither their passwords nor what they are there changes', async (t) => {
    await using two = await pair(dialect, t.signal)
    const { a, b } = two
    await createRepository(b.api, 'ops/files', t.signal)
    for (const name of ['alice', 'admin2']) await two.user(a, name)
    await two.user(b, 'alice', { pwd: 'alice has another here' })
    await two.user(b, 'admin2', { pwd: 'admin2 has another here', admin: true })
    await two.permission(a, 'p', { users: ['alice', 'admin2', 'admin'] })
    assert.equal((await two.replicate()).status, 'SUCCESS')
    assert.deepEqual([await two.reads('alice'), await two.reads('alice', 'alice has another here')], [401, 200])
    assert.equal(await two.reads('admin2', 'admin2 has another here'), 200)
    const there = await two.call<{ admin: boolean; locked: boolean }>(b, 'GET', '/user/detail/admin2')
    assert.deepEqual([there.admin, there.locked], [true, false])
    assert.equal(await two.reads('admin', b.password), 200)
  })

  it('given rights that were taken away here, when run again, then they are there too, but not what was given there', async (t) => {
    await using two = await pair(dialect, t.signal)
    const { a, b } = two
    for (const name of ['alice', 'bob']) await two.user(a, name)
    const id = await two.permission(a, 'p', { users: ['alice', 'bob'] })
    await two.replicate()
    await two.user(b, 'local')
    await two.permission(b, 'theirs', { users: ['local', 'bob'] })
    assert.deepEqual(await Promise.all(['alice', 'bob', 'local'].map((name) => two.reads(name))), [200, 200, 200])

    await two.call(a, 'DELETE', `/permission/delete/${id}`)
    await two.again()
    assert.deepEqual(await Promise.all(['alice', 'bob', 'local'].map((name) => two.reads(name))), [403, 200, 200])
    // A user that came from here follows: a new password, and a lock.
    await two.permission(a, 'q', { users: ['alice'] })
    await two.call(a, 'PUT', '/user/update/info/alice', { pwd: 'another long one' })
    await two.again()
    assert.deepEqual([await two.reads('alice'), await two.reads('alice', 'another long one')], [401, 200])
    await two.call(a, 'PUT', '/user/update/info/alice', { locked: true })
    await two.again()
    assert.notEqual(await two.reads('alice', 'another long one'), 200)
  })

  it('given a login that is no administrator there, when run, then the run fails and says so', async (t) => {
    await using two = await pair(dialect, t.signal)
    const { a, b } = two
    await two.user(a, 'alice')
    await two.permission(a, 'p', { users: ['alice'] })
    await two.user(b, 'robot')
    const replication = { resourceType: 'REPLICATION', permName: 'r', users: ['robot'], actions: ['VIEW', 'WRITE'] }
    await two.call(b, 'POST', '/permission/create', replication)
    const record = await two.replicate({}, { username: 'robot', password: PASSWORD })
    assert.equal(record.status, 'FAILED')
    assert.match(record.errorReason!, /Access denied/)
    assert.equal(await two.reads('alice'), 401)
  })

  it('given an incremental task of everything, when a user, a role or a right changes, then it does there too', async (t) => {
    await using two = await pair(dialect, t.signal)
    const { a, b } = two
    await two.user(a, 'root2', { admin: true })
    const remoteClusterInfo = { url: b.url, username: 'admin', password: b.password }
    const setting = { includePermission: true, remoteClusterInfo }
    const body = { type: 'INCREMENTAL', includeAllProject: true, setting }
    await a.api.call('POST', '/replication/task/create', body, t.signal)
    await until(async () => (await two.reads('root2')) === 200, t.signal)
    await two.user(a, 'alice')
    await until(async () => (await two.reads('alice')) === 403, t.signal)
    const id = await two.permission(a, 'p', { users: ['alice'] })
    await until(async () => (await two.reads('alice')) === 200, t.signal)
    await two.call(a, 'DELETE', `/permission/delete/${id}`)
    await until(async () => (await two.reads('alice')) === 403, t.signal)
  })
})

const NONE = { created: 0, updated: 0, deleted: 0, unchanged: 0, kept: 0 }
