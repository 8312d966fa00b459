import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { it } from 'node:test'
import { manualClock } from '../../../test/helpers/clock.ts'
import { edge } from '../../../test/helpers/edge.ts'
import { eachDialect, type LocalCluster, startCluster, type TestDialect } from '../../../test/helpers/local-cluster.ts'
import { createRepository } from '../../../test/helpers/replication-calls.ts'
import { createDates } from '../dates.ts'
import { type TemporaryRouteDeps, temporaryRoutes } from './temporary-routes.ts'

const PASSWORD = 'correct-horse-battery'
const signal = new AbortController().signal
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly code: number
  // Tests look into answers of every shape.
  // biome-ignore lint/suspicious/noExplicitAny: the assertions are the check
  readonly data: any
}
interface Sent {
  /** Empty: without a login. */
  readonly user?: string
  readonly headers?: Record<string, string>
  readonly body?: string
}

async function send(cluster: LocalCluster, method: string, path: string, { user = '', headers = {}, body }: Sent = {}) {
  const login = user === '' ? {} : { authorization: `Basic ${btoa(`${user}:${PASSWORD}`)}` }
  const init = { method, headers: { ...login, ...headers }, signal }
  const answer = await fetch(
    path.startsWith('http') ? path : `${cluster.url}${path}`,
    body === undefined ? init : { ...init, body },
  )
  const text = await answer.text()
  const isEnvelope = (answer.headers.get('content-type') ?? '').includes('json') && text.startsWith('{"code"')
  const { code, data } = isEnvelope ? (JSON.parse(text) as Answer) : { code: 0, data: undefined }
  return { status: answer.status, headers: answer.headers, text, code, data } satisfies Answer
}

const json = { 'content-type': 'application/json' }
const ORDER = { projectId: 'demo', repoName: 'files', fullPathSet: ['/dir'], type: 'DOWNLOAD' }
async function make(cluster: LocalCluster, more: object = {}, user = 'admin', what: 'token' | 'url' = 'token') {
  const body = JSON.stringify({ ...ORDER, ...more })
  return send(cluster, 'POST', `/generic/temporary/${what}/create`, { user, headers: json, body })
}
async function token(cluster: LocalCluster, more: object = {}, user = 'admin'): Promise<string> {
  const { data, status, text } = await make(cluster, more, user)
  assert.equal(status, 200, text)
  return data[0].token
}
const download = (cluster: LocalCluster, value: string, at = '/dir/file', sent: Sent = {}, method = 'GET') =>
  send(cluster, method, `/generic/temporary/download/demo/files${at}?token=${value}`, sent)
const upload = (cluster: LocalCluster, value: string, at: string, body: string, sent: Sent = {}) =>
  send(cluster, 'PUT', `/generic/temporary/upload/demo/files${at}?token=${value}`, { ...sent, body })

async function started(dialect: TestDialect): Promise<LocalCluster> {
  const cluster = await startCluster({ name: 'center', dialect })
  await createRepository(cluster.api, 'demo/files', signal)
  for (const [at, content] of [
    ['/dir/file', 'hello'],
    ['/dir-secret', 'secret'],
  ] as const) {
    await cluster.api.upload('demo/files', at, Buffer.from(content), {}, signal)
  }
  return cluster
}
const addUser = (cluster: LocalCluster, userId: string) =>
  cluster.api.call('POST', '/auth/api/user/create', { userId, name: userId, pwd: PASSWORD }, signal)
const grant = (cluster: LocalCluster, userId: string, actions: string[], includePattern: string[] = []) =>
  cluster.api.call<{ id: string }>(
    'POST',
    '/auth/api/permission/create',
    {
      resourceType: 'NODE',
      projectId: 'demo',
      permName: `of ${userId}`,
      repos: ['files'],
      includePattern,
      users: [userId],
      actions,
    },
    signal,
  )
const permitsLeft = async ({ db }: LocalCluster) =>
  (await db.read.selectFrom('temporary_token').select('permits').execute()).map(({ permits }) => permits)

eachDialect('temporary access', (dialect) => {
  it('given a token, when made, then one entry per path tells it once, and only its hash is kept', async () => {
    await using cluster = await started(dialect)
    const { status, data } = await make(cluster, { fullPathSet: ['dir//file', '/x', '/dir/file'], permits: 3 })
    assert.equal(status, 200)
    assert.deepEqual(
      data.map(({ fullPath }: { fullPath: string }) => fullPath),
      ['/dir/file', '/x'],
    )
    const { token: value, expireDate, ...rest } = data[0]
    assert.deepEqual(rest, {
      projectId: 'demo',
      repoName: 'files',
      fullPath: '/dir/file',
      authorizedUserSet: null,
      authorizedIpSet: null,
      permits: 3,
      type: 'DOWNLOAD',
    })
    assert.match(expireDate, /^\d{4}-\d\d-\d\dT/)
    const rows = await cluster.db.read.selectFrom('temporary_token').selectAll().execute()
    assert.equal(rows.length, 2)
    assert.ok(rows.some(({ token_hash }) => Buffer.from(token_hash).toString('hex') === sha256(value)))
    assert.ok(!JSON.stringify(rows).includes(value))
    const forever = await make(cluster, { expireSeconds: 0 })
    assert.equal(forever.data[0].expireDate, null)
  })

  it('given a download token, when used without a login, then GET and HEAD answer as the plain download does, ranges included', async () => {
    await using cluster = await started(dialect)
    const value = await token(cluster)
    const get = await download(cluster, value)
    assert.deepEqual([get.status, get.text], [200, 'hello'])
    assert.equal(get.headers.get('etag'), `"${sha256('hello')}"`)
    assert.equal(get.headers.get('referrer-policy'), 'no-referrer')
    const head = await download(cluster, value, '/dir/file', {}, 'HEAD')
    assert.deepEqual([head.status, head.headers.get('content-length')], [200, '5'])
    const part = await download(cluster, value, '/dir/file', { headers: { range: 'bytes=1-2' } })
    assert.deepEqual([part.status, part.text], [206, 'el'])
    const missing = await download(cluster, value, '/dir/none')
    assert.deepEqual([missing.status, missing.code], [404, 251010])
    assert.equal((await send(cluster, 'GET', '/generic/demo/files/dir/file')).code, 250114)
  })

  it('given a signed address, when opened, then it is the file, whatever its name', async () => {
    await using cluster = await started(dialect)
    await cluster.api.upload('demo/files', '/odd/ü #?%.txt', Buffer.from('odd'), {}, signal)
    const { data } = await make(cluster, { fullPathSet: ['/odd/ü #?%.txt'] }, 'admin', 'url')
    const { url } = data[0]
    assert.ok(url.startsWith(`${cluster.url}/generic/temporary/download/demo/files/odd/`), url)
    assert.equal(data[0].token, undefined)
    assert.deepEqual((await send(cluster, 'GET', url)).text, 'odd')
    const up = await make(cluster, { fullPathSet: ['/new'], type: 'UPLOAD' }, 'admin', 'url')
    assert.equal((await send(cluster, 'PUT', up.data[0].url, { body: 'came' })).status, 200)
  })

  it('given a token, when used for another path, use, repository or not at all known, then 251021', async () => {
    await using cluster = await started(dialect)
    await createRepository(cluster.api, 'demo/other', signal)
    const value = await token(cluster)
    for (const answer of [
      await download(cluster, value, '/dir-secret'),
      await download(cluster, value, '/dir/../dir-secret'),
      await download(cluster, value, '/'),
      await download(cluster, 'entrepot_unknown'),
      await upload(cluster, value, '/dir/new', 'x'),
      await send(cluster, 'GET', `/generic/temporary/download/demo/other/dir/file?token=${value}`),
    ]) {
      assert.deepEqual([answer.status, answer.code], [400, 251021])
    }
    assert.equal((await download(cluster, '')).code, 250104)
    assert.equal((await send(cluster, 'GET', '/generic/temporary/download/demo/files/dir/file')).code, 250103)
    const up = await token(cluster, { type: 'UPLOAD' })
    assert.equal((await download(cluster, up)).code, 251021)
    const all = await token(cluster, { type: 'all' })
    assert.equal((await download(cluster, all)).status, 200)
    assert.equal((await upload(cluster, all, '/dir/new', 'x')).status, 200)
  })

  it('given an upload token, when used, then the file is its creator’s or the caller’s, with all headers of an upload', async () => {
    await using cluster = await started(dialect)
    await addUser(cluster, 'bob')
    const value = await token(cluster, { type: 'UPLOAD' })
    const headers = { 'x-bkrepo-sha256': sha256('new'), 'x-bkrepo-meta-color': 'red' }
    const { status, data } = await upload(cluster, value, '/dir/new', 'new', { headers })
    assert.deepEqual([status, data.createdBy, data.metadata.color, data.fullPath], [200, 'admin', 'red', '/dir/new'])
    assert.equal((await upload(cluster, value, '/dir/bobs', 'b', { user: 'bob' })).data.createdBy, 'bob')
    assert.equal((await upload(cluster, value, '/dir/new', 'again')).code, 251012)
    const over = { headers: { 'x-bkrepo-overwrite': 'true' } }
    assert.equal((await upload(cluster, value, '/dir/new', 'again', over)).status, 200)
    const block = { headers: { 'x-bkrepo-upload-id': 'x', 'x-bkrepo-sequence': '1' } }
    assert.equal((await upload(cluster, value, '/dir/block', 'x', block)).code, 250112)
  })

  it('given a token for users, when used by others or without a login, then 251021; wrong credentials are 401', async () => {
    await using cluster = await started(dialect)
    for (const user of ['ann', 'bob']) await addUser(cluster, user)
    const value = await token(cluster, { authorizedUserSet: ['ann'] })
    assert.equal((await download(cluster, value, '/dir/file', { user: 'ann' })).text, 'hello')
    assert.equal((await download(cluster, value, '/dir/file', { user: 'bob' })).code, 251021)
    assert.equal((await download(cluster, value)).code, 251021)
    const wrong = { headers: { authorization: `Basic ${btoa('ann:wrong-password')}` } }
    assert.deepEqual((await download(cluster, await token(cluster), '/dir/file', wrong)).status, 401)
  })

  it('given a token for addresses, when used from elsewhere, then 251021', async () => {
    await using cluster = await started(dialect)
    const here = await token(cluster, { authorizedIpSet: ['10.9.8.7', '127.0.0.0/8'] })
    assert.equal((await download(cluster, here)).status, 200)
    const elsewhere = await token(cluster, { authorizedIpSet: ['10.0.0.0/8', '2001:db8::/32'] })
    assert.equal((await download(cluster, elsewhere)).code, 251021)
  })

  it('given 5 permits and 25 downloads at once, when all are answered, then exactly 5 are served and 20 are 251021', async () => {
    await using cluster = await started(dialect)
    const value = await token(cluster, { permits: 5 })
    const answers = await Promise.all(Array.from({ length: 25 }, () => download(cluster, value)))
    assert.equal(answers.filter(({ status, text }) => status === 200 && text === 'hello').length, 5)
    assert.equal(answers.filter(({ code }) => code === 251021).length, 20)
    assert.deepEqual(await permitsLeft(cluster), [0])
  })

  it('given permits, when a use comes to nothing, then it costs none: HEAD, 304, 404, 416, a refused upload', async () => {
    await using cluster = await started(dialect)
    const value = await token(cluster, { permits: 1, type: 'ALL' })
    await download(cluster, value, '/dir/file', {}, 'HEAD')
    await download(cluster, value, '/dir/file', { headers: { 'if-none-match': `"${sha256('hello')}"` } })
    await download(cluster, value, '/dir/none')
    assert.equal((await download(cluster, value, '/dir/file', { headers: { range: 'bytes=99-' } })).status, 416)
    assert.equal((await upload(cluster, value, '/dir/file', 'x')).code, 251012)
    const bad = { headers: { 'x-bkrepo-sha256': sha256('other') } }
    assert.equal((await upload(cluster, value, '/dir/new', 'x', bad)).code, 251003)
    assert.deepEqual(await permitsLeft(cluster), [1])
    assert.equal((await upload(cluster, value, '/dir/new', 'x')).status, 200)
    assert.equal((await upload(cluster, value, '/dir/newer', 'x')).code, 251021)
  })

  it('given a token whose time is over, when used, then 251022, and a day later the sweep takes it', async () => {
    await using cluster = await started(dialect)
    const value = await token(cluster)
    await cluster.db.transact((trx) => trx.updateTable('temporary_token').set({ expires_at: 1 }).execute())
    const answer = await download(cluster, value)
    assert.deepEqual([answer.status, answer.code], [400, 251022])
  })

  it('given its creator loses the right or the account, when used, then 251021; with the right it works again', async () => {
    await using cluster = await started(dialect)
    await addUser(cluster, 'ann')
    const { id } = await grant(cluster, 'ann', ['READ'])
    const value = await token(cluster, {}, 'ann')
    assert.equal((await download(cluster, value)).status, 200)
    await cluster.api.call('DELETE', `/auth/api/permission/delete/${id}`, undefined, signal)
    assert.equal((await download(cluster, value)).code, 251021)
    const again = await grant(cluster, 'ann', ['READ'])
    assert.equal((await download(cluster, value)).status, 200)
    await cluster.api.call('DELETE', '/auth/api/user/delete/ann', undefined, signal)
    assert.equal((await download(cluster, value)).code, 251021)
    await cluster.api.call('DELETE', `/auth/api/permission/delete/${again.id}`, undefined, signal)
    await addUser(cluster, 'ann')
    await grant(cluster, 'ann', ['READ'])
    assert.equal((await download(cluster, value)).code, 251021)
  })

  it('given users of several rights, when they make tokens, then only for what they may do themselves, to all that lies below', async () => {
    await using cluster = await started(dialect)
    for (const [user, actions, include] of [
      ['reader', ['READ'], []],
      ['writer', ['WRITE'], []],
      ['manager', ['MANAGE'], []],
      ['narrow', ['READ'], ['/dir/sub']],
    ] as const) {
      await addUser(cluster, user)
      await grant(cluster, user, [...actions], [...include])
    }
    await addUser(cluster, 'nobody')
    for (const [user, type, path, expected] of [
      ['reader', 'DOWNLOAD', '/dir', 200],
      ['reader', 'UPLOAD', '/dir', 403],
      ['reader', 'ALL', '/dir', 403],
      ['writer', 'UPLOAD', '/dir', 200],
      ['writer', 'DOWNLOAD', '/dir', 403],
      ['manager', 'ALL', '/', 200],
      ['narrow', 'DOWNLOAD', '/dir/sub/x', 200],
      ['narrow', 'DOWNLOAD', '/dir', 403],
      ['nobody', 'DOWNLOAD', '/dir', 403],
      ['', 'DOWNLOAD', '/dir', 401],
    ] as const) {
      const { status } = await make(cluster, { type, fullPathSet: [path] }, user)
      assert.equal(status, expected, `${user} ${type} ${path}`)
    }
  })

  it('given orders that cannot be, when made, then the field is named', async () => {
    await using cluster = await started(dialect)
    for (const [more, code, name] of [
      [{ fullPathSet: [] }, 250104, 'fullPathSet'],
      [{ fullPathSet: null }, 250103, 'fullPathSet'],
      [{ fullPathSet: ['/a\u0001'] }, 251011, 'Path'],
      [{ fullPathSet: [7] }, 250106, 'fullPathSet[0]'],
      [{ type: 'DELETE' }, 250106, 'type'],
      [{ type: null }, 250103, 'type'],
      [{ permits: 0 }, 250105, 'permits'],
      [{ permits: 1.5 }, 250106, 'permits'],
      [{ expireSeconds: 1e12 }, 250105, 'expireSeconds'],
      [{ authorizedIpSet: ['10.0.0.0/99'] }, 250105, 'authorizedIpSet'],
      [{ projectId: null }, 250103, 'projectId'],
      [{ repoName: 'nothing' }, 251006, 'nothing'],
    ] as const) {
      const answer = await make(cluster, more)
      assert.equal(answer.code, code, JSON.stringify(more))
      assert.ok((JSON.parse(answer.text) as { message: string }).message.includes(name), answer.text)
    }
  })
})

it('given requests with a token that succeed, are refused or break, when all is logged, then no line holds the token', async () => {
  const broken = async () => {
    throw new Error('a defect')
  }
  const deps = { repositories: { get: broken }, dates: createDates('UTC'), clock: manualClock() }
  await using server = await edge(() => [temporaryRoutes(deps as unknown as TemporaryRouteDeps)])
  const port = await server.listen()
  const value = 'entrepot_very-secret'
  for (const at of ['download/p/open/x', 'download/p/open/bad%zz', 'nothing/p/open/x']) {
    for (const method of ['GET', 'HEAD', 'PUT']) {
      const answer = await fetch(`http://127.0.0.1:${port}/generic/temporary/${at}?token=${value}`, { method, signal })
      assert.ok(!(await answer.text()).includes(value))
    }
  }
  assert.ok(server.log.some(({ msg }) => msg === 'request failed'))
  assert.ok(!JSON.stringify(server.log).includes(value))
})
