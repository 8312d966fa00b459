import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type FormatFixture, formatContract } from '../../src/formats/format.contract.ts'
import { eachDialect, type LocalCluster, startCluster, type TestDialect } from '../helpers/local-cluster.ts'
import { rdsFormat } from '../helpers/rds-format.ts'

const REPO = 'proj/rds'
const PACKAGE = '/repository/api/package'
const VERSION = '/repository/api/version'
const KEY = 'packageKey=rds%3A%2F%2Fa'

async function start(dialect: TestDialect) {
  const server = await startCluster({ name: 'packages', dialect, formats: [rdsFormat] })
  const { signal } = new AbortController()
  const { api } = server
  const project = { name: 'proj', displayName: 'proj', description: '' }
  await api.call('POST', '/repository/api/project/create', project, signal)
  const made = { projectId: 'proj', name: 'rds', type: 'RDS', public: true }
  await api.call('POST', '/repository/api/repo/create', made, signal)
  await api.call('POST', '/repository/api/repo/create', { ...made, name: 'files', type: 'GENERIC' }, signal)
  return { server, repository: REPO, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

const send = (
  server: LocalCluster,
  method: string,
  path: string,
  body?: string,
  headers: Record<string, string> = {},
) =>
  fetch(`${server.url}${path}`, {
    method,
    headers: { authorization: server.api.authorization, ...headers },
    ...(body === undefined ? {} : { body }),
  })
const publish = (server: LocalCluster, version: string, body: string, query = '') =>
  send(server, 'PUT', `/rds/${REPO}/a/${version}?${query}`, body)

const bytesOf = (variant: 1 | 2) => Buffer.from(`the bytes ${variant}`)
const FIXTURE: FormatFixture = {
  ...{ format: rdsFormat, packageKey: 'rds://a', version: '1.0.0', bytesOf },
  async publish(server, repository, variant) {
    const url = `/rds/${repository}/a/1.0.0?notes=hello`
    return (await send(server, 'PUT', url, bytesOf(variant).toString())).status
  },
  async install(server, repository) {
    const answer = await send(server, 'GET', `/rds/${repository}/a/1.0.0`)
    return answer.status === 404 ? undefined : Buffer.from(await answer.arrayBuffer())
  },
}

eachDialect('packages', (dialect) => {
  formatContract(FIXTURE, () => start(dialect))

  it('given packages and versions, when paged, then pages say what the contract says', async (t) => {
    await using on = await start(dialect)
    const { server } = on
    const get = <T>(path: string) => server.api.call<T>('GET', path, undefined, t.signal)
    for (const version of ['1.2.0', '1.10.0', '1.10.1-rc.1']) {
      await publish(server, version, version, 'note=n&description=an+a&notes=x')
    }
    await send(server, 'PUT', `/rds/${REPO}/b/1`, 'b')
    // biome-ignore lint/suspicious/noExplicitAny: the assertions are the check
    const page = await get<any>(`${PACKAGE}/page/${REPO}?packageName=a`)
    assert.deepEqual([page.totalRecords, page.records.length, page.pageSize], [1, 1, 20])
    const { createdDate, lastModifiedDate, ...shown } = page.records[0]
    assert.equal(typeof createdDate, typeof lastModifiedDate)
    assert.deepEqual(shown, {
      ...{ createdBy: 'admin', lastModifiedBy: 'admin', projectId: 'proj', repoName: 'rds', name: 'a', key: 'rds://a' },
      ...{ type: 'RDS', latest: '1.10.0', downloads: 0, versions: 3, description: 'an a', versionTag: {} },
      ...{ extension: {}, historyVersion: [] },
    })
    assert.equal((await get<{ totalRecords: number }>(`${PACKAGE}/page/${REPO}`)).totalRecords, 2)
    assert.equal((await get<{ totalRecords: number }>(`${PACKAGE}/page/proj/files`)).totalRecords, 0)
    assert.equal((await get<{ key: string }>(`${PACKAGE}/info/${REPO}?${KEY}`)).key, 'rds://a')

    const namesOf = async (query: string) =>
      (await get<{ records: { name: string }[] }>(`${VERSION}/page/${REPO}?${KEY}${query}`)).records.map(
        ({ name }) => name,
      )
    assert.deepEqual(await namesOf(''), ['1.10.1-rc.1', '1.10.0', '1.2.0'])
    assert.deepEqual(await namesOf('&direction=ASC'), ['1.2.0', '1.10.0', '1.10.1-rc.1'])
    assert.deepEqual(await namesOf('&version=1.10&sortProperty=name&direction=ASC'), ['1.10.0', '1.10.1-rc.1'])
    assert.deepEqual(await namesOf('&stageTag=@release'), [])
    // biome-ignore lint/suspicious/noExplicitAny: the assertions are the check
    const [version] = (await get<any>(`${VERSION}/page/${REPO}?${KEY}`)).records
    assert.deepEqual(
      [version.size, version.downloads, version.stageTag, version.metadata, version.nodeMetadata.length],
      [12, 0, [], { note: 'n' }, 1],
    )
    const body = { metadata: [{ key: 'note', value: 'n' }], version: '1.2', sortProperty: 'size', direction: 'ASC' }
    const list = `${VERSION}/list/${REPO}?${KEY}`
    const listed = await server.api.call<{ records: { name: string }[] }>('POST', list, body, t.signal)
    assert.deepEqual(
      listed.records.map(({ name }) => name),
      ['1.2.0'],
    )
  })

  it('given a version, when its metadata is saved, then its page shows it and a wrong name is told', async (t) => {
    await using on = await start(dialect)
    const { server } = on
    await publish(server, '1', 'x')
    const save = (versionMetadata: object[], version = '1') =>
      server.api.call(
        'POST',
        `/repository/api/metadata/package/${REPO}`,
        { packageKey: 'rds://a', version, versionMetadata },
        t.signal,
      )
    await save([{ key: 'tested', value: true, description: 'by hand' }])
    // biome-ignore lint/suspicious/noExplicitAny: the assertions are the check
    const page = await server.api.call<any>('GET', `${VERSION}/page/${REPO}?${KEY}`, undefined, t.signal)
    assert.deepEqual(page.records[0].metadata, { tested: true })
    assert.equal(page.records[0].nodeMetadata[0].description, 'by hand')
    await assert.rejects(save([], '2'), { status: 404, code: 251019 })
    await assert.rejects(save([{ key: 'forbidStatus', value: true }]), { code: 251035 })
  })

  it('given the calls of the management API, when something is wrong, then the code is the contract’s', async (t) => {
    await using on = await start(dialect)
    const { server } = on
    await publish(server, '1', 'x')
    const refused = (method: string, path: string, status: number, code: number) =>
      assert.rejects(server.api.call(method, path, undefined, t.signal), { status, code }, `${method} ${path}`)
    await refused('GET', `${PACKAGE}/info/${REPO}?packageKey=rds://none`, 404, 251017)
    await refused('GET', `${PACKAGE}/info/${REPO}?packageKey=npm://a`, 400, 250105)
    await refused('GET', `${PACKAGE}/info/${REPO}`, 400, 250103)
    await refused('GET', `${PACKAGE}/info/proj/none?${KEY}`, 404, 251006)
    await refused('GET', `${PACKAGE}/info/proj/files?${KEY}`, 404, 251017)
    await refused('DELETE', `${PACKAGE}/delete/${REPO}?packageKey=rds://none`, 404, 251017)
    await refused('DELETE', `${VERSION}/delete/${REPO}?${KEY}&version=2`, 404, 251019)
    await refused('GET', `${VERSION}/page/${REPO}?${KEY}&sortProperty=colour`, 400, 250105)
    await refused('GET', `/rds/ext/version/detail/proj/files?${KEY}&version=1`, 404, 251006)
    await refused('DELETE', `/rds/ext/package/delete/${REPO}?packageKey=rds://none`, 404, 251017)
    await refused('GET', '/helm/ext/version/detail/proj/rds?packageKey=helm://a&version=1', 404, 250130)
  })

  it('given a type that is not built, when a repository of it is created, then 250112 names the built ones', async (t) => {
    await using on = await start(dialect)
    const body = { projectId: 'proj', name: 'crates', type: 'CARGO' }
    const create = on.server.api.call('POST', '/repository/api/repo/create', body, t.signal)
    await assert.rejects(create, { status: 400, code: 250112, message: /GENERIC, DOCKER, OCI, RDS/ })
  })

  it('given the protocol of a format, when it refuses, then the words are the protocol’s and a login is asked for as everywhere', async () => {
    await using on = await start(dialect)
    const { server } = on
    assert.equal((await publish(server, '1', 'x')).status, 201)
    const conflict = await publish(server, '1', 'y')
    assert.equal(conflict.status, 409)
    assert.deepEqual(Object.keys((await conflict.json()) as object), ['error', 'reason'])
    const stranger = await send(server, 'PUT', `/rds/${REPO}/a/2`, 'x', { authorization: '' })
    assert.equal(stranger.status, 401)
    assert.ok(stranger.headers.get('www-authenticate'))
    assert.equal(
      (await send(server, 'GET', `/rds/${REPO}/a/1`, undefined, { authorization: '' })).status,
      200,
      'public',
    )
    assert.equal((await send(server, 'PUT', '/rds/proj/files/a/1', 'x')).status, 404, 'a GENERIC repository')
    assert.equal((await publish(server, '3', 'x', 'shared=/not/there')).status, 404)
  })

  it('given downloads of a version, when they are served, then ranges, HEAD and forbidden files are as everywhere', async (t) => {
    await using on = await start(dialect)
    const { server } = on
    await publish(server, '1', '0123456789', 'notes=hello')
    const url = `/rds/${REPO}/a/1`
    const part = await send(server, 'GET', url, undefined, { range: 'bytes=2-4' })
    assert.deepEqual([part.status, await part.text()], [206, '234'])
    const head = await send(server, 'HEAD', url)
    assert.deepEqual([head.status, head.headers.get('content-length')], [200, '10'])
    const main = await send(server, 'GET', `${VERSION}/download/${REPO}?${KEY}&version=1`)
    assert.deepEqual([main.status, await main.text()], [200, '0123456789'])
    assert.match(main.headers.get('content-disposition') ?? '', /a-1\.rds/)
    assert.equal(await (await send(server, 'GET', `${url}?file=notes`)).text(), 'hello')
    const forbid = { nodeMetadata: [{ key: 'forbidStatus', value: true }] }
    const path = `/repository/api/metadata/forbid/${REPO}/a/1/a-1.rds`
    await server.api.call('POST', path, forbid, t.signal)
    assert.equal((await send(server, 'GET', url)).status, 403)
  })

  it('given versions published and deleted, when the derived listing is read, then it is right at once', async () => {
    await using on = await start(dialect)
    const { server } = on
    const listing = async () => (await send(server, 'GET', `/rds/${REPO}/a`)).json()
    await Promise.all(['1.0.0', '1.1.0', '2.0.0-rc'].map((version) => publish(server, version, version)))
    await publish(server, '0.9.0', 'old', 'tag=legacy')
    const versions = ['0.9.0', '1.0.0', '1.1.0', '2.0.0-rc']
    assert.deepEqual(await listing(), { name: 'a', latest: '1.1.0', tags: { legacy: '0.9.0' }, versions })
    assert.equal((await send(server, 'DELETE', `/rds/${REPO}/a/1.1.0`)).status, 204)
    assert.equal((await publish(server, '1.1.0', 'again')).status, 409, 'a burnt name')
    assert.equal((await publish(server, '1.0.0', 'other', 'overwrite=true')).status, 200)
    const kept = versions.filter((name) => name !== '1.1.0')
    assert.deepEqual(await listing(), { name: 'a', latest: '1.0.0', tags: { legacy: '0.9.0' }, versions: kept })
  })
})
