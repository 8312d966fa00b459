import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type ArtifactApi, artifactApi } from '../../../test/helpers/artifact-api.ts'
import { makeRepository } from '../../../test/helpers/artifacts.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'

const NODE = '/repository/api/node'
const upload = (api: ArtifactApi, at: string, body = at, headers = {}) =>
  api.send('PUT', `/generic/demo/${at}`, { body, headers })
const remove = (api: ArtifactApi, at: string) => api.send('DELETE', `${NODE}/delete/demo/${at}`)
const transfer = (api: ArtifactApi, kind: 'move' | 'copy', from: string, to: string, more = {}, user = 'admin') => {
  const [srcRepoName, ...src] = from.split('/')
  const [destRepoName, ...dest] = to.split('/')
  const ends = { srcProjectId: 'demo', srcRepoName, destProjectId: 'demo', destRepoName }
  const paths = { srcFullPath: `/${src.join('/')}`, destFullPath: `/${dest.join('/')}` }
  return api.send('POST', `${NODE}/${kind}`, { body: { ...ends, ...paths, ...more }, user })
}
const tree = async (api: ArtifactApi, repo: string) => {
  const { data } = await api.send('GET', `${NODE}/page/demo/${repo}/?deep=true&includeFolder=false`)
  return data.records.map(({ fullPath }: { fullPath: string }) => fullPath)
}
async function filled(api: ArtifactApi): Promise<void> {
  await makeRepository(api, 'demo/aa')
  await makeRepository(api, 'demo/bb')
  for (const at of ['aa/d/x/one', 'aa/d/two', 'aa/file', 'bb/there']) await upload(api, at)
}

eachDatabase('tree routes', (make) => {
  it('given move, copy and rename, when called, then the answer says what went where', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await filled(api)
    const copied = await transfer(api, 'copy', 'aa/d', 'bb/new')
    assert.deepEqual(copied.data, {
      projectId: 'demo',
      repoName: 'bb',
      fullPath: '/new',
      fileNumber: 2,
      folderNumber: 2,
      size: 18,
    })
    assert.deepEqual(await tree(api, 'bb'), ['/new/two', '/new/x/one', '/there'])
    const same = { destProjectId: undefined, destRepoName: null }
    assert.equal((await transfer(api, 'move', 'aa/file', 'aa/d', same)).data.fullPath, '/d/file')
    const renamed = await api.send('POST', `${NODE}/rename/demo/aa/d?newFullPath=e%20f//g`)
    assert.deepEqual([renamed.status, renamed.data.fullPath], [200, '/e f/g'])
    assert.deepEqual(await tree(api, 'aa'), ['/e f/g/file', '/e f/g/two', '/e f/g/x/one'])
    const bytes = await api.send('GET', '/generic/demo/bb/new/x/one')
    assert.equal(bytes.body.toString(), 'aa/d/x/one')
    // No byte was copied: one blob for each content.
    assert.equal((await db.read.selectFrom('blob').select('sha256').execute()).length, 4)
    assert.deepEqual((await api.send('GET', `${NODE}/operations/demo/aa`)).data, [])
  })

  it('given acceptance 15.11, when moved or copied against the rules, then each has its code and nothing changes', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await filled(api)
    await upload(api, 'aa/t/d')
    const before = [await tree(api, 'aa'), await tree(api, 'bb')]
    for (const kind of ['move', 'copy'] as const) {
      for (const [from, to, code, more] of [
        ['aa/d', 'aa/d/x', 251013],
        ['aa/d', 'aa/d/x/deeper', 251013],
        ['aa/d', 'aa/file', 251013],
        ['aa/d', 'aa/t', 251013],
        ['aa/file', 'bb/there', 251013],
        ['aa/none', 'bb/x', 251010],
        ['aa/d', 'zz/x', 251006],
        ['zz/d', 'aa/x', 251006],
        ['aa/d', 'aa/../../d', 0],
        ['aa/d', 'aa/', 0],
        ['aa/d', 'bb/x', 251004, { destProjectId: 'nowhere' }],
        ['aa/d', 'bb/x', 250104, { destFullPath: ' ' }],
        ['aa/d', 'bb/x', 250103, { srcFullPath: undefined }],
        ['aa/d', 'bb/x', 251011, { destFullPath: '/a\u0001' }],
      ] as const) {
        const answer = await transfer(api, kind, from, to, more)
        assert.equal(answer.code, code, `${kind} ${from} ${to} ${JSON.stringify(more)}`)
      }
    }
    assert.equal((await transfer(api, 'move', 'aa/', 'bb/x')).code, 250105)
    for (const [query, code] of [
      ['newFullPath=/file', 251012],
      ['newFullPath=/d', 251012],
      ['newFullPath=/d/x/y', 251013],
      ['newFullPath=', 250104],
      ['', 250103],
    ] as const) {
      assert.equal((await api.send('POST', `${NODE}/rename/demo/aa/d?${query}`)).code, code, query)
    }
    assert.equal((await api.send('POST', `${NODE}/rename/demo/aa/none?newFullPath=/x`)).code, 251010)
    assert.deepEqual([await tree(api, 'aa'), await tree(api, 'bb')], before)
  })

  it('given a user without rights at either end, when copying or moving across projects, then 250113, 250114 without login', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await filled(api)
    await makeRepository(api, 'demo/open', 'public')
    await makeRepository(api, 'other/closed')
    await upload(api, 'open/f')
    for (const kind of ['move', 'copy'] as const) {
      for (const [from, to] of [
        ['aa/d', 'open/x'], // may not read the source
        ['open/f', 'bb/x'], // may read the source, may not write
        ['none/f', 'none/x'], // absence is told to nobody else
      ] as const) {
        assert.equal((await transfer(api, kind, from, to, {}, 'bob')).code, 250113, `${kind} ${from} ${to}`)
      }
      const across = { destProjectId: 'other', destRepoName: 'closed' }
      assert.equal((await transfer(api, kind, 'open/f', 'x/y', across, 'bob')).code, 250113)
      assert.equal((await transfer(api, kind, 'open/f', 'x/y', across, '')).code, 250114)
    }
    const rename = await api.send('POST', `${NODE}/rename/demo/open/f?newFullPath=/g`, { user: 'bob' })
    assert.equal(rename.code, 250113)
    assert.equal((await api.send('POST', `${NODE}/restore/demo/open/f`, { user: 'bob' })).code, 250113)
    assert.equal((await api.send('GET', `${NODE}/list-deleted/demo/aa/f`, { user: 'bob' })).code, 250113)
    assert.equal((await api.send('GET', `${NODE}/operations/demo/aa`, { user: 'bob' })).code, 250113)
    assert.deepEqual(await tree(api, 'open'), ['/f'])
  })

  it('given a file deleted and overwritten, when restored, then the named version is back, the latest by default', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await filled(api)
    const at = 'aa/d/file'
    const read = async () => (await api.send('GET', `/generic/demo/${at}`)).body.toString()
    await upload(api, at, 'one', { 'x-bkrepo-meta-k': 'v' })
    await api.clock.advance(1_000)
    await upload(api, at, 'two', { 'x-bkrepo-overwrite': 'true' })
    await api.clock.advance(1_000)
    const gone = await remove(api, at)
    const points = (await api.send('GET', `${NODE}/list-deleted/demo/${at}`)).data
    assert.deepEqual(
      points.map((point: Record<string, unknown>) => [point.fullPath, point.size, point.metadata, point.deletedBy]),
      [
        ['/d/file', 3, {}, 'admin'],
        ['/d/file', 3, { k: 'v' }, 'admin'],
      ],
    )
    assert.equal(points[0].deletedTime, gone.data.deletedTime)
    const restore = (query = '', body?: object) => api.send('POST', `${NODE}/restore/demo/${at}${query}`, { body })
    const latest = await restore()
    assert.deepEqual(latest.data, { fullPath: '/d/file', restoreCount: 1, skipCount: 0, conflictCount: 0 })
    assert.equal(await read(), 'two')
    assert.deepEqual((await restore(`?deletedTime=${points[1].deletedTime}`)).data.skipCount, 1)
    assert.equal((await restore('', { id: points[1].id, conflictStrategy: 'FAILED' })).code, 251013)
    assert.equal(await read(), 'two')
    const over = await restore('?conflictStrategy=skip', { id: points[1].id, conflictStrategy: 'overwrite' })
    assert.deepEqual(over.data, { fullPath: '/d/file', restoreCount: 1, skipCount: 0, conflictCount: 1 })
    assert.equal(await read(), 'one')
    const node = (await api.send('GET', `${NODE}/detail/demo/${at}`)).data
    assert.deepEqual(
      [node.metadata, node.createdDate, node.lastModifiedDate.slice(0, 19)],
      [{ k: 'v' }, '2026-01-01T00:00:00.000', '2026-01-01T00:00:02'],
    )
    for (const [query, code] of [
      ['?id=none', 250105],
      ['?id=999999', 251010],
      ['?deletedTime=yesterday', 250105],
      ['?deletedTime=2001-01-01T00:00:00.000', 251010],
      ['?conflictStrategy=maybe', 250131],
    ] as const) {
      const there = query.includes('2001')
        ? `${NODE}/restore/demo/aa/none${query}`
        : `${NODE}/restore/demo/${at}${query}`
      assert.equal((await api.send('POST', there)).code, code, query)
    }
    assert.equal((await api.send('POST', `${NODE}/restore/demo/aa/none`)).code, 251010)
  })

  it('given a folder that was deleted, when restored, then its tree is back as the strategy says, and can be downloaded', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await filled(api)
    await api.send('POST', `${NODE}/mkdir/demo/aa/d/empty`)
    await remove(api, 'aa/d/two') // an earlier deletion is another restore point
    await api.clock.advance(1_000)
    for (const at of ['aa/d/three', 'aa/d/x/four']) await upload(api, at)
    await remove(api, 'aa/d')
    await api.clock.advance(1_000)
    await upload(api, 'aa/d/three', 'changed since')
    await upload(api, 'aa/d/x', 'a file where a folder was')
    const restore = (strategy: string) => api.send('POST', `${NODE}/restore/demo/aa/d?conflictStrategy=${strategy}`)
    assert.equal((await restore('FAILED')).code, 251013)
    assert.deepEqual((await restore('SKIP')).data, { fullPath: '/d', restoreCount: 1, skipCount: 4, conflictCount: 4 })
    assert.equal((await api.send('GET', '/generic/demo/aa/d/three')).body.toString(), 'changed since')
    await remove(api, 'aa/d/x')
    const { data: points } = await api.send('GET', `${NODE}/list-deleted/demo/aa/d`)
    assert.equal(points.length, 1)
    assert.deepEqual((await restore('OVERWRITE')).data, {
      fullPath: '/d',
      restoreCount: 4,
      skipCount: 0,
      conflictCount: 1,
    })
    assert.deepEqual(await tree(api, 'aa'), ['/d/three', '/d/x/four', '/d/x/one', '/file'])
    assert.equal((await api.send('GET', `${NODE}/detail/demo/aa/d/empty`)).data.folder, true)
    assert.equal((await api.send('GET', '/generic/demo/aa/d/three')).body.toString(), 'aa/d/three')
    const log = await db.read.selectFrom('change_log').selectAll().execute()
    assert.equal(
      log.reduce((sum, { dn }) => sum + dn, 0),
      5,
    )
  })
})
