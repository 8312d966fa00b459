import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDialect, startCluster, type TestDialect } from '../helpers/local-cluster.ts'

const PASSWORD = 'a long password'
const AUTH = '/auth/api'
const FILES = '/generic/demo/files'

interface Answer {
  readonly status: number
  readonly code: number
  // Tests look into answers of every shape.
  // biome-ignore lint/suspicious/noExplicitAny: the assertions are the check
  readonly data: any
}

/** A server with the project `demo`, its private repository `files` and some users without any right. */
async function serverWith(dialect: TestDialect, ...users: string[]) {
  const cluster = await startCluster({ name: 'one', dialect })
  const headersOf = (user: string): Record<string, string> => {
    if (user === 'nobody') return {}
    const password = user === 'admin' ? cluster.password : PASSWORD
    return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` }
  }
  async function call(user: string, method: string, path: string, body?: unknown): Promise<Answer> {
    const json = body === undefined || typeof body === 'string' ? {} : { 'content-type': 'application/json' }
    const payload = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
    const headers = { ...headersOf(user), ...json }
    const answer = await fetch(`${cluster.url}${path}`, { method, headers, ...(payload && { body: payload }) })
    const text = await answer.text()
    const envelope = text.startsWith('{"code"') ? (JSON.parse(text) as { code: number; data: unknown }) : undefined
    return { status: answer.status, code: envelope?.code ?? 0, data: envelope?.data }
  }
  async function must(user: string, method: string, path: string, body?: unknown) {
    const answer = await call(user, method, path, body)
    assert.deepEqual([path, answer.status, answer.code], [path, 200, 0])
    return answer.data
  }
  const project = (name: string) => ({ name, displayName: name, description: '' })
  await must('admin', 'POST', '/repository/api/project/create', project('demo'))
  await must('admin', 'POST', '/repository/api/repo/create', { projectId: 'demo', name: 'files', type: 'GENERIC' })
  for (const userId of users) {
    await must('admin', 'POST', `${AUTH}/user/create`, { userId, name: userId, pwd: PASSWORD })
  }
  const grant = async (users: string[], actions: string[], more: object = {}): Promise<string> => {
    const body = {
      resourceType: 'NODE',
      projectId: 'demo',
      permName: `p${++names}`,
      repos: ['files'],
      users,
      actions,
      ...more,
    }
    return (await must('admin', 'POST', `${AUTH}/permission/create`, body)).id
  }
  let names = 0
  return { call, must, grant, project, [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose]() }
}

eachDialect('permissions', (dialect) => {
  it('given a permission with patterns, when files are used, then paths decide on segment boundaries, at once and until taken away', async () => {
    await using s = await serverWith(dialect, 'ann')
    const names = ['/data/report/a', '/data/report-secret', '/data/report/hidden/b', '/top']
    for (const name of names) await s.must('admin', 'PUT', `${FILES}${name}`, 'x')
    const seen = async () => {
      const codes = []
      for (const name of names) codes.push((await s.call('ann', 'GET', `${FILES}${name}`)).status)
      return codes
    }
    assert.deepEqual(await seen(), [403, 403, 403, 403])
    const id = await s.grant(['ann'], ['READ'], {
      includePattern: ['/data/report/'],
      excludePattern: ['/data/report/hidden'],
    })
    assert.deepEqual(await seen(), [200, 403, 403, 403])
    assert.equal((await s.call('ann', 'PUT', `${FILES}/data/report/new`, 'x')).code, 250113)
    assert.equal((await s.call('ann', 'GET', `${FILES}/data/report/../report-secret`)).status, 403)
    assert.equal((await s.call('ann', 'GET', `${FILES}/data/report/none`)).code, 251010)
    await s.must('admin', 'PUT', `${AUTH}/permission/user`, { permissionId: id, userId: [] })
    assert.deepEqual(await seen(), [403, 403, 403, 403])
    await s.must('admin', 'PUT', `${AUTH}/permission/user`, { permissionId: id, userId: ['ann'] })
    const lists = { user: 'userId', role: 'rId', repo: 'repos', includePath: 'path', excludePath: 'path' }
    for (const what of [...Object.keys(lists), 'action']) {
      const { status, code } = await s.call('admin', 'PUT', `${AUTH}/permission/${what}`, { permissionId: id })
      assert.deepEqual([status, code], [400, 250103], `${what} without its list`)
    }
    assert.deepEqual(await seen(), [200, 403, 403, 403])
    await s.must('admin', 'PUT', `${AUTH}/permission/excludePath`, { permissionId: id, path: [] })
    assert.deepEqual(await seen(), [200, 403, 200, 403])
    await s.must('admin', 'DELETE', `${AUTH}/permission/delete/${id}`)
    assert.deepEqual(await seen(), [403, 403, 403, 403])
  })

  it('given excluded paths, when folders are listed, counted or deleted, then what is hidden is neither told nor destroyed', async () => {
    await using s = await serverWith(dialect, 'ann', 'bob')
    for (const name of ['/a/open/1', '/a/secret/2', '/b/3']) await s.must('admin', 'PUT', `${FILES}${name}`, 'x')
    await s.grant(['ann'], ['READ', 'DELETE'], { excludePattern: ['/a/secret'] })
    await s.grant(['bob'], ['READ'], { includePattern: ['/a/open'] })
    const page = async (user: string, path: string) => {
      const answer = await s.call(user, 'GET', `/repository/api/node/page/demo/files${path}`)
      if (answer.code !== 0) return answer.code
      const { records, totalRecords } = answer.data
      assert.equal(records.length, totalRecords)
      return records.map(({ fullPath }: { fullPath: string }) => fullPath).sort()
    }
    assert.deepEqual(await page('ann', '/?deep=true'), ['/a', '/a/open', '/a/open/1', '/b', '/b/3'])
    assert.deepEqual(await page('ann', '/a'), ['/a/open'])
    assert.equal(await page('ann', '/a/secret'), 250113)
    assert.deepEqual(await page('bob', ''), ['/a'])
    assert.deepEqual(await page('bob', '/a'), ['/a/open'])
    assert.deepEqual(await page('bob', '/a/open'), ['/a/open/1'])
    assert.equal(await page('bob', '/b'), 250113)
    const node = (user: string, method: string, what: string) => s.call(user, method, `/repository/api/node/${what}`)
    assert.equal((await node('ann', 'GET', 'size/demo/files/a')).code, 250113)
    assert.equal((await node('ann', 'GET', 'size/demo/files/b')).code, 0)
    assert.equal((await node('ann', 'GET', 'detail/demo/files/a')).code, 0)
    assert.equal((await node('ann', 'DELETE', 'delete/demo/files/a')).code, 250113)
    assert.equal((await s.call('ann', 'DELETE', `${FILES}/a`)).code, 250113)
    assert.equal((await node('ann', 'DELETE', 'delete/demo/files/a/open')).code, 0)
    assert.equal((await s.call('admin', 'GET', `${FILES}/a/secret/2`)).status, 200)
  })

  it('given a project administrator, when the project is run, then it works there and nowhere else', async () => {
    await using s = await serverWith(dialect, 'bob')
    await s.must('admin', 'POST', '/repository/api/project/create', s.project('other'))
    const pat = { userId: 'pat', name: 'Pat', pwd: PASSWORD, projectId: 'demo' }
    await s.must('admin', 'POST', `${AUTH}/user/create/project`, pat)
    assert.equal(
      (await s.call('admin', 'POST', `${AUTH}/user/create/project`, { ...pat, userId: 'x1', projectId: 'no' })).code,
      250217,
    )
    assert.equal((await s.call('admin', 'GET', `${AUTH}/user/detail/x1`)).code, 250202)
    assert.equal(await s.must('pat', 'GET', `${AUTH}/user/admin/demo`), true)
    assert.equal(await s.must('pat', 'GET', `${AUTH}/user/admin/other`), false)
    assert.equal(await s.must('bob', 'GET', `${AUTH}/user/admin/demo`), false)

    const repo = (projectId: string, name: string) => ({ projectId, name, type: 'GENERIC' })
    await s.must('pat', 'POST', '/repository/api/repo/create', repo('demo', 'mine'))
    assert.equal((await s.call('pat', 'POST', '/repository/api/repo/create', repo('other', 'mine'))).code, 250113)
    assert.equal((await s.call('bob', 'POST', '/repository/api/repo/create', repo('demo', 'his'))).code, 250113)
    await s.must('pat', 'PUT', '/generic/demo/mine/f', 'x')
    const listed = await s.must('pat', 'GET', '/repository/api/repo/list/demo')
    assert.deepEqual(
      listed.map(({ name }: { name: string }) => name),
      ['files', 'mine'],
    )
    const projects = async (user: string) =>
      (await s.must(user, 'GET', '/repository/api/project/list')).map(({ name }: { name: string }) => name)
    assert.deepEqual([await projects('pat'), await projects('bob')], [['demo'], []])

    const role = await s.must('pat', 'POST', `${AUTH}/role/create`, {
      name: 'Writers',
      type: 'PROJECT',
      projectId: 'demo',
      roleId: 'writers',
    })
    const of = { projectId: 'demo', permName: 'w', repos: ['mine'], roles: [role], actions: ['WRITE'] }
    await s.must('pat', 'POST', `${AUTH}/permission/create`, { ...of, resourceType: 'REPO' })
    assert.equal((await s.call('bob', 'PUT', '/generic/demo/mine/g', 'x')).code, 250113)
    await s.must('pat', 'POST', `${AUTH}/user/role/bob/${role}`)
    await s.must('bob', 'PUT', '/generic/demo/mine/g', 'x')
    assert.equal((await s.call('bob', 'GET', '/generic/demo/mine/g')).status, 403)
    assert.deepEqual(await projects('bob'), ['demo'])
    assert.deepEqual(
      (await s.must('bob', 'GET', '/repository/api/repo/list/demo')).map(({ name }: { name: string }) => name),
      ['mine'],
    )

    for (const [method, path, body] of [
      ['POST', '/role/create', { name: 'x', type: 'PROJECT', projectId: 'other' }],
      ['GET', '/role/list', undefined],
      ['GET', '/role/list?projectId=other', undefined],
      ['POST', '/permission/create', { ...of, resourceType: 'REPO', projectId: 'other' }],
      ['POST', '/permission/create', { resourceType: 'SYSTEM', permName: 's', actions: ['MANAGE'] }],
      ['POST', '/permission/create', { resourceType: 'REPLICATION', permName: 's', actions: ['WRITE'] }],
      ['GET', '/permission/list', undefined],
      ['POST', '/permission/check', { uid: 'bob', resourceType: 'PROJECT', action: 'READ', projectId: 'other' }],
      ['POST', '/user/create/project', pat],
      ['GET', '/user/list', undefined],
    ] as const) {
      assert.equal((await s.call('pat', method, `${AUTH}${path}`, body)).code, 250113, path)
      assert.equal((await s.call('nobody', method, `${AUTH}${path}`, body)).code, 250114, path)
    }
  })

  it('given roles and permissions, when they are named wrongly or twice, then each is refused by its code', async () => {
    await using s = await serverWith(dialect, 'ann')
    const role = { name: 'R', type: 'PROJECT', projectId: 'demo', roleId: 'r' }
    const id = await s.must('admin', 'POST', `${AUTH}/role/create`, role)
    const permission = { resourceType: 'REPO', projectId: 'demo', permName: 'p', repos: ['files'], actions: ['READ'] }
    await s.must('admin', 'POST', `${AUTH}/permission/create`, permission)
    await s.must('admin', 'PATCH', `${AUTH}/user/role/add/${id}`, ['ann'])
    for (const [method, path, body, code] of [
      ['POST', '/role/create', role, 250206],
      ['POST', '/role/create', { ...role, projectId: 'none' }, 250217],
      ['POST', '/role/create', { ...role, type: 'REPO', repoName: 'none' }, 250221],
      ['POST', '/role/create', { ...role, type: 'REPO' }, 250105],
      ['POST', '/role/create', { ...role, type: 'OTHER' }, 250106],
      ['POST', '/role/create', { ...role, name: ' ' }, 250104],
      ['GET', '/role/detail/none', undefined, 250205],
      ['DELETE', `/role/delete/${id}`, undefined, 250222],
      ['POST', '/permission/create', permission, 250207],
      ['POST', '/permission/create', { ...permission, projectId: 'none' }, 250217],
      ['POST', '/permission/create', { ...permission, permName: 'q', repos: ['none'] }, 250221],
      ['POST', '/permission/create', { ...permission, permName: 'q', repos: [] }, 250104],
      ['POST', '/permission/create', { ...permission, permName: 'q', users: ['none'] }, 250202],
      ['POST', '/permission/create', { ...permission, permName: 'q', roles: ['none'] }, 250205],
      ['POST', '/permission/create', { ...permission, permName: 'q', actions: ['FLY'] }, 250106],
      ['POST', '/permission/create', { ...permission, permName: 'q', actions: [] }, 250104],
      ['POST', '/permission/create', { ...permission, permName: 'q', departments: ['d'] }, 250112],
      ['POST', '/permission/create', { ...permission, permName: 'q', resourceType: 'ENDPOINT' }, 250112],
      ['POST', '/permission/create', { ...permission, permName: 'q', includePattern: ['/a\u0001'] }, 251011],
      ['DELETE', '/permission/delete/none', undefined, 250208],
      ['PUT', '/permission/user', { permissionId: 'none', userId: [] }, 250208],
      ['POST', '/permission/check', { uid: 'ann', resourceType: 'REPO', action: 'READ', projectId: 'demo' }, 250209],
      [
        'POST',
        '/permission/check',
        { uid: 'ann', resourceType: 'REPO', action: 'READ', projectId: 'no', repoName: 'x' },
        250217,
      ],
      ['POST', `/user/role/none/${id}`, undefined, 250202],
      ['POST', '/user/role/ann/none', undefined, 250205],
    ] as const) {
      assert.equal(
        (await s.call('admin', method, `${AUTH}${path}`, body)).code,
        code,
        `${path} ${JSON.stringify(body)}`,
      )
    }
    const listed = await s.must('admin', 'GET', `${AUTH}/permission/list?projectId=demo&repoName=files`)
    const names = listed.map(({ permName }: { permName: string }) => permName)
    assert.deepEqual(names, ['p', 'repo_admin', 'repo_user', 'repo_viewer'])
    assert.deepEqual(await s.must('admin', 'GET', `${AUTH}/role/users/${id}`), [{ userId: 'ann', name: 'ann' }])
    assert.deepEqual((await s.must('admin', 'GET', `${AUTH}/user/detail/ann`)).roles, [id])
    assert.deepEqual((await s.must('admin', 'GET', `${AUTH}/role/list?projectId=demo`))[0], {
      ...{ id, ...role, repoName: null, admin: false, description: null },
    })
    await s.must('admin', 'DELETE', `${AUTH}/user/role/ann/${id}`)
    await s.must('admin', 'DELETE', `${AUTH}/role/delete/${id}`)
    assert.deepEqual((await s.must('admin', 'GET', `${AUTH}/user/detail/ann`)).roles, [])
  })

  it('given rights of a user or in a repository, when it is deleted and made again, then nobody has them', async () => {
    await using s = await serverWith(dialect, 'ann')
    await s.must('admin', 'PUT', `${FILES}/f`, 'x')
    await s.grant(['ann'], ['READ'])
    const read = async () => (await s.call('ann', 'GET', `${FILES}/f`)).status
    assert.equal(await read(), 200)
    await s.must('admin', 'DELETE', `${AUTH}/user/delete/ann`)
    await s.must('admin', 'POST', `${AUTH}/user/create`, { userId: 'ann', name: 'Ann', pwd: PASSWORD })
    assert.equal(await read(), 403)
    const admin = { userId: 'ria', name: 'Ria', pwd: PASSWORD, projectId: 'demo', repoName: 'files' }
    await s.must('admin', 'POST', `${AUTH}/user/create/repo`, admin)
    await s.must('ria', 'GET', `/repository/api/repo/info/demo/files`)
    await s.must('ria', 'DELETE', `/repository/api/repo/delete/demo/files?forced=true`)
    await s.must('admin', 'POST', '/repository/api/repo/create', { projectId: 'demo', name: 'files', type: 'GENERIC' })
    assert.equal((await s.call('ria', 'GET', `/repository/api/repo/info/demo/files`)).code, 250113)
    assert.deepEqual(await s.must('admin', 'GET', `${AUTH}/role/list?projectId=demo`), [])
  })

  it('given a group, when its members come, then they may do what it may, until they leave or it is locked', async () => {
    await using s = await serverWith(dialect, 'ann')
    const team = { userId: 'team', name: 'Team', pwd: PASSWORD, group: true, asstUsers: ['ann'] }
    await s.must('admin', 'POST', `${AUTH}/user/create`, team)
    await s.must('admin', 'PUT', `${FILES}/f`, 'x')
    await s.grant(['team'], ['READ'])
    const read = async () => (await s.call('ann', 'GET', `${FILES}/f`)).status
    const update = (body: object) => s.must('admin', 'PUT', `${AUTH}/user/update/info/team`, body)
    assert.equal(await read(), 200)
    await update({ locked: true })
    assert.equal(await read(), 403)
    await update({ locked: false })
    assert.equal(await read(), 200)
    await update({ asstUsers: [] })
    assert.equal(await read(), 403)
    assert.equal((await s.call('admin', 'PUT', `${AUTH}/user/update/info/ann`, { asstUsers: ['team'] })).code, 250105)
    assert.equal((await s.call('team', 'PUT', `${AUTH}/user/update/info/team`, { asstUsers: ['ann'] })).code, 250113)
    assert.equal((await s.must('admin', 'GET', `${AUTH}/user/detail/team`)).group, true)
  })

  it('given a user, when it is checked what it may do, then the answer is that of a request', async () => {
    await using s = await serverWith(dialect, 'ann')
    await s.grant(['ann'], ['READ'], { excludePattern: ['/secret'] })
    const question = {
      uid: 'ann',
      resourceType: 'NODE',
      action: 'DOWNLOAD',
      projectId: 'demo',
      repoName: 'files',
      path: '/a',
    }
    const check = (more: object, user = 'admin') =>
      s.must(user, 'POST', `${AUTH}/permission/check`, { ...question, ...more })
    assert.equal(await check({}), true)
    assert.equal(await check({}, 'ann'), true)
    assert.equal(await check({ path: '/secret/x' }), false)
    assert.equal(await check({ action: 'WRITE' }), false)
    assert.equal(await check({ resourceType: 'REPO' }), false)
    assert.equal(await check({ uid: 'gone' }), false)
    for (const unknown of [
      { projectId: 'nowhere' },
      { repoName: 'nowhere' },
      { projectId: 'nowhere', resourceType: 'PROJECT' },
    ]) {
      assert.equal(await check(unknown, 'ann'), false)
      const answer = await s.call('admin', 'POST', `${AUTH}/permission/check`, { ...question, ...unknown })
      assert.equal(answer.status, 400)
    }
    assert.equal(await check({ uid: 'anonymous' }), false)
    assert.equal(await check({ uid: 'admin', action: 'MANAGE' }), true)
    await s.must('admin', 'PUT', `${AUTH}/user/update/info/ann`, { locked: true })
    assert.equal(await check({}), false)
    await s.must('admin', 'POST', '/repository/api/repo/update/demo/files', { public: true })
    assert.equal(await check({ uid: 'anonymous' }), true)
    assert.equal(await check({}), false)
  })

  it('given a project that a user may not see, when asked whether it is there, then the answer is that of one that is not', async () => {
    await using s = await serverWith(dialect, 'ann', 'bob')
    const exists = (user: string, name: string) => s.must(user, 'GET', `/repository/api/project/exist/${name}`)
    await s.grant(['ann'], ['READ'])
    assert.deepEqual([await exists('admin', 'demo'), await exists('admin', 'nowhere')], [true, false])
    assert.deepEqual([await exists('ann', 'demo'), await exists('bob', 'demo')], [true, false])
    await s.must('admin', 'POST', '/repository/api/repo/update/demo/files', { public: true })
    assert.equal(await exists('bob', 'demo'), true)
  })

  it('given a REPLICATION permission, when its user calls the protocol between clusters, then the calls it names are open', async () => {
    await using s = await serverWith(dialect, 'peer')
    const pull = () => s.call('peer', 'POST', '/sync/v1/links/x/open', {})
    assert.equal((await pull()).status, 403)
    const body = { resourceType: 'REPLICATION', permName: 'peer', users: ['peer'], actions: ['WRITE', 'VIEW'] }
    await s.must('admin', 'POST', `${AUTH}/permission/create`, body)
    assert.notEqual((await pull()).status, 403)
    assert.equal((await s.call('peer', 'GET', '/auth/api/user/list')).code, 250113)
  })
})
