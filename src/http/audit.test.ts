import assert from 'node:assert/strict'
import { it } from 'node:test'
import { basic, platform } from '../../test/helpers/identity.ts'
import { eachDialect, startCluster, type TestDialect } from '../../test/helpers/local-cluster.ts'

interface Row {
  readonly userId: string
  readonly appId: string | null
  readonly address: string
  readonly action: string
  readonly projectId: string | null
  readonly repoName: string | null
  readonly resource: string | null
  readonly outcome: string
  readonly code: number
  readonly times: number
  readonly traceId: string
}

async function server(dialect: TestDialect, env: Record<string, string> = {}) {
  const cluster = await startCluster({ name: 'audit', dialect, env })
  const admin = { authorization: basic('admin', cluster.password) }
  const call = async (method: string, path: string, body?: unknown, headers: Record<string, string> = admin) => {
    const isText = typeof body === 'string'
    const type: Record<string, string> = body === undefined || isText ? {} : { 'content-type': 'application/json' }
    const payload = body === undefined ? {} : { body: isText ? body : JSON.stringify(body) }
    const answer = await fetch(`${cluster.url}${path}`, { method, headers: { ...type, ...headers }, ...payload })
    const { code, data } = (await answer.json()) as { code: number; data: { records: Row[] } & Record<string, string> }
    return { status: answer.status, headers: answer.headers, code, data }
  }
  return {
    ...{ call, db: cluster.db },
    rows: async (query = '') => (await call('GET', `/auth/api/audit/page?pageSize=1000${query}`)).data.records,
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  }
}
type Server = Awaited<ReturnType<typeof server>>

const PROJECT = { name: 'p1', displayName: 'Project', description: 'x' }
const ANN = { userId: 'ann', name: 'Ann', pwd: 'a very secret password' }
const asAnn = { authorization: basic('ann', ANN.pwd) }

async function fill(s: Server): Promise<void> {
  await s.call('POST', '/auth/api/user/create', ANN)
  await s.call('POST', '/repository/api/project/create', PROJECT)
  const repo = { projectId: 'p1', name: 'r1', type: 'GENERIC', category: 'LOCAL', public: false }
  await s.call('POST', '/repository/api/repo/create', repo)
}
const short = ({ userId, action, projectId, repoName, resource, outcome, code }: Row) =>
  [userId, action, projectId, repoName, resource, outcome, code].join(' | ')

eachDialect('audit over HTTP', (dialect) => {
  it('given management changes, done and failed, when the log is read, then each is a row, and data and reads are none', async () => {
    await using s = await server(dialect)
    await fill(s)
    await s.call('POST', '/repository/api/project/create', PROJECT)
    await s.call('PUT', '/generic/p1/r1/a.txt', 'content')
    await s.call('POST', '/repository/api/node/search', {
      rule: { rules: [{ field: 'projectId', value: 'p1', operation: 'EQ' }], relation: 'AND' },
    })
    await s.call('GET', '/repository/api/node/detail/p1/r1/a.txt')
    await s.call('POST', '/repository/api/node/rename/p1/r1/a.txt?newFullPath=/b.txt')
    await s.call('DELETE', '/generic/p1/r1/b.txt')
    await s.call('POST', '/auth/api/user/token/ann/ci')
    const rows = await s.rows()
    assert.deepEqual(rows.map(short).reverse(), [
      'admin | POST /auth/api/user/create |  |  | userId=ann name=Ann | SUCCESS | 0',
      'admin | POST /repository/api/project/create | p1 |  | name=p1 | SUCCESS | 0',
      'admin | POST /repository/api/repo/create | p1 |  | name=r1 public=false | SUCCESS | 0',
      'admin | POST /repository/api/project/create | p1 |  | name=p1 | FAILED | 251005',
      'admin | POST /repository/api/node/rename/:projectId/:repoName/* | p1 | r1 | newFullPath=/b.txt path=a.txt | SUCCESS | 0',
      'admin | DELETE /generic/:projectId/:repoName/* | p1 | r1 | path=b.txt | SUCCESS | 0',
      'admin | POST /auth/api/user/token/:uid/:name |  |  | uid=ann name=ci | SUCCESS | 0',
    ])
    assert.deepEqual(new Set(rows.map(({ address }) => address)), new Set(['127.0.0.1']))
    assert.ok(rows.every(({ traceId }) => /^[0-9a-f]{32}$/.test(traceId)))
  })

  it('given refusals, when the log is read, then each with credentials is a row with who it said to be', async () => {
    await using s = await server(dialect)
    await fill(s)
    const before = (await s.rows()).length
    await s.call('GET', '/auth/api/user/list', undefined, asAnn)
    await s.call('DELETE', '/auth/api/user/delete/admin', undefined, asAnn)
    for (let round = 0; round < 2; round++) {
      await s.call('GET', '/repository/api/node/detail/p1/r1/x', undefined, { authorization: basic('ann', 'wrong') })
    }
    await s.call('GET', '/repository/api/node/detail/p1/r1/x', undefined, { authorization: 'Bearer nothing' })
    for (let round = 0; round < 3; round++) await s.call('GET', '/auth/api/user/info', undefined, {})
    const rows = await s.rows()
    assert.equal(rows.length, before + 5)
    assert.deepEqual(
      rows
        .filter(({ outcome }) => outcome === 'REFUSED')
        .map((row) => `${short(row)} | ${row.times}`)
        .sort(),
      [
        'ann | DELETE /auth/api/user/delete/:uid |  |  | uid=admin | REFUSED | 250113 | 1',
        'ann | GET /auth/api/user/list |  |  |  | REFUSED | 250113 | 1',
        'ann | GET /repository/api/node/detail/:projectId/:repoName/* | p1 | r1 | path=x | REFUSED | 250114 | 2',
        'anonymous | GET /repository/api/node/detail/:projectId/:repoName/* | p1 | r1 | path=x | REFUSED | 250114 | 1',
        'anonymous | requests without credentials |  |  |  | REFUSED | 250114 | 3',
      ],
    )
    assert.equal((await s.rows('&userId=ann&outcome=REFUSED&projectId=p1')).length, 1)
    assert.equal((await s.rows('&action=DELETE')).length, 1)
    assert.equal((await s.rows('&to=2020-01-01T00:00:00')).length, 0)
    const bad = await s.call('GET', '/auth/api/audit/page?outcome=MAYBE')
    assert.deepEqual([bad.status, bad.code], [400, 250131])
    assert.equal((await s.call('GET', '/auth/api/audit/page', undefined, asAnn)).status, 403)
  })

  it('given secrets in bodies, queries and headers, when the table is read, then it holds none of them', async () => {
    await using s = await server(dialect)
    await fill(s)
    const made = await s.call('POST', '/auth/api/account/create', { appId: 'ci' })
    const { accessKey = '', secretKey = '' } = made.data
    const { data: token } = await s.call('POST', '/auth/api/user/token/ann/ci')
    await s.call('PUT', '/auth/api/user/update/password/ann', { oldPwd: ANN.pwd, newPwd: 'another secret one' }, asAnn)
    await s.call('PUT', '/auth/api/user/update/info/ann', { pwd: 'third secret one', name: 'Anna' })
    await s.call('POST', '/auth/api/user/token', { uid: 'ann', token: token.id })
    const pair = platform({ accessKey, secretKey })
    await s.call('POST', '/auth/api/account/credential', { accessKey, secretKey }, { authorization: pair })
    await s.call('DELETE', '/auth/api/user/delete/x', undefined, { authorization: `Bearer ${token.id}x` })
    const acting = { authorization: pair, 'x-bkrepo-uid': 'ann' }
    await s.call('PUT', '/auth/api/user/update/info/ann', { name: 'Ann' }, acting)
    const [row] = await s.rows('&appId=ci&outcome=SUCCESS')
    assert.deepEqual([row?.userId, row?.resource], ['ann', 'uid=ann name=Ann'])
    const table = JSON.stringify(await s.db.read.selectFrom('audit_log').selectAll().execute())
    for (const secret of [ANN.pwd, 'another secret one', 'third secret one', secretKey, token.id!]) {
      assert.equal(table.includes(secret), false)
    }
  })

  it('given wrong passwords, when there are too many, then the answer tells how long to wait, and it is in the log', async () => {
    await using s = await server(dialect, { ENTREPOT_AUTH_LOGIN_FAILURES: '2' })
    await fill(s)
    const info = (secret: string, headers = {}) =>
      s.call('GET', '/auth/api/user/info', undefined, { authorization: basic('ann', secret), ...headers })
    assert.equal((await info(ANN.pwd)).status, 200)
    for (const secret of ['wrong', 'wronger']) assert.equal((await info(secret)).status, 401)
    // Nobody believes this header unless a proxy is trusted.
    const refused = await info('wrongest', { 'x-forwarded-for': '9.9.9.9' })
    assert.deepEqual([refused.status, refused.code, refused.headers.get('retry-after')], [429, 250124, '1'])
    assert.equal((await info(ANN.pwd)).status, 200)
    assert.deepEqual(
      (await s.rows('&code=250124')).map(({ outcome, address }) => [outcome, address]),
      [['REFUSED', '127.0.0.1']],
    )
    assert.deepEqual((await s.rows('&code=250124&userId=ann')).length, 1)
  })

  it('given changes of rights by id, when the log is read, then it tells of which project and what was changed', async () => {
    await using s = await server(dialect)
    await fill(s)
    const names = { resourceType: 'REPO', projectId: 'p1', permName: 'of p1' }
    const { data: made } = await s.call('POST', '/auth/api/permission/create', {
      ...{ ...names, repos: ['r1'], users: ['ann'], actions: ['READ'], pwd: 'not a field of it' },
    })
    const permissionId = made.id
    await s.call('PUT', '/auth/api/permission/action', { permissionId, actions: ['READ', 'WRITE'] })
    await s.call('PUT', '/auth/api/permission/user', { permissionId, userId: [] })
    await s.call('PUT', '/auth/api/permission/user', { permissionId, userId: ['admin'] }, asAnn)
    await s.call('DELETE', `/auth/api/permission/delete/${permissionId}`)
    const role = await s.call('POST', '/auth/api/role/create', {
      name: 'Ops',
      type: 'PROJECT',
      projectId: 'p1',
      admin: true,
    })
    const rid = role.data as unknown as string
    await s.call('PATCH', `/auth/api/user/role/add/${rid}`, ['ann'])
    await s.call('PUT', '/auth/api/user/update/info/ann', { admin: true, locked: false })
    const many = Array.from({ length: 500 }, (_, at) => `/dir/${at}`)
    await s.call('POST', '/generic/temporary/token/create', {
      ...{ projectId: 'p1', repoName: 'r1', fullPathSet: many, type: 'DOWNLOAD' },
    })
    const rows = (await s.rows()).map(short).reverse().slice(3)
    assert.deepEqual(rows.slice(0, -1).sort(), [
      `admin | DELETE /auth/api/permission/delete/:id | p1 |  | id=${permissionId} | SUCCESS | 0`,
      `admin | PATCH /auth/api/user/role/add/:rid | p1 |  | rid=${rid} idList=[ann] | SUCCESS | 0`,
      'admin | POST /auth/api/permission/create | p1 |  | permName=of p1 resourceType=REPO repos=[r1] actions=[READ] users=[ann] | SUCCESS | 0',
      'admin | POST /auth/api/role/create | p1 |  | name=Ops admin=true | SUCCESS | 0',
      `admin | PUT /auth/api/permission/action | p1 |  | permissionId=${permissionId} actions=[READ,WRITE] | SUCCESS | 0`,
      `admin | PUT /auth/api/permission/user | p1 |  | permissionId=${permissionId} userId=[] | SUCCESS | 0`,
      'admin | PUT /auth/api/user/update/info/:uid |  |  | uid=ann admin=true locked=false | SUCCESS | 0',
      `ann | PUT /auth/api/permission/user | p1 |  | permissionId=${permissionId} userId=[admin] | REFUSED | 250113`,
    ])
    assert.match(rows.at(-1)!, /\| p1 \| r1 \| fullPathSet=\[\/dir\/0,.*,\d+ more\] \| SUCCESS/)
    assert.ok(rows.at(-1)!.length < 500)
  })

  it('given a wrong secret key, when the log is read, then it tells which access key was used, unless it looks like none', async () => {
    await using s = await server(dialect)
    const { data } = await s.call('POST', '/auth/api/account/create', { appId: 'ci' })
    const accessKey = data.accessKey!
    for (const key of [accessKey, 'a secret in the wrong place']) {
      const pair = platform({ accessKey: key, secretKey: 'wrong' })
      assert.equal((await s.call('GET', '/auth/api/user/info', undefined, { authorization: pair })).status, 401)
    }
    const rows = await s.rows('&outcome=REFUSED')
    assert.deepEqual(rows.map(({ resource }) => resource).sort(), [`accessKey=${accessKey}`, null])
  })

  it('given a trusted proxy, when it names the client, then that address counts', async () => {
    await using s = await server(dialect, { ENTREPOT_AUTH_TRUSTED_PROXIES: '127.0.0.1,10.0.0.0/8' })
    const forwarded = { authorization: basic('nobody', 'wrong'), 'x-forwarded-for': '9.9.9.9, 10.1.2.3' }
    await s.call('GET', '/auth/api/user/info', undefined, forwarded)
    const [row] = await s.rows('&outcome=REFUSED')
    assert.deepEqual([row?.address, row?.userId], ['9.9.9.9', 'nobody'])
  })
})
