import assert from 'node:assert/strict'
import { it } from 'node:test'
import { artifactApi } from '../../../test/helpers/artifact-api.ts'
import { makeRepository } from '../../../test/helpers/artifacts.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'

const PROJECT = '/repository/api/project'
const REPO = '/repository/api/repo'
const project = { name: 'demo', displayName: 'Demo', description: 'what it is for' }

eachDatabase('project routes', (make) => {
  it('given a project, when created, then it is listed, exists, can be changed, and its name is taken', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    const made = await api.send('POST', `${PROJECT}/create`, { body: { ...project, unknownField: 1 } })
    assert.deepEqual(made.data, {
      ...project,
      metadata: [],
      createdBy: 'admin',
      createdDate: '2026-01-01T00:00:00.000',
      lastModifiedBy: 'admin',
      lastModifiedDate: '2026-01-01T00:00:00.000',
    })
    const again = await api.send('POST', `${PROJECT}/create`, { body: project })
    assert.deepEqual([again.status, again.code], [400, 251005])
    assert.equal((await api.send('GET', `${PROJECT}/exist/demo`)).data, true)
    assert.equal((await api.send('GET', `${PROJECT}/exist/other`)).data, false)
    assert.equal((await api.send('PUT', `${PROJECT}/demo`, { body: { displayName: 'New name' } })).status, 200)
    const [listed] = (await api.send('GET', `${PROJECT}/list`)).data
    assert.deepEqual([listed.displayName, listed.description], ['New name', 'what it is for'])
    assert.equal((await api.send('PUT', `${PROJECT}/other`, { body: {} })).code, 251004)
  })

  it('given bad fields, when created, then each is refused by its code and name', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    for (const [change, code, name] of [
      [{ name: undefined }, 250103, 'name'],
      [{ name: '' }, 250104, 'name'],
      [{ name: '1a' }, 250105, 'name'],
      [{ name: 'a' }, 250105, 'name'],
      [{ name: '../x' }, 250105, 'name'],
      [{ name: 7 }, 250106, 'name'],
      [{ displayName: 'x' }, 250105, 'displayName'],
      [{ displayName: 'x'.repeat(101) }, 250105, 'displayName'],
      [{ description: undefined }, 250103, 'description'],
      [{ description: 'a\u0000b' }, 250105, 'description'],
    ] as const) {
      const answer = await api.send('POST', `${PROJECT}/create`, { body: { ...project, ...change } })
      assert.deepEqual([answer.status, answer.code], [400, code], JSON.stringify(change))
      assert.match(answer.body.toString(), new RegExp(name))
    }
    assert.equal((await api.send('POST', `${PROJECT}/create`, { body: project, user: 'bob' })).code, 250113)
  })

  it('given several projects, when listed, then filters, order and visibility count', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    for (const name of ['beta', 'alpha', 'gamma']) {
      await api.clock.advance(1_000)
      await api.send('POST', `${PROJECT}/create`, { body: { ...project, name, displayName: `Project ${name}` } })
    }
    await makeRepository(api, 'gamma/open', 'public')
    const list = async (query: string, user = 'admin') =>
      (await api.send('GET', `${PROJECT}/list${query}`, { user })).data.map(({ name }: { name: string }) => name)
    assert.deepEqual(await list(''), ['alpha', 'beta', 'gamma'])
    assert.deepEqual(await list('?names=beta,gamma'), ['beta', 'gamma'])
    assert.deepEqual(await list('?names=beta&names=alpha'), ['alpha', 'beta'])
    assert.deepEqual(await list('?displayNames=Project%20beta'), ['beta'])
    assert.deepEqual(await list('?names='), [])
    assert.deepEqual(await list('?sortProperty=createdDate&direction=DESC'), ['gamma', 'alpha', 'beta'])
    assert.deepEqual(await list('', 'bob'), ['gamma'])
  })
})

eachDatabase('projects, paged', (make) => {
  it('given projects, when a page of the list is asked for, then it is an array of that page; search finds parts of names', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    for (const name of ['beta_1', 'Alpha', 'gamma']) {
      await api.send('POST', `${PROJECT}/create`, { body: { ...project, name, displayName: `50% ${name}` } })
    }
    await makeRepository(api, 'gamma/open', 'public')
    const names = (data: { name: string }[]) => data.map(({ name }) => name)
    const list = async (query: string) => names((await api.send('GET', `${PROJECT}/list${query}`)).data)
    assert.deepEqual(await list('?pageNumber=2&pageSize=2'), ['gamma'])
    assert.deepEqual(await list('?pageSize=1'), ['Alpha'])
    assert.deepEqual(await list('?pageNumber=1'), ['Alpha', 'beta_1', 'gamma'])
    const search = async (query: string, user = 'admin') =>
      (await api.send('GET', `${PROJECT}/search${query}`, { user })).data
    assert.deepEqual(names((await search('?name=LPH')).records), ['Alpha'])
    assert.deepEqual(names((await search('?name=a_1')).records), ['beta_1'])
    assert.deepEqual(names((await search('?displayName=0%25%20g')).records), ['gamma'])
    const page = await search('?pageSize=2&sortProperty=name&direction=DESC')
    assert.deepEqual(
      [names(page.records), page.totalRecords, page.totalPages, page.pageNumber],
      [['gamma', 'beta_1'], 3, 2, 1],
    )
    assert.deepEqual(names((await search('', 'bob')).records), ['gamma'])
  })

  it('given a project with metadata, when created and updated, then it is kept and replaced as a whole, and bounded', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    const metadata = [{ key: 'team', value: { name: 'x' } }]
    const made = await api.send('POST', `${PROJECT}/create`, { body: { ...project, metadata } })
    assert.deepEqual(made.data.metadata, metadata)
    const update = (body: object) => api.send('PUT', `${PROJECT}/demo`, { body })
    assert.equal((await update({ description: 'other' })).status, 200)
    assert.deepEqual((await api.send('GET', `${PROJECT}/list`)).data[0].metadata, metadata)
    await update({ metadata: [{ key: 'a', value: 1 }] })
    assert.deepEqual((await api.send('GET', `${PROJECT}/list`)).data[0].metadata, [{ key: 'a', value: 1 }])
    assert.equal((await update({ metadata: [{ key: 'x'.repeat(129), value: 1 }] })).code, 251035)
    assert.equal((await update({ metadata: [{ value: 1 }] })).code, 250103)
    assert.equal((await update({ displayName: 'x' })).code, 250105)
  })

  it('given users who may create projects by the configuration, when they do, then they may and others may not', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    const create = (user: string) =>
      api.send('POST', `${PROJECT}/create`, { user, body: { ...project, name: `by_${user}` } })
    assert.equal((await create('carol')).data.createdBy, 'carol')
    const repository = { projectId: 'by_carol', name: 'files', type: 'GENERIC' }
    assert.equal((await api.send('POST', `${REPO}/create`, { user: 'carol', body: repository })).status, 200)
    assert.equal((await api.send('POST', `${REPO}/create`, { user: 'bob', body: repository })).code, 250113)
    assert.equal((await create('bob')).code, 250113)
    assert.equal((await create('')).status, 401)
  })
})

eachDatabase('quota and lifetime routes', (make) => {
  it('given a repository, when its quota is read, set, lifted or set to nonsense, then answers say so', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    const url = `${REPO}/quota/demo/files`
    assert.deepEqual((await api.send('GET', url)).data, { quota: null, used: 0 })
    assert.equal((await api.send('POST', `${url}?quota=9007199254740991`)).data, null)
    assert.deepEqual((await api.send('GET', url)).data, { quota: Number.MAX_SAFE_INTEGER, used: 0 })
    assert.equal((await api.send('GET', `${REPO}/info/demo/files`)).data.quota, Number.MAX_SAFE_INTEGER)
    assert.equal((await api.send('POST', `${url}?quota=`)).status, 200)
    assert.deepEqual((await api.send('GET', url)).data, { quota: null, used: 0 })
    for (const [query, code] of [
      ['', 250103],
      ['?quota=-1', 250105],
      ['?quota=1.5', 250105],
      ['?quota=9007199254740992', 250105],
      ['?quota=x', 250105],
    ] as const) {
      assert.equal((await api.send('POST', `${url}${query}`)).code, code, query)
    }
    assert.equal((await api.send('POST', `${url}?quota=1`, { user: 'bob' })).code, 250113)
    assert.equal((await api.send('GET', url, { user: 'bob' })).code, 250113)
    assert.equal((await api.send('POST', `${REPO}/quota/demo/other?quota=1`)).code, 251006)
  })

  it('given a quota and display data, when a repository is created and updated, then they are kept', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await api.send('POST', `${PROJECT}/create`, { body: project })
    const shown = { display: false, owner: 'carol', visibility: 'team' }
    const body = { projectId: 'demo', name: 'files', type: 'GENERIC', quota: 100, ...shown }
    const made = (await api.send('POST', `${REPO}/create`, { body })).data
    assert.deepEqual({ ...made, ...shown, quota: 100, used: 0 }, made)
    await api.send('POST', `${REPO}/update/demo/files`, { body: { display: true, owner: null } })
    const { display, owner, visibility, quota } = (await api.send('GET', `${REPO}/info/demo/files`)).data
    assert.deepEqual([display, owner, visibility, quota], [true, 'carol', 'team', 100])
  })

  it('given files, when one gets an expiry and the old are cleaned, then both answer as the contract says', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    const put = (path: string) => api.send('PUT', `/generic/demo/files${path}`, { body: 'abc' })
    await put('/old')
    api.clock.advance(60_000)
    await put('/new')
    const node = '/repository/api/node'
    const update = (body: object, user = 'admin') => api.send('POST', `${node}/update/demo/files/new`, { body, user })
    assert.deepEqual([(await update({ expires: 2 })).code, (await update({ expires: 2 })).data], [0, null])
    const detail = async () => (await api.send('GET', `${node}/detail/demo/files/new`)).data
    assert.equal((await detail()).expireDate, '2026-01-03T00:01:00.000')
    await update({ expires: 0 })
    assert.equal((await detail()).expireDate, null)
    for (const [body, code] of [
      [{}, 250103],
      [{ expires: -1 }, 250105],
      [{ expires: 1.5 }, 250106],
      [{ expires: 400_000 }, 250105],
    ] as const) {
      assert.equal((await update(body)).code, code, JSON.stringify(body))
    }
    assert.equal((await update({ expires: 1 }, 'bob')).code, 250113)
    const clean = (query: string, user = 'admin') => api.send('DELETE', `${node}/clean/demo/files${query}`, { user })
    assert.deepEqual([(await clean('')).code, (await clean('?date=x')).code], [250103, 250105])
    assert.equal((await clean('?date=2026-01-01T00:00:30.000', 'bob')).code, 250113)
    assert.deepEqual((await clean('?date=2026-01-01T00:00:30.000')).data, {
      deletedNumber: 1,
      deletedSize: 3,
      deletedTime: '2026-01-01T00:01:00.000',
    })
    assert.equal((await api.send('GET', '/generic/demo/files/old')).code, 251010)
    assert.equal((await api.send('GET', '/generic/demo/files/new')).status, 200)
    assert.equal((await api.send('GET', `${REPO}/quota/demo/files`)).data.used, 3)
  })
})

eachDatabase('repository routes', (make) => {
  it('given a repository, when created, then it has the defaults of the contract and can be found', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await api.send('POST', `${PROJECT}/create`, { body: project })
    const body = { projectId: 'demo', name: 'files.a-b_c', type: 'GENERIC', quota: null, category: null }
    const made = await api.send('POST', `${REPO}/create`, { body })
    assert.deepEqual(made.data, {
      projectId: 'demo',
      name: 'files.a-b_c',
      type: 'GENERIC',
      category: 'COMPOSITE',
      public: false,
      description: null,
      displayName: null,
      display: true,
      owner: 'admin',
      visibility: null,
      configuration: { type: 'composite', settings: {} },
      storageCredentialsKey: null,
      quota: null,
      used: 0,
      createdBy: 'admin',
      createdDate: '2026-01-01T00:00:00.000',
      lastModifiedBy: 'admin',
      lastModifiedDate: '2026-01-01T00:00:00.000',
    })
    assert.deepEqual((await api.send('GET', `${REPO}/info/demo/files.a-b_c`)).data, made.data)
    assert.equal((await api.send('GET', `${REPO}/info/demo/files.a-b_c/GENERIC`)).status, 200)
    assert.equal((await api.send('GET', `${REPO}/info/demo/files.a-b_c/NPM`)).code, 251006)
    assert.equal((await api.send('GET', `${REPO}/exist/demo/files.a-b_c`)).data, true)
    assert.equal((await api.send('GET', `${REPO}/exist/demo/other`)).data, false)
    assert.equal((await api.send('GET', `${REPO}/info/demo/other`)).code, 251006)
    assert.equal((await api.send('GET', `${REPO}/info/other/files`)).code, 251004)
    const again = await api.send('POST', `${REPO}/create`, { body })
    assert.deepEqual([again.status, again.code], [400, 251007])
  })

  it('given options that are unknown or not built, when created, then they are refused by name and nothing is made', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await api.send('POST', `${PROJECT}/create`, { body: project })
    const body = { projectId: 'demo', name: 'files', type: 'GENERIC' }
    for (const [change, code, named] of [
      [{ projectId: 'nowhere' }, 251004, 'nowhere'],
      [{ name: '' }, 250104, 'name'],
      [{ name: 'f' }, 250105, 'name'],
      [{ name: 'a/b' }, 250105, 'name'],
      [{ type: undefined }, 250103, 'type'],
      [{ type: 'SOMETHING' }, 250106, 'type'],
      [{ type: 'NPM' }, 250112, 'type \\[NPM\\].*GENERIC'],
      [{ category: 'REMOTE' }, 250103, 'configuration.url'],
      [{ category: 'VIRTUAL' }, 250103, 'configuration.repositoryList'],
      [{ category: 'PROXY' }, 250112, 'category \\[PROXY\\]'],
      [{ category: 'OTHER' }, 250106, 'category'],
      [{ quota: -1 }, 250105, 'quota'],
      [{ quota: 1.5 }, 250106, 'quota'],
      [{ storageCredentialsKey: 'cold' }, 250112, 'storageCredentialsKey'],
      [{ configuration: 'text' }, 250106, 'configuration'],
      [{ configuration: { type: 'remote', url: 'http://x' } }, 250105, 'configuration.type'],
      [{ configuration: { type: 'composite', proxy: { channelList: [{ name: 'x' }] } } }, 250103, 'channelList'],
      [{ configuration: { settings: { cleanupStrategy: { enable: true } } } }, 250103, 'cleanupStrategy.cleanupType'],
      [{ configuration: { settings: { interceptors: [{ type: 'WEB' }] } } }, 250112, 'interceptors'],
    ] as const) {
      const answer = await api.send('POST', `${REPO}/create`, { body: { ...body, ...change } })
      assert.equal(answer.code, code, JSON.stringify(change))
      assert.match(answer.body.toString(), new RegExp(named))
    }
    assert.deepEqual((await api.send('GET', `${REPO}/list/demo`)).data, [])
  })

  it('given a repository, when updated, then fields that are left out or null stay', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    const update = (body: object) => api.send('POST', `${REPO}/update/demo/files`, { body })
    await api.clock.advance(1_000)
    await update({ public: true, description: 'd', displayName: 'n', configuration: { settings: { own: 1 } } })
    await update({ description: null, displayName: 'm' })
    const { data } = await api.send('GET', `${REPO}/info/demo/files`)
    assert.deepEqual(
      [data.public, data.description, data.displayName, data.configuration, data.lastModifiedDate],
      [true, 'd', 'm', { settings: { own: 1 }, type: 'composite' }, '2026-01-01T00:00:01.000'],
    )
    assert.equal((await update({ configuration: { type: 'virtual' } })).code, 250105)
    assert.equal((await api.send('POST', `${REPO}/update/demo/none`, { body: {} })).code, 251006)
  })

  it('given files in it, when deleted, then 251008 unless forced; its name is free and its old files do not come back', async (t) => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    await api.send('PUT', '/generic/demo/files/d/a', { body: 'x' })
    const refused = await api.send('DELETE', `${REPO}/delete/demo/files`)
    assert.deepEqual([refused.status, refused.code], [400, 251008])
    assert.equal((await api.send('DELETE', `${REPO}/delete/demo/files?forced=true`)).status, 200)
    assert.equal((await api.send('GET', '/generic/demo/files/d/a')).code, 251006)
    assert.equal((await api.send('DELETE', `${REPO}/delete/demo/files`)).code, 251006)
    await api.retirement.run(t.signal)
    const live = await db.read.selectFrom('node').select('id').where('deleted_at', 'is', null).execute()
    assert.deepEqual(live, [])
    const second = await makeRepository(api)
    assert.equal((await api.send('GET', '/generic/demo/files/d/a')).code, 251010)
    await api.send('POST', '/repository/api/node/mkdir/demo/files/only/folders')
    assert.equal((await api.send('DELETE', `${REPO}/delete/demo/files`)).status, 200)
    assert.notEqual(second.id, 1)
  })

  it('given several repositories, when listed and paged, then prefix, type and visibility count', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    for (const name of ['b-two', 'b-one', 'a_x']) {
      await makeRepository(api, `demo/${name}`, name === 'a_x' ? 'public' : 'private')
    }
    const list = async (query: string, user = 'admin') =>
      (await api.send('GET', `${REPO}/list/demo${query}`, { user })).data.map(({ name }: { name: string }) => name)
    assert.deepEqual(await list(''), ['a_x', 'b-one', 'b-two'])
    assert.deepEqual(await list('?name=b-'), ['b-one', 'b-two'])
    assert.deepEqual(await list('?name=b_'), [])
    assert.deepEqual(await list('?type=GENERIC'), ['a_x', 'b-one', 'b-two'])
    assert.deepEqual(await list('?type=NPM'), [])
    assert.deepEqual(await list('', 'bob'), ['a_x'])
    const { data } = await api.send('GET', `${REPO}/page/demo/2/1?name=b`)
    assert.deepEqual([data.totalRecords, data.totalPages, data.pageNumber, data.records[0].name], [2, 2, 2, 'b-two'])
    assert.equal((await api.send('GET', `${REPO}/page/demo/0/0`)).data.pageSize, 20)
    assert.equal((await api.send('GET', `${REPO}/list/nowhere`)).code, 251004)
    assert.equal((await api.send('GET', `${REPO}/page/demo/x/1`)).code, 250131)
  })

  it('given a user who is no administrator, when managing repositories, then it is refused', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    const body = { projectId: 'demo', name: 'mine', type: 'GENERIC' }
    for (const [method, path] of [
      ['POST', '/create'],
      ['POST', '/update/demo/files'],
      ['DELETE', '/delete/demo/files'],
      ['GET', '/info/demo/files'],
    ] as const) {
      assert.equal((await api.send(method, `${REPO}${path}`, { user: 'bob', body })).code, 250113, path)
      assert.equal((await api.send(method, `${REPO}${path}`, { user: '', body })).code, 250114, path)
    }
  })
})
