import assert from 'node:assert/strict'
import { it } from 'node:test'
import { basic, platform } from '../../../test/helpers/identity.ts'
import { eachDialect, startCluster, type TestDialect } from '../../../test/helpers/local-cluster.ts'

async function server(dialect: TestDialect) {
  const cluster = await startCluster({ name: 'accounts', dialect })
  const admin = basic('admin', cluster.password)
  const call = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const answer = await fetch(`${cluster.url}${path}`, {
      method,
      headers: {
        authorization: admin,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    // biome-ignore lint/suspicious/noExplicitAny: the assertions are the check
    const { code, data } = JSON.parse(text) as { code: number; data: any }
    return { status: answer.status, headers: answer.headers, text, code, data }
  }
  return {
    ...{ call, url: cluster.url, admin: { authorization: admin } },
    account: (path: string, method: string, body?: unknown) => call(method, `/auth/api/account${path}`, body),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  }
}

eachDialect('platform accounts over HTTP', (dialect) => {
  it('given an account, when made, listed, changed and deleted, then its secret key is told once', async () => {
    await using s = await server(dialect)
    const made = await s.account('/create', 'POST', {
      ...{ appId: 'ci', locked: false, authorizationGrantTypes: ['PLATFORM'], description: 'Build' },
      ...{ scope: ['PROJECT'], scopeDesc: [{ field: 'PROJECT', operation: 'IN', value: ['p', 'q'] }] },
    })
    assert.deepEqual([made.data.status, made.data.authorizationGrantType], ['ENABLE', 'PLATFORM'])
    const { accessKey, secretKey } = made.data
    const second = await s.account('/credential/ci', 'POST')
    const [account] = (await s.account('/list', 'GET')).data
    assert.deepEqual(
      [account.appId, account.scope, account.scopeDesc, account.locked],
      ['ci', ['PROJECT'], [{ field: 'PROJECT', operation: 'IN', value: ['p', 'q'] }], false],
    )
    const keys = await s.account('/credential/ci', 'GET')
    assert.deepEqual(
      keys.data.map((key: { accessKey: string }) => key.accessKey).sort(),
      [accessKey, second.data.accessKey].sort(),
    )
    const answers = [keys, await s.account('/credential/list/ci', 'GET'), await s.account('/detail/ci', 'GET')]
    for (const { text } of answers) assert.equal(/secret/i.test(text) || text.includes(secretKey), false)

    const check = (secret: string) => s.account('/credential', 'POST', { accessKey, secretKey: secret })
    assert.equal((await check(secretKey)).data, 'ci')
    assert.deepEqual([(await check('wrong')).status, (await check('wrong')).code], [400, 250214])
    assert.equal((await s.account(`/credential/ci/${accessKey}/DISABLE`, 'PUT')).data, true)
    assert.equal((await check(secretKey)).code, 250214)
    assert.equal((await s.account('/credential/ci', 'GET')).data[0].status, 'DISABLE')
    assert.equal((await s.account('/update', 'PUT', { appId: 'ci', scopeDesc: [], locked: true })).data, true)
    const { data: changed } = await s.account('/detail/ci', 'GET')
    assert.deepEqual([changed.locked, changed.scopeDesc, changed.description], [true, [], 'Build'])
    assert.equal((await s.account(`/credential/ci/${accessKey}`, 'DELETE')).data, true)
    assert.equal((await s.account('/delete/ci', 'DELETE')).data, true)
    assert.deepEqual((await s.account('/list', 'GET')).data, [])
  })

  it('given bad requests, when called, then each has its code', async () => {
    await using s = await server(dialect)
    await s.account('/create', 'POST', { appId: 'ci' })
    const cases: readonly [string, string, unknown, number][] = [
      ['/create', 'POST', { appId: 'ci' }, 250212],
      ['/create', 'POST', {}, 250103],
      ['/create', 'POST', { appId: 'a:b' }, 250105],
      ['/create', 'POST', { appId: 'x', authorizationGrantTypes: ['AUTHORIZATION_CODE'] }, 250112],
      ['/create', 'POST', { appId: 'x', scope: ['EVERYTHING'] }, 250106],
      ['/create', 'POST', { appId: 'x', scopeDesc: [{ field: 'REPO', operation: 'IN', value: ['r'] }] }, 250105],
      ['/create', 'POST', { appId: 'x', scopeDesc: [{ field: 'PROJECT', value: ['r'] }] }, 250103],
      ['/create', 'POST', { appId: 'x', scopeDesc: [{ field: 'PROJECT', operation: 'PREFIX', value: '' }] }, 250104],
      ['/update', 'PUT', { appId: 'nobody' }, 250213],
      ['/delete/nobody', 'DELETE', undefined, 250213],
      ['/detail/nobody', 'GET', undefined, 250213],
      ['/credential/nobody', 'GET', undefined, 250213],
      ['/credential/nobody', 'POST', undefined, 250213],
      ['/credential/nobody/key', 'DELETE', undefined, 250213],
      ['/credential/ci/nothing/ENABLE', 'PUT', undefined, 250108],
      ['/credential/ci/nothing/MAYBE', 'PUT', undefined, 250131],
    ]
    for (const [path, method, body, code] of cases) {
      assert.equal((await s.account(path, method, body)).code, code, `${method} ${path} ${JSON.stringify(body)}`)
    }
  })

  it('given an account limited to a project, when it acts for an administrator, then only that project is within reach', async () => {
    await using s = await server(dialect)
    const project = (name: string) => ({ name, displayName: name, description: 'x' })
    for (const name of ['alpha', 'gamma']) await s.call('POST', '/repository/api/project/create', project(name))
    for (const projectId of ['alpha', 'gamma']) {
      await s.call('POST', '/repository/api/repo/create', { projectId, name: 'r1', type: 'GENERIC', category: 'LOCAL' })
    }
    const scopeDesc = [{ field: 'PROJECT', operation: 'IN', value: ['alpha'] }]
    const { data: pair } = await s.account('/create', 'POST', { appId: 'ci', scopeDesc })
    const as = (user: string) => ({ authorization: platform(pair), 'x-bkrepo-uid': user })
    const seen = await s.call('GET', '/repository/api/project/list', undefined, as('admin'))
    assert.deepEqual(
      seen.data.map(({ name }: { name: string }) => name),
      ['alpha'],
    )
    const info = (name: string, user: string) =>
      s.call('GET', `/repository/api/repo/info/${name}/r1`, undefined, as(user))
    assert.equal((await info('alpha', 'admin')).status, 200)
    const outside = await info('gamma', 'admin')
    assert.deepEqual([outside.status, outside.code], [403, 250237])
    const system = await s.call('GET', '/auth/api/user/list', undefined, as('admin'))
    assert.deepEqual([system.status, system.code], [403, 250237])
    const token = await s.call('POST', '/auth/api/user/token/admin/escape', undefined, as('admin'))
    assert.equal(token.status, 403)
    const stranger = await info('alpha', 'somebody')
    assert.deepEqual([stranger.status, stranger.code], [403, 250113])
    assert.equal((await s.call('GET', '/auth/api/user/info', undefined, as('somebody'))).data.createdBy, 'app:ci')
    await s.call('POST', '/repository/api/repo/update/gamma/r1', { public: true })
    for (const user of ['admin', 'somebody']) {
      const repos = await s.call('GET', '/repository/api/repo/list/gamma', undefined, as(user))
      assert.deepEqual(repos.data, [], `${user} and the public repository of another project`)
      const projects = await s.call('GET', '/repository/api/project/list', undefined, as(user))
      assert.ok(!projects.text.includes('gamma'), user)
      const found = await s.call('GET', '/repository/api/project/search?name=gam', undefined, as(user))
      assert.equal(found.data.totalRecords, 0)
    }
    const wrong = await s.call('GET', '/auth/api/user/info', undefined, {
      authorization: platform({ ...pair, secretKey: 'wrong' }),
    })
    assert.deepEqual([wrong.status, wrong.code], [401, 250114])
    assert.match(wrong.headers.get('www-authenticate') ?? '', /^Basic/)
  })

  it('given a VIRTUAL repository with members outside of an account, when it reads there, then they are passed over', async () => {
    await using s = await server(dialect)
    const { as } = await twoProjects(s)
    assert.deepEqual(await read(s, '/generic/alpha/all/inside', as('admin')), [200, 'inside'])
    assert.deepEqual((await read(s, '/generic/alpha/all/outside', as('admin')))[0], 404)
    const page = await s.call('GET', '/repository/api/node/page/alpha/all', undefined, as('admin'))
    assert.deepEqual([page.status, page.data.totalRecords], [200, 1])
  })

  it('given a temporary token made through an account, when used, then it reaches no further and lives no longer than that', async () => {
    await using s = await server(dialect)
    const { as } = await twoProjects(s)
    const make = async (projectId: string, repoName: string, headers: Record<string, string> = as('admin')) => {
      const body = { projectId, repoName, fullPathSet: ['/'], type: 'DOWNLOAD', expireSeconds: 0 }
      const { status, data } = await s.call('POST', '/generic/temporary/token/create', body, headers)
      return status === 200 ? (data[0].token as string) : status
    }
    assert.equal(await make('gamma', 'r1'), 403)
    const token = await make('alpha', 'all')
    const ofAdmin = await make('alpha', 'all', {})
    const use = async (name: string, value = token) =>
      read(s, `/generic/temporary/download/alpha/all/${name}?token=${value}`, {})
    assert.deepEqual(await use('inside'), [200, 'inside'])
    assert.equal((await use('outside'))[0], 404)
    assert.deepEqual(await use('outside', ofAdmin), [200, 'outside'])
    const change = (body: object) => s.account('/update', 'PUT', { appId: 'ci', ...body })
    await change({ scopeDesc: [{ field: 'PROJECT', operation: 'IN', value: ['gamma'] }] })
    assert.equal((await use('inside'))[0], 400)
    await change({ scopeDesc: [] })
    assert.deepEqual(await use('outside'), [200, 'outside'])
    await change({ locked: true })
    assert.equal((await use('inside'))[0], 400)
    await change({ locked: false })
    assert.equal((await use('inside'))[0], 200)
    await s.account('/delete/ci', 'DELETE')
    assert.equal((await use('inside'))[0], 400)
    await s.account('/create', 'POST', { appId: 'ci' })
    assert.equal((await use('inside'))[0], 400)
    assert.equal((await use('inside', ofAdmin))[0], 200)
  })
})

type Server = Awaited<ReturnType<typeof server>>

async function read({ url }: Server, path: string, headers: Record<string, string>) {
  const answer = await fetch(`${url}${path}`, { headers })
  return [answer.status, await answer.text()] as const
}

/** `alpha/all` shows `alpha/r1` with the file `inside` and `gamma/r1` with `outside`; the account `ci` is for `alpha`. */
async function twoProjects(s: Server) {
  const repo = (body: object) => s.call('POST', '/repository/api/repo/create', { type: 'GENERIC', ...body })
  for (const [name, file] of [
    ['alpha', 'inside'],
    ['gamma', 'outside'],
  ] as const) {
    await s.call('POST', '/repository/api/project/create', { name, displayName: name, description: 'x' })
    await repo({ projectId: name, name: 'r1', category: 'LOCAL' })
    await fetch(`${s.url}/generic/${name}/r1/${file}`, { method: 'PUT', body: file, headers: s.admin })
  }
  const repositoryList = ['alpha', 'gamma'].map((projectId) => ({ projectId, name: 'r1' }))
  await repo({ projectId: 'alpha', name: 'all', category: 'VIRTUAL', configuration: { repositoryList } })
  const scopeDesc = [{ field: 'PROJECT', operation: 'IN', value: ['alpha'] }]
  const { data: pair } = await s.account('/create', 'POST', { appId: 'ci', scopeDesc })
  return { as: (user: string) => ({ authorization: platform(pair), 'x-bkrepo-uid': user }) }
}
