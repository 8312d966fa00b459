import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { it } from 'node:test'
import { type Api, ApiError, connectApi } from '../helpers/api.ts'
import { eachDialect, type LocalCluster, startCluster } from '../helpers/local-cluster.ts'
import { createRepository } from '../helpers/replication-calls.ts'

// core.md 15, items 2, 4 and 5: uploads to a whole server.

const REPO = 'demo/files'
const QUOTA = '/repository/api/repo/quota/demo/files'
const usage = (api: Api, signal: AbortSignal) =>
  api.call<{ quota: number | null; used: number }>('GET', QUOTA, undefined, signal)
const setQuota = (api: Api, quota: number | '', signal: AbortSignal) =>
  api.call('POST', `${QUOTA}?quota=${quota}`, undefined, signal)
const upload = (api: Api, path: string, sizeBytes: number, signal: AbortSignal, headers = {}) =>
  api.upload(REPO, path, randomBytes(sizeBytes), headers, signal)
const codeOf = (work: Promise<unknown>): Promise<number> =>
  work.then(
    () => 200,
    (error: unknown) => (error instanceof ApiError ? error.code : Promise.reject(error)),
  )
const count = (codes: readonly number[], code: number) => codes.filter((one) => one === code).length
const blobs = ({ db }: LocalCluster) => db.read.selectFrom('blob').select('sha256').execute()
const liveFiles = ({ db }: LocalCluster) =>
  db.read
    .selectFrom('node')
    .select(['path', 'sha256', 'size'])
    .where('folder', '=', 0)
    .where('deleted_at', 'is', null)
    .execute()

eachDialect('uploads to a whole server', (dialect) => {
  it('15.2 given 50 parallel PUTs to one path without overwrite, when all are answered, then one 200, the rest 251012, one live node, one blob reference', async (t) => {
    await using cluster = await startCluster({ name: 'center', dialect })
    using api = connectApi({ url: cluster.url, user: 'admin', password: cluster.password, connections: 50 })
    await createRepository(api, REPO, t.signal)
    for (const same of [true, false]) {
      const path = `/same-${same}.bin`
      const bodies = Array.from({ length: 50 }, (_, at) => Buffer.from(same ? 'one content' : `content ${at}`))
      const codes = await Promise.all(bodies.map((body) => codeOf(api.upload(REPO, path, body, {}, t.signal))))
      assert.deepEqual([count(codes, 200), count(codes, 251012)], [1, 49])
      const live = (await liveFiles(cluster)).filter((row) => row.path === path)
      assert.equal(live.length, 1)
      const references = await cluster.db.read.selectFrom('node').select('id').where('path', '=', path).execute()
      assert.equal(references.length, 1)
    }
    assert.equal((await blobs(cluster)).length, 2)
  })

  it('15.4 given a wrong X-BKREPO-SHA256, when uploaded, then 400 / 251003, used is as before and no blob is there', async (t) => {
    await using cluster = await startCluster({ name: 'center', dialect })
    const { api } = cluster
    await createRepository(api, REPO, t.signal)
    await upload(api, '/kept', 100, t.signal)
    const before = { blobs: await blobs(cluster), usage: await usage(api, t.signal) }
    const wrong = createHash('sha256').update('something else').digest('hex')
    for (const path of ['/new', '/kept']) {
      const headers = { 'x-bkrepo-sha256': wrong, 'x-bkrepo-overwrite': 'true' }
      await assert.rejects(upload(api, path, 50_000, t.signal, headers), (error) => {
        assert.ok(error instanceof ApiError)
        assert.deepEqual([error.status, error.code], [400, 251003])
        return true
      })
    }
    assert.deepEqual({ blobs: await blobs(cluster), usage: await usage(api, t.signal) }, before)
    assert.deepEqual(before.usage, { quota: null, used: 100 })
    assert.equal((await liveFiles(cluster)).length, 1)
  })

  it('15.5 given a quota, when files are uploaded, overwritten and deleted, then an exact fit is taken, one byte more is 251025, and bytes come back', async (t) => {
    await using cluster = await startCluster({ name: 'center', dialect })
    const { api } = cluster
    await createRepository(api, REPO, t.signal)
    await setQuota(api, 1000, t.signal)
    const put = (path: string, bytes: number, headers = {}) => codeOf(upload(api, path, bytes, t.signal, headers))
    const replace = { 'x-bkrepo-overwrite': 'true' }
    assert.equal(await put('/a', 1001), 251025)
    assert.equal(await put('/a', 600), 200)
    assert.equal(await put('/b', 401), 251025)
    assert.equal(await put('/b', 400), 200)
    assert.equal(await put('/c', 1), 251025)
    assert.equal(await put('/a', 601, replace), 251025)
    assert.equal(await put('/a', 599, replace), 200)
    assert.equal(await put('/c', 1), 200)
    assert.deepEqual(await usage(api, t.signal), { quota: 1000, used: 1000 })
    await api.call('DELETE', '/generic/demo/files/b', undefined, t.signal)
    assert.deepEqual(await usage(api, t.signal), { quota: 1000, used: 600 })
    assert.equal(await put('/d', 400), 200)
    const info = await api.call<{ quota: number; used: number }>(
      'GET',
      '/repository/api/repo/info/demo/files',
      undefined,
      t.signal,
    )
    assert.deepEqual([info.quota, info.used], [1000, 1000])
    await setQuota(api, 10, t.signal)
    assert.equal(await put('/e', 1), 251025)
    await setQuota(api, '', t.signal)
    assert.equal(await put('/e', 5000), 200)
  })

  it('15.5 given room for five of fifty uploads at once, when all are answered, then exactly five are there', async (t) => {
    await using cluster = await startCluster({ name: 'center', dialect })
    using api = connectApi({ url: cluster.url, user: 'admin', password: cluster.password, connections: 50 })
    await createRepository(api, REPO, t.signal)
    await setQuota(api, 549, t.signal)
    const codes = await Promise.all(
      Array.from({ length: 50 }, (_, at) => codeOf(upload(api, `/f${at}`, 100, t.signal))),
    )
    assert.deepEqual([count(codes, 200), count(codes, 251025)], [5, 45])
    assert.deepEqual(await usage(api, t.signal), { quota: 549, used: 500 })
    assert.equal((await liveFiles(cluster)).length, 5)
  })

  it('15.5 given a length that does not fit, when announced with Expect: 100-continue, then the answer comes before the body; without a length, after it', async (t) => {
    await using cluster = await startCluster({ name: 'center', dialect })
    const { api } = cluster
    await createRepository(api, REPO, t.signal)
    await setQuota(api, 100, t.signal)
    const { port, hostname } = new URL(cluster.url)
    const socket = connect(Number(port), hostname)
    const head = ['PUT /generic/demo/files/big HTTP/1.1', 'Host: x', `Authorization: ${api.authorization}`]
    socket.write([...head, 'Content-Length: 101', 'Expect: 100-continue', '', ''].join('\r\n'))
    const [answer] = await once(socket, 'data', { signal: t.signal })
    assert.match(String(answer), /^HTTP\/1\.1 400 [\s\S]*251025/)
    socket.destroy()
    const chunked = connect(Number(port), hostname)
    const body = `65\r\n${'x'.repeat(0x65)}\r\n0\r\n\r\n`
    chunked.write([...head, 'Transfer-Encoding: chunked', '', body].join('\r\n'))
    const [refusal] = await once(chunked, 'data', { signal: t.signal })
    assert.match(String(refusal), /^HTTP\/1\.1 400 [\s\S]*251025/)
    chunked.destroy()
    assert.deepEqual([await usage(api, t.signal), await blobs(cluster)], [{ quota: 100, used: 0 }, []])
  })
})
