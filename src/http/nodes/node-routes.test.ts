import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type ArtifactApi, artifactApi } from '../../../test/helpers/artifact-api.ts'
import { makeRepository } from '../../../test/helpers/artifacts.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'

const NODE = '/repository/api/node'
const at = (call: string, path: string) => `${NODE}/${call}/demo/files${path}`

async function filled(api: ArtifactApi): Promise<void> {
  await makeRepository(api)
  for (const [path, body] of [
    ['/b.txt', '1'],
    ['/a/z', '22'],
    ['/a/y/deep', '333'],
    ['/a-b', '4444'],
    ['/a.b', '55555'],
  ] as const) {
    await api.clock.advance(1_000)
    await api.send('PUT', `/generic/demo/files${path}`, { body, headers: { 'x-bkrepo-meta-k': path } })
  }
}
const names = (answer: { data: { records: { fullPath: string }[] } }) =>
  answer.data.records.map(({ fullPath }) => fullPath)

eachDatabase('node routes', (make) => {
  it('given files and folders, when their detail is read, then each has the record of the contract, the root too', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await filled(api)
    const file = (await api.send('GET', at('detail', '/a/y/deep'))).data
    assert.deepEqual(
      [file.path, file.name, file.fullPath, file.folder, file.size],
      ['/a/y/', 'deep', '/a/y/deep', false, 3],
    )
    assert.deepEqual(file.metadata, { k: '/a/y/deep' })
    assert.deepEqual(file.nodeMetadata, [
      { key: 'k', value: '/a/y/deep', system: false, description: null, link: null, color: null },
    ])
    const folder = (await api.send('GET', at('detail', '/a'))).data
    assert.deepEqual([folder.path, folder.name, folder.folder, folder.sha256, folder.size], ['/', 'a', true, null, 0])
    const root = (await api.send('GET', at('detail', '/'))).data
    assert.deepEqual([root.path, root.name, root.fullPath, root.folder], ['/', '', '/', true])
    for (const call of ['detail', 'page', 'size']) {
      const bare = await api.send('GET', at(call, ''))
      assert.deepEqual(bare.data, (await api.send('GET', at(call, '/'))).data)
    }
    const none = await api.send('GET', at('detail', '/nothing'))
    assert.deepEqual([none.status, none.code], [404, 251010])
  })

  it('given a folder, when paged, then its direct children come by name, a page at a time', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await filled(api)
    const all = await api.send('GET', at('page', '/'))
    assert.deepEqual(names(all), ['/a', '/a-b', '/a.b', '/b.txt'])
    assert.deepEqual(
      { ...all.data, records: undefined },
      { pageNumber: 1, pageSize: 20, totalRecords: 4, totalPages: 1, count: 4, page: 1, records: undefined },
    )
    assert.equal(all.data.records[1].metadata, null)
    const second = await api.send('GET', at('page', '/?pageNumber=2&pageSize=3'))
    assert.deepEqual([names(second), second.data.totalPages], [['/b.txt'], 2])
    assert.deepEqual(names(await api.send('GET', at('page', '/a'))), ['/a/y', '/a/z'])
    const sizes = await api.send('GET', at('page', '/?pageNumber=0&pageSize=1000000000'))
    assert.deepEqual([sizes.data.pageNumber, sizes.data.pageSize], [1, 1000])
    assert.equal((await api.send('GET', at('page', '/?pageSize=0'))).data.pageSize, 20)
  })

  it('given deep, includeFolder and includeMetadata, when paged, then the whole tree, files only, with metadata', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await filled(api)
    const tree = await api.send('GET', at('page', '/?deep=true'))
    assert.deepEqual(names(tree), ['/a', '/a-b', '/a.b', '/a/y', '/a/y/deep', '/a/z', '/b.txt'])
    const files = await api.send('GET', at('page', '/a?deep=true&includeFolder=false&includeMetadata=true'))
    assert.deepEqual(names(files), ['/a/y/deep', '/a/z'])
    assert.deepEqual(files.data.records[0].metadata, { k: '/a/y/deep' })
    // `/a-b` and `/a.b` begin like `/a` and are no part of it.
    assert.equal((await api.send('GET', at('page', '/a?deep=true'))).data.totalRecords, 3)
  })

  it('given sort and sortProperty, when paged, then folders first, or the pairs in order, which outrank sort', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await filled(api)
    const sorted = async (query: string) => names(await api.send('GET', at('page', `/?${query}`)))
    assert.deepEqual(await sorted('sort=true'), ['/a', '/a-b', '/a.b', '/b.txt'])
    assert.deepEqual(await sorted('deep=true&sort=true'), ['/a', '/a/y', '/a-b', '/a.b', '/b.txt', '/a/y/deep', '/a/z'])
    assert.deepEqual(await sorted('sortProperty=size&direction=DESC&sort=true'), ['/a.b', '/a-b', '/b.txt', '/a'])
    assert.deepEqual(await sorted('sortProperty=folder&direction=ASC&sortProperty=name&direction=DESC'), [
      '/b.txt',
      '/a.b',
      '/a-b',
      '/a',
    ])
    assert.deepEqual(await sorted('sortProperty=createdDate&direction=desc'), ['/a.b', '/a-b', '/a', '/b.txt'])
    for (const bad of ['sortProperty=color', 'sortProperty=size&direction=UP', 'sortProperty=constructor']) {
      assert.equal((await api.send('GET', at('page', `/?${bad}`))).code, 250105, bad)
    }
    assert.equal((await api.send('GET', at('page', '/?deep=maybe'))).code, 250131)
  })

  it('given a missing folder or a file, when paged, then 251010 and 251013', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await filled(api)
    assert.equal((await api.send('GET', at('page', '/nothing'))).code, 251010)
    assert.equal((await api.send('GET', at('page', '/b.txt'))).code, 251013)
  })

  it('given files and folders, when their size is asked for, then all below is counted', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await filled(api)
    const size = async (path: string) => (await api.send('GET', at('size', path))).data
    assert.deepEqual(await size('/'), { subNodeCount: 7, size: 15 })
    assert.deepEqual(await size('/a'), { subNodeCount: 3, size: 5 })
    assert.deepEqual(await size('/a/z'), { subNodeCount: 0, size: 2 })
    assert.equal((await api.send('GET', at('size', '/nothing'))).code, 251010)
  })

  it('given a path, when a folder is made, then its parents are too; again is fine; over a file is 251013', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await filled(api)
    const made = await api.send('POST', at('mkdir', '/new/er/folder'))
    assert.deepEqual([made.status, made.data.fullPath, made.data.folder], [200, '/new/er/folder', true])
    assert.equal((await api.send('POST', at('mkdir', '/new/er/folder'))).status, 200)
    assert.equal((await api.send('POST', at('mkdir', '/'))).status, 200)
    assert.equal((await api.send('GET', at('detail', '/new/er'))).data.folder, true)
    assert.equal((await api.send('POST', at('mkdir', '/b.txt'))).code, 251013)
    assert.equal((await api.send('POST', at('mkdir', '/b.txt/below'))).code, 251013)
    assert.equal((await api.send('POST', at('mkdir', '/%00'))).code, 251011)
  })

  it('given a tree, when deleted, then number, bytes and time of what went are told, and the rest stays', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await filled(api)
    const gone = await api.send('DELETE', at('delete', '/a'))
    assert.deepEqual(gone.data, { deletedNumber: 4, deletedSize: 5, deletedTime: '2026-01-01T00:00:05.000' })
    assert.deepEqual(names(await api.send('GET', at('page', '/?deep=true'))), ['/a-b', '/a.b', '/b.txt'])
    const file = await api.send('DELETE', at('delete', '/b.txt'))
    assert.deepEqual([file.data.deletedNumber, file.data.deletedSize], [1, 1])
    assert.equal((await api.send('DELETE', at('delete', '/a'))).code, 251010)
    assert.equal((await api.send('DELETE', at('delete', '/'))).code, 250105)
  })

  it('given metadata, when saved, merged and deleted, then the map view follows and the change log knows', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await filled(api)
    const META = '/repository/api/metadata/demo/files'
    const save = (body: object, path = '/b.txt') => api.send('POST', `${META}${path}`, { body })
    const read = async () => (await api.send('GET', `${META}/b.txt`)).data
    assert.deepEqual(await read(), { k: '/b.txt' })
    assert.equal((await save({ metadata: { k: 2, obj: { deep: [1] }, nul: 'a\u0000b' } })).code, 250105)
    assert.equal((await save({ metadata: { k: 2, obj: { deep: [1, null] } } })).status, 200)
    assert.deepEqual(await read(), { k: 2, obj: { deep: [1, null] } })
    const entry = { key: 'k', value: true, system: true, description: 'why', link: 'http://x', color: 'red' }
    await save({ nodeMetadata: [entry], metadata: { ignored: 1 } })
    assert.deepEqual(await read(), { k: true, obj: { deep: [1, null] } })
    const { nodeMetadata } = (await api.send('GET', at('detail', '/b.txt'))).data
    assert.deepEqual(nodeMetadata[0], { ...entry, system: false })
    await api.send('DELETE', `${META}/b.txt`, { body: { keyList: ['k', 'unknown'] } })
    assert.deepEqual(await read(), { obj: { deep: [1, null] } })
    const log = await db.read.selectFrom('change_log').selectAll().where('op', '=', 3).execute()
    assert.deepEqual([log.length, log.every((row) => row.path === '/b.txt' && row.dn === 0)], [3, true])
    for (const [body, code] of [
      [{ metadata: { '': 1 } }, 251035],
      [{ metadata: { forbidStatus: true } }, 251035],
      [{ metadata: { ['k'.repeat(129)]: 1 } }, 251035],
      [{ metadata: 'text' }, 250106],
      [{ nodeMetadata: [{ value: 1 }] }, 250103],
    ] as const) {
      assert.equal((await save(body)).code, code, JSON.stringify(body).slice(0, 60))
    }
    assert.equal((await save({ metadata: {} }, '/nothing')).code, 251010)
    assert.equal((await api.send('DELETE', `${META}/b.txt`, { body: {} })).code, 250103)
  })

  it('given 20 parallel changes of metadata, when each adds a key, then none is lost', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await filled(api)
    const META = '/repository/api/metadata/demo/files/b.txt'
    const keys = Array.from({ length: 20 }, (_, index) => `key${index}`)
    await Promise.all(keys.map((key) => api.send('POST', META, { body: { metadata: { [key]: 1 } } })))
    assert.deepEqual(Object.keys((await api.send('GET', META)).data).sort(), ['k', ...keys].sort())
  })

  it('given a user who is no administrator, when calling, then only reading of public repositories is allowed', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await filled(api)
    await makeRepository(api, 'demo/open', 'public')
    const META = '/repository/api/metadata/demo/open/x'
    for (const [method, path, code] of [
      ['GET', at('detail', '/b.txt'), 250113],
      ['GET', `${NODE}/page/demo/open/`, 0],
      ['POST', `${NODE}/mkdir/demo/open/x`, 250113],
      ['DELETE', `${NODE}/delete/demo/open/x`, 250113],
      ['POST', META, 250113],
      ['DELETE', META, 250113],
      ['GET', META, 251010],
    ] as const) {
      assert.equal((await api.send(method, path, { user: 'bob' })).code, code, `${method} ${path}`)
    }
    assert.equal((await api.send('GET', at('detail', '/b.txt'), { user: '' })).code, 250114)
  })
})
