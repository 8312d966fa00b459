import assert from 'node:assert/strict'
import { it } from 'node:test'
import { artifactApi } from '../../test/helpers/artifact-api.ts'
import { makeRepository } from '../../test/helpers/artifacts.ts'
import { eachDatabase } from '../../test/helpers/databases.ts'

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
      configuration: { type: 'composite', settings: {} },
      storageCredentialsKey: null,
      quota: null,
      used: null,
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
      [{ name: 'f' }, 250105, 'name'],
      [{ name: 'a/b' }, 250105, 'name'],
      [{ type: undefined }, 250103, 'type'],
      [{ type: 'SOMETHING' }, 250106, 'type'],
      [{ type: 'NPM' }, 250112, 'type \\[NPM\\].*GENERIC'],
      [{ category: 'REMOTE' }, 250112, 'category \\[REMOTE\\]'],
      [{ category: 'VIRTUAL' }, 250112, 'category \\[VIRTUAL\\]'],
      [{ category: 'OTHER' }, 250106, 'category'],
      [{ quota: 10 }, 250112, 'quota'],
      [{ storageCredentialsKey: 'cold' }, 250112, 'storageCredentialsKey'],
      [{ configuration: 'text' }, 250106, 'configuration'],
      [{ configuration: { type: 'remote', url: 'http://x' } }, 250112, 'configuration.type'],
      [{ configuration: { type: 'composite', proxy: { channelList: [{ name: 'x' }] } } }, 250112, 'channelList'],
      [{ configuration: { settings: { cleanupStrategy: { enable: true } } } }, 250112, 'cleanupStrategy'],
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
    assert.equal((await update({ configuration: { type: 'virtual' } })).code, 250112)
    assert.equal((await api.send('POST', `${REPO}/update/demo/none`, { body: {} })).code, 251006)
  })

  it('given files in it, when deleted, then 251008 unless forced; its name is free and its old files do not come back', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    await api.send('PUT', '/generic/demo/files/d/a', { body: 'x' })
    const refused = await api.send('DELETE', `${REPO}/delete/demo/files`)
    assert.deepEqual([refused.status, refused.code], [400, 251008])
    assert.equal((await api.send('DELETE', `${REPO}/delete/demo/files?forced=true`)).status, 200)
    assert.equal((await api.send('GET', '/generic/demo/files/d/a')).code, 251006)
    assert.equal((await api.send('DELETE', `${REPO}/delete/demo/files`)).code, 251006)
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
