import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type ArtifactApi, artifactApi } from '../../../test/helpers/artifact-api.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { createProxyRepository as create } from '../../../test/helpers/proxies.ts'
import { scriptedUpstream } from '../../../test/helpers/scripted-upstream.ts'

const membersOf = (...names: string[]) => ({ repositoryList: names.map((name) => ({ projectId: 'demo', name })) })
const put = (api: ArtifactApi, repo: string, path: string, body: string) =>
  api.send('PUT', `/generic/demo/${repo}${path}`, { body, headers: { 'x-bkrepo-overwrite': 'true' } })
const read = async (api: ArtifactApi, path: string, user = 'admin') => {
  const { status, code, body } = await api.send('GET', `/generic/demo/all${path}`, { user })
  return status === 200 ? body.toString() : code
}
const update = (api: ArtifactApi, repo: string, configuration: object) =>
  api.send('POST', `/repository/api/repo/update/demo/${repo}`, { body: { configuration } })

eachDatabase('VIRTUAL repositories', (make) => {
  it('given members with the same path, when read, listed and sized, then the first one counts', async () => {
    await using api = await artifactApi(await make())
    await create(api, 'a1', 'LOCAL', {})
    await create(api, 'b1', 'COMPOSITE', {})
    await create(api, 'all', 'VIRTUAL', membersOf('a1', 'b1'))
    await put(api, 'a1', '/d/same.txt', 'from a')
    await put(api, 'b1', '/d/same.txt', 'from b!')
    await put(api, 'b1', '/d/only-b.txt', 'b')
    assert.equal(await read(api, '/d/same.txt'), 'from a')
    assert.equal(await read(api, '/d/only-b.txt'), 'b')
    assert.equal(await read(api, '/d/none'), 251010)
    assert.equal(await read(api, '/d'), 251205)
    const detail = await api.send('GET', '/repository/api/node/detail/demo/all/d/same.txt')
    assert.deepEqual([detail.data.size, detail.data.repoName], [6, 'all'])
    const page = await api.send('GET', '/repository/api/node/page/demo/all/d?sort=true')
    assert.deepEqual(
      page.data.records.map(({ name, size }: { name: string; size: number }) => [name, size]),
      [
        ['only-b.txt', 1],
        ['same.txt', 6],
      ],
    )
    const size = await api.send('GET', '/repository/api/node/size/demo/all')
    assert.deepEqual(size.data, { subNodeCount: 3, size: 7 })
    const root = await api.send('GET', '/repository/api/node/page/demo/all?deep=true&includeFolder=false')
    assert.equal(root.data.totalRecords, 2)
    await update(api, 'all', membersOf('b1', 'a1'))
    assert.equal(await read(api, '/d/same.txt'), 'from b!')
    assert.equal((await api.send('HEAD', '/generic/demo/all/d/same.txt')).headers['content-length'], '7')
  })

  it('given REMOTE members, when asked for, then files that users brought come first, and the first upstream that has it fetches', async () => {
    await using one = await scriptedUpstream()
    await using two = await scriptedUpstream()
    await using api = await artifactApi(await make())
    await create(api, 'one', 'REMOTE', { url: one.url })
    await create(api, 'two', 'REMOTE', { url: two.url })
    await create(api, 'mine', 'LOCAL', {})
    await create(api, 'all', 'VIRTUAL', membersOf('one', 'two', 'mine'))
    for (const path of ['/x', '/y']) two.serve(path, 'upstream')
    await put(api, 'mine', '/x', 'mine')
    assert.equal(await read(api, '/x'), 'mine')
    assert.deepEqual([one.asked, two.asked], [[], []])
    assert.equal(await read(api, '/y'), 'upstream')
    assert.equal(await read(api, '/y'), 'upstream')
    assert.deepEqual([one.asked, two.asked], [['GET /y'], ['GET /y']])
    const stored = await api.send('GET', '/repository/api/node/detail/demo/two/y')
    assert.equal(stored.status, 200)
    one.script('/z', (_request, response) => response.writeHead(500).end())
    assert.equal(await read(api, '/z'), 250116)
    two.serve('/z', 'z')
    await api.clock.advance(30_000)
    assert.equal(await read(api, '/z'), 'z')
  })

  it('given members that the caller may not read, when read and listed, then they are passed over', async () => {
    await using api = await artifactApi(await make())
    await create(api, 'secret', 'LOCAL', {})
    await create(api, 'open', 'LOCAL', {})
    await create(api, 'all', 'VIRTUAL', membersOf('secret', 'open'))
    for (const repo of ['open', 'all'])
      await api.send('POST', `/repository/api/repo/update/demo/${repo}`, { body: { public: true } })
    await put(api, 'secret', '/x', 'secret')
    await put(api, 'secret', '/s', 'secret')
    await put(api, 'open', '/x', 'open')
    assert.equal(await read(api, '/x'), 'secret')
    assert.equal(await read(api, '/x', ''), 'open')
    assert.equal(await read(api, '/s', ''), 251010)
    const page = await api.send('GET', '/repository/api/node/page/demo/all', { user: '' })
    assert.equal(page.data.totalRecords, 1)
    assert.equal((await api.send('GET', '/repository/api/node/detail/demo/all/s', { user: '' })).code, 251010)
    assert.equal((await api.send('GET', '/repository/api/metadata/demo/all/s', { user: '' })).code, 251010)
  })

  it('given metadata of a file in a member, when asked for where it is shown, then it is that of the member', async () => {
    await using api = await artifactApi(await make())
    await create(api, 'a1', 'LOCAL', {})
    await create(api, 'all', 'VIRTUAL', membersOf('a1'))
    await put(api, 'a1', '/x', 'x')
    await api.send('POST', '/repository/api/metadata/demo/a1/x', { body: { metadata: { color: 'red' } } })
    const { status, data } = await api.send('GET', '/repository/api/metadata/demo/all/x')
    assert.deepEqual([status, data], [200, { color: 'red' }])
  })

  it('given members and upstreams, when repositories are read or listed, then only who manages them learns of those', async () => {
    await using upstream = await scriptedUpstream()
    await using api = await artifactApi(await make())
    const { url } = upstream
    await create(api, 'secret', 'LOCAL', {})
    await create(api, 'far', 'REMOTE', { url, credentials: { username: 'robot', password: 'hidden' } })
    await create(api, 'all', 'VIRTUAL', membersOf('secret', 'far'))
    for (const repo of ['far', 'all'])
      await api.send('POST', `/repository/api/repo/update/demo/${repo}`, { body: { public: true } })
    const paths = ['info/demo/far', 'info/demo/all', 'info/demo/all/GENERIC', 'list/demo', 'page/demo/1/20']
    for (const path of paths) {
      const seen = async (user: string) => {
        const { status, body } = await api.send('GET', `/repository/api/repo/${path}`, { user })
        const text = body.toString()
        return [status, text.includes(url) || text.includes('"secret"'), text.includes('"settings":{}')]
      }
      assert.deepEqual(await seen('bob'), [200, false, true], path)
      assert.deepEqual(await seen('admin'), [200, true, true], path)
    }
  })

  it('given writes, when tried, then 250112, and a deleted member is skipped', async () => {
    await using api = await artifactApi(await make())
    await create(api, 'a1', 'LOCAL', {})
    await create(api, 'b1', 'LOCAL', {})
    await create(api, 'all', 'VIRTUAL', membersOf('a1', 'b1'))
    assert.deepEqual(
      [(await put(api, 'all', '/x', 'x')).status, (await put(api, 'all', '/x', 'x')).code],
      [405, 250112],
    )
    assert.equal((await api.send('POST', '/repository/api/node/mkdir/demo/all/d')).code, 250112)
    await put(api, 'b1', '/x', 'b')
    assert.equal((await api.send('DELETE', '/repository/api/repo/delete/demo/a1')).status, 200)
    assert.equal(await read(api, '/x'), 'b')
    assert.equal((await update(api, 'all', membersOf('a1', 'b1'))).status, 200)
  })

  it('given members that lead back, are unknown or doubled, when configured, then 250105 names them', async () => {
    await using api = await artifactApi(await make())
    await create(api, 'leaf', 'LOCAL', {})
    await create(api, 'va', 'VIRTUAL', membersOf('leaf'))
    await create(api, 'vb', 'VIRTUAL', membersOf('va'))
    await create(api, 'vc', 'VIRTUAL', membersOf('vb', 'leaf'))
    for (const [repo, members, why] of [
      ['va', ['vc'], /va > demo\/vc > demo\/vb > demo\/va/],
      ['va', ['leaf', 'va'], /repositoryList\[1\].*itself/],
      ['va', ['none'], /not found/],
      ['va', ['leaf', 'leaf'], /twice/],
    ] as const) {
      const { code, body } = await update(api, repo, membersOf(...members))
      assert.equal(code, 250105)
      assert.match(body.toString(), why)
    }
    const own = { projectId: 'demo', name: 'vd', type: 'GENERIC', category: 'VIRTUAL', configuration: membersOf('vd') }
    assert.equal((await api.send('POST', '/repository/api/repo/create', { body: own })).code, 250105)
    // A cycle by a name that is free for the moment.
    await api.send('DELETE', '/repository/api/repo/delete/demo/va')
    const again = { ...own, name: 'va', configuration: membersOf('vc') }
    assert.equal((await api.send('POST', '/repository/api/repo/create', { body: again })).code, 250105)
    const both = await Promise.all([
      create(api, 'x1', 'VIRTUAL', membersOf('leaf')),
      create(api, 'x2', 'VIRTUAL', membersOf('leaf')),
    ]).then(() => Promise.all([update(api, 'x1', membersOf('x2')), update(api, 'x2', membersOf('x1'))]))
    assert.deepEqual(both.map(({ status }) => status).sort(), [200, 400])
  })
})

eachDatabase('COMPOSITE repositories with channels', (make) => {
  it('given channels, when a file is missing, then they are asked in order, what is found stays, and uploads work', async () => {
    await using one = await scriptedUpstream()
    await using two = await scriptedUpstream()
    await using api = await artifactApi(await make())
    const channelList = [
      { public: false, name: 'first', url: one.url, username: 'u', password: 'p1' },
      { public: true, name: 'second', url: two.url },
    ]
    const made = await create(api, 'all', 'COMPOSITE', { proxy: { channelList } })
    assert.equal(made.configuration.proxy.channelList[0].password, '******')
    two.serve('/x', 'second')
    assert.equal(await read(api, '/x'), 'second')
    assert.equal(await read(api, '/x'), 'second')
    assert.deepEqual([one.asked, two.asked], [['GET /x'], ['GET /x']])
    assert.equal(one.requests[0]?.headers.authorization, `Basic ${Buffer.from('u:p1').toString('base64')}`)
    assert.equal(two.requests[0]?.headers.authorization, undefined)
    assert.equal((await put(api, 'all', '/x', 'mine')).status, 200)
    assert.equal(await read(api, '/x'), 'mine')
    assert.equal(await read(api, '/none'), 251010)
    one.script('/y', (_request, response) => response.writeHead(503).end())
    assert.equal(await read(api, '/y'), 250116)
    two.serve('/y', 'y')
    assert.equal(await read(api, '/y'), 'y')
  })

  it('given an upload while the same path is fetched, when both end, then the upload stays', async () => {
    await using upstream = await scriptedUpstream()
    await using api = await artifactApi(await make())
    await create(api, 'all', 'COMPOSITE', { proxy: { channelList: [{ public: true, name: 'c', url: upstream.url }] } })
    const [wait, begun] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    upstream.script('/x', (_request, response) => {
      response.writeHead(200, { 'content-length': '8' }).write('upst')
      begun.resolve()
      void wait.promise.then(() => response.end('ream'))
    })
    const fetching = api.send('GET', '/generic/demo/all/x', { headers: { range: 'bytes=0-' } })
    await begun.promise
    await put(api, 'all', '/x', 'mine')
    wait.resolve()
    assert.equal((await fetching).body.toString(), 'mine')
    assert.equal(await read(api, '/x'), 'mine')
  })
})
