import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type ArtifactApi, artifactApi } from '../../../test/helpers/artifact-api.ts'
import { makeRepository } from '../../../test/helpers/artifacts.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'

const SEARCH = '/repository/api/node/search'
const project = { field: 'projectId', value: 'demo' }

async function filled(api: ArtifactApi): Promise<void> {
  await makeRepository(api)
  await makeRepository(api, 'demo/open', 'public')
  for (const [at, body] of [
    ['files/a/one.jar', '1'],
    ['files/two.jar', '22'],
    ['open/three.jar', '333'],
  ] as const) {
    await api.clock.advance(1_000)
    await api.send('PUT', `/generic/demo/${at}`, { body, headers: { 'x-bkrepo-meta-build': at.slice(-7) } })
  }
}
const search = (api: ArtifactApi, body: unknown, user = 'admin') =>
  api.send('POST', SEARCH, { body: body as object, user })

eachDatabase('search routes', (make) => {
  it('given a search, when made, then the page has records of the contract, the total, and whether that is exact', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await filled(api)
    const { data, code } = await search(api, {
      rule: { rules: [project, { field: 'name', operation: 'SUFFIX', value: '.jar' }], relation: 'and' },
      sort: { properties: ['size'], direction: 'DESC' },
      page: { pageNumber: 1, pageSize: 2 },
      unknown: 'ignored',
    })
    assert.equal(code, 0)
    const { records, ...page } = data
    assert.deepEqual(page, {
      ...{ pageNumber: 1, pageSize: 2, totalRecords: 3, totalPages: 2, count: 3, page: 1 },
      totalRecordsExact: true,
    })
    assert.deepEqual(
      records.map(({ repoName, fullPath, metadata }: Record<string, unknown>) => [repoName, fullPath, metadata]),
      [
        ['open', '/three.jar', { build: 'ree.jar' }],
        ['files', '/two.jar', { build: 'two.jar' }],
      ],
    )
    const { data: detail } = await api.send('GET', '/repository/api/node/detail/demo/files/two.jar')
    assert.deepEqual(records[1], detail)
  })

  it('given select, when searched, then only those fields come, keys of metadata too', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await filled(api)
    const chosen = async (...select: string[]) =>
      (await search(api, { select, rule: { rules: [project, { field: 'name', value: 'two.jar' }] } })).data.records
    assert.deepEqual(await chosen('name', 'size'), [{ name: 'two.jar', size: 2 }])
    assert.deepEqual(await chosen('metadata'), [{ metadata: { build: 'two.jar' } }])
    assert.deepEqual(await chosen('metadata.build', 'metadata.none', 'folder'), [
      { metadata: { build: 'two.jar' }, folder: false },
    ])
    assert.equal((await search(api, { select: ['password'], rule: project })).code, 250105)
  })

  it('given dates of the wire, when searched, then they are read as they are written', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await filled(api)
    const { data } = await api.send('GET', '/repository/api/node/detail/demo/files/two.jar')
    const after = async (value: unknown) =>
      (await search(api, { rule: { rules: [project, { field: 'lastModifiedDate', operation: 'AFTER', value }] } })).data
        .totalRecords
    assert.equal(await after(data.lastModifiedDate), 1)
    assert.equal(await after('2020-01-01T00:00:00'), 4)
    assert.equal((await search(api, { rule: { rules: [project, { field: 'createdDate', value: 'x' }] } })).code, 250105)
  })

  it('given users without rights, when they search, then only public repositories are there', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await filled(api)
    const seen = async (user: string) =>
      (await search(api, { rule: { rules: [project, { field: 'folder', value: 'false' }] } }, user)).data?.records.map(
        ({ fullPath }: { fullPath: string }) => fullPath,
      )
    assert.equal((await seen('admin')).length, 3)
    assert.deepEqual(await seen('ann'), ['/three.jar'])
    assert.equal((await search(api, { rule: project }, '')).status, 401)
    const overview = async (query: string, user = 'admin') =>
      (await api.send('GET', `${SEARCH}/overview?projectId=demo&name=${query}`, { user })).data
    assert.deepEqual(await overview('*.jar'), {
      ...{ projectId: 'demo', sum: 3 },
      repos: [
        { repoName: 'files', files: 2 },
        { repoName: 'open', files: 1 },
      ],
    })
    assert.deepEqual((await overview('*.jar&exRepo=open,none')).repos, [{ repoName: 'files', files: 2 }])
    assert.deepEqual(await overview('*.jar', 'ann'), {
      ...{ projectId: 'demo', sum: 1 },
      repos: [{ repoName: 'open', files: 1 }],
    })
  })

  it('given a faulty search, when made, then it is refused with the code of its fault', async () => {
    await using db = await make()
    await using api = await artifactApi(db, { lookAtMost: 2 })
    await filled(api)
    const two = (more: object) => ({ rule: { rules: [project, more] } })
    for (const [body, code] of [
      [{}, 250103],
      [{ rule: {} }, 250103],
      [{ rule: { rules: [{ field: 'name', value: 'a' }] } }, 250105],
      [two({ field: 'name', operation: 'LIKE', value: 'a' }), 250105],
      [two({ field: 'name', operation: 'REGEX', value: 'a' }), 250112],
      [two({ rules: Array(50).fill(project) }), 250127],
      [{ rule: project, page: { pageNumber: 10_000, pageSize: 20 } }, 250127],
      [{ rule: project, page: { pageNumber: 'x' } }, 250105],
      [{ rule: project, sort: { properties: ['sha256'] } }, 250105],
      [{ rule: project, sort: { properties: ['name'], direction: 'UP' } }, 250105],
      [two({ field: 'name', operation: 'CONTAINS', value: 'zzz' }), 250127],
    ] as const) {
      const answer = await search(api, body)
      assert.deepEqual([answer.code, answer.status], [code, 400], JSON.stringify(body).slice(0, 100))
    }
    assert.equal((await api.send('POST', SEARCH)).code, 250103)
  })
})
