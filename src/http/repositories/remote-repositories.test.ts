import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { get, type IncomingMessage } from 'node:http'
import { it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { type ArtifactApi, artifactApi } from '../../../test/helpers/artifact-api.ts'
import { seededBytes } from '../../../test/helpers/blobs.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { createProxyRepository as createRepository } from '../../../test/helpers/proxies.ts'
import { scriptedUpstream } from '../../../test/helpers/scripted-upstream.ts'
import { digestOfBytes } from '../../core/digest.ts'

const FILE = '/generic/demo/remote/dir/a.txt'
const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex')

const remote = (api: ArtifactApi, url: string, more: object = {}) =>
  createRepository(api, 'remote', 'REMOTE', { url, ...more })
const cached = async (api: ArtifactApi, path = '/dir/a.txt') => {
  const { data } = await api.send('GET', `/repository/api/node/detail/demo/remote${path}`)
  return data?.sha256 as string | undefined
}

eachDatabase('REMOTE repositories', (make) => {
  it('given a file of the upstream, when asked for twice, then it is fetched once, stored as a node and shown', async () => {
    await using upstream = await scriptedUpstream()
    await using api = await artifactApi(await make())
    upstream.serve('/files/dir/a.txt', 'hello')
    await remote(api, `${upstream.url}/files/`)
    const first = await api.send('GET', FILE)
    assert.equal(first.status, 200)
    assert.equal(first.body.toString(), 'hello')
    assert.equal(first.headers['content-length'], '5')
    assert.equal(first.headers['cache-status'], 'Entrepot; fwd=miss; stored')
    const second = await api.send('GET', FILE)
    assert.equal(second.body.toString(), 'hello')
    assert.equal(second.headers['cache-status'], 'Entrepot; hit')
    assert.equal(second.headers.etag, `"${sha256('hello')}"`)
    assert.deepEqual(upstream.asked, ['GET /files/dir/a.txt'])
    assert.equal(await cached(api), sha256('hello'))
    const page = await api.send('GET', '/repository/api/node/page/demo/remote/dir')
    assert.equal(page.data.records[0].createdBy, 'system')
    const changes = await api.db.read.selectFrom('change_log').select('path').execute()
    assert.deepEqual(
      changes.map(({ path }) => path),
      ['/dir/a.txt'],
    )
  })

  it('given 50 equal requests at once, when the upstream is slow, then it is asked once and all get the file', async () => {
    await using upstream = await scriptedUpstream()
    await using api = await artifactApi(await make())
    const body = seededBytes(1, 300_000)
    const wait = Promise.withResolvers<void>()
    upstream.script('/dir/a.txt', (_request, response) => {
      response.writeHead(200, { 'content-length': body.length }).write(body.subarray(0, 100_000))
      void wait.promise.then(() => response.end(body.subarray(100_000)))
    })
    await remote(api, upstream.url)
    const all = Array.from({ length: 50 }, () => api.send('GET', FILE))
    while (upstream.asked.length === 0) await setImmediate()
    wait.resolve()
    for (const answer of await Promise.all(all)) assert.equal(sha256(answer.body), sha256(body))
    assert.deepEqual(upstream.asked, ['GET /dir/a.txt'])
    assert.equal((await api.db.read.selectFrom('node').select('id').where('folder', '=', 0).execute()).length, 1)
  })

  it('given a client that gets the first bytes while the rest is to come, when it hangs up, then the file is stored for others', async () => {
    await using upstream = await scriptedUpstream()
    await using api = await artifactApi(await make())
    const body = seededBytes(2, 400_000)
    const wait = Promise.withResolvers<void>()
    upstream.script('/dir/a.txt', (_request, response) => {
      response.writeHead(200, { 'content-length': body.length }).write(body.subarray(0, 200_000))
      void wait.promise.then(() => response.end(body.subarray(200_000)))
    })
    await remote(api, upstream.url)
    const answer = await new Promise<IncomingMessage>((resolve) =>
      get({ port: api.port, path: FILE, headers: { authorization: 'admin' } }, resolve),
    )
    const [chunk] = await Promise.all([new Promise<Buffer>((resolve) => answer.once('data', resolve))])
    assert.ok(chunk.length > 0)
    answer.destroy()
    wait.resolve()
    const next = await api.send('GET', FILE)
    assert.equal(sha256(next.body), sha256(body))
    assert.deepEqual(upstream.asked, ['GET /dir/a.txt'])
  })

  it('given an upload to the path while a COMPOSITE fetch arrives, when both end, then the reader has one file and the upload stays', async () => {
    for (const announced of [true, false]) {
      await using upstream = await scriptedUpstream()
      await using api = await artifactApi(await make())
      const body = Buffer.alloc(300_000, 'U')
      const uploaded = Buffer.alloc(300_000, 'L')
      const wait = Promise.withResolvers<void>()
      const headers = announced ? { 'content-length': body.length, 'x-checksum-sha256': sha256(body) } : {}
      upstream.script('/dir/a.txt', (_request, response) => {
        response.writeHead(200, headers).write(body.subarray(0, 200_000))
        void wait.promise.then(() => response.end(body.subarray(200_000)))
      })
      const channel = { public: false, name: 'up', url: upstream.url }
      const configuration = { type: 'composite', proxy: { channelList: [channel] } }
      await createRepository(api, 'remote', 'COMPOSITE', configuration)
      const reading = api.send('GET', FILE)
      while (upstream.asked.length === 0) await setImmediate()
      assert.equal((await api.send('PUT', FILE, { body: uploaded })).status, 200)
      wait.resolve()
      const answer = await reading
      assert.deepEqual([answer.status, sha256(answer.body)], [200, sha256(body)])
      assert.equal(await cached(api), sha256(uploaded))
      assert.equal(sha256((await api.send('GET', FILE)).body), sha256(uploaded))
    }
  })

  it('given a slow reader of a file larger than the window, when the fetch has ended, then the reader gets it all', async () => {
    await using upstream = await scriptedUpstream()
    await using api = await artifactApi(await make())
    const body = seededBytes(3, 12 * 1024 * 1024)
    upstream.serve('/dir/a.txt', body)
    await remote(api, upstream.url)
    const answer = await new Promise<IncomingMessage>((resolve) =>
      get({ port: api.port, path: FILE, headers: { authorization: 'admin' } }, resolve),
    )
    while ((await cached(api)) === undefined) await setImmediate()
    const hash = createHash('sha256')
    for await (const chunk of answer) hash.update(chunk)
    assert.equal(hash.digest('hex'), sha256(body))
  })

  it('given lies, cuts and errors, when fetched, then 250116 or a cut, and nothing is stored', async () => {
    await using upstream = await scriptedUpstream()
    await using api = await artifactApi(await make())
    await remote(api, upstream.url)
    const url = '/generic/demo/remote'
    upstream.serve('/wrong-digest', 'hello', { 'x-checksum-sha256': sha256('other') })
    upstream.serve('/wrong-etag', 'hello', { etag: `"${sha256('other')}"`, 'x-trace-id': 'a'.repeat(32) })
    upstream.serve('/no-digest', 'hello', { 'x-checksum-sha256': 'zzz' })
    upstream.serve('/gzip', 'hello', { 'content-encoding': 'gzip' })
    upstream.script('/no-length', (request) => request.socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello'))
    upstream.script('/cut', (_request, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('hello')
      setImmediate().then(() => response.destroy())
    })
    upstream.script('/cut-chunked', (_request, response) => {
      response.writeHead(200).write('hello')
      setImmediate().then(() => response.destroy())
    })
    upstream.script('/500', (_request, response) => response.writeHead(500).end('oops'))
    upstream.script('/401', (_request, response) => response.writeHead(401).end('who'))
    upstream.script('/not-http', (request) => request.socket.end('HELLO\r\n\r\n'))
    for (const path of ['/no-digest', '/gzip', '/no-length', '/500', '/401', '/not-http']) {
      const { status, code } = await api.send('GET', url + path)
      assert.deepEqual([status, code], [502, 250116], path)
    }
    for (const path of ['/wrong-digest', '/wrong-etag', '/cut', '/cut-chunked']) {
      // No byte of the only piece is out when it fails.
      const live = await api.send('GET', url + path)
      assert.deepEqual([live.status, live.code, live.headers.etag], [502, 250116, undefined], path)
      assert.equal(live.headers['cache-status'], undefined, path)
      const whole = await api.send('GET', url + path, { headers: { range: 'bytes=0-1' } })
      assert.deepEqual([whole.status, whole.code], [502, 250116], path)
    }
    const long = seededBytes(4, 500_000)
    upstream.serve('/wrong-long', long, { 'x-checksum-sha256': sha256('other') })
    await assert.rejects(api.send('GET', `${url}/wrong-long`))
    assert.deepEqual(await api.db.read.selectFrom('node').select('path').execute(), [])
    assert.deepEqual(await api.db.read.selectFrom('proxy_file').select('path').execute(), [])
    assert.equal(api.content.size, 0)
  })

  it('given a file that the upstream has not, when asked for again soon, then it is not asked again, and later it is', async () => {
    await using upstream = await scriptedUpstream()
    await using api = await artifactApi(await make())
    await remote(api, upstream.url)
    assert.equal((await api.send('GET', FILE)).code, 251010)
    assert.equal((await api.send('GET', FILE)).code, 251010)
    assert.equal(upstream.asked.length, 1)
    upstream.serve('/dir/a.txt', 'now')
    await api.clock.advance(30_000)
    assert.equal((await api.send('GET', FILE)).body.toString(), 'now')
  })

  it('given HEAD and Range on a miss, when asked, then HEAD fetches nothing and Range answers a part of the whole', async () => {
    await using upstream = await scriptedUpstream()
    await using api = await artifactApi(await make())
    upstream.serve('/dir/a.txt', 'hello', { 'x-checksum-sha256': sha256('hello') })
    await remote(api, upstream.url)
    const head = await api.send('HEAD', FILE)
    assert.deepEqual(
      [head.status, head.headers['content-length'], head.headers.etag],
      [200, '5', `"${sha256('hello')}"`],
    )
    assert.equal(await cached(api), undefined)
    const part = await api.send('GET', FILE, { headers: { range: 'bytes=1-3' } })
    assert.deepEqual([part.status, part.body.toString()], [206, 'ell'])
    assert.deepEqual(upstream.asked, ['HEAD /dir/a.txt', 'GET /dir/a.txt'])
    assert.equal((await api.send('HEAD', '/generic/demo/remote/none')).status, 404)
  })

  it('given expired files, when asked for, then 304 renews, new content replaces, and a failing upstream leaves the old one', async () => {
    await using upstream = await scriptedUpstream()
    const warned: unknown[] = []
    await using api = await artifactApi(await make(), { warn: (_message, about) => warned.push(about) })
    let [etag, body] = ['"1"', 'one']
    let status = 200
    upstream.script('/dir/a.txt', ({ headers }, response) => {
      if (status !== 200) response.writeHead(status).end()
      else if (headers['if-none-match'] === etag) response.writeHead(304).end()
      else response.writeHead(200, { etag, 'content-length': body.length }).end(body)
    })
    await remote(api, upstream.url, { cache: { expiration: 5 } })
    const ask = async () => {
      const answer = await api.send('GET', FILE)
      return [answer.body.toString(), answer.headers['cache-status']?.toString().replace('Entrepot; ', '')]
    }
    assert.deepEqual(await ask(), ['one', 'fwd=miss; stored'])
    await api.clock.advance(4 * 60_000)
    assert.deepEqual(await ask(), ['one', 'hit'])
    await api.clock.advance(60_000)
    assert.deepEqual(await ask(), ['one', 'hit; fwd=stale; fwd-status=304'])
    assert.deepEqual(await ask(), ['one', 'hit'])
    ;[etag, body] = ['"2"', 'two']
    await api.clock.advance(5 * 60_000)
    assert.deepEqual(await ask(), ['two', 'fwd=miss; stored'])
    await api.clock.advance(5 * 60_000)
    for (status of [500, 404, 403]) {
      assert.deepEqual(await ask(), ['two', 'hit; fwd=stale; detail=upstream-gave-no-answer'], String(status))
      await api.clock.advance(30_000)
    }
    assert.equal(warned.length, 2)
    status = 200
    assert.deepEqual(await ask(), ['two', 'hit; fwd=stale; fwd-status=304'])
    assert.equal(upstream.asked.length, 7)
  })

  it('given an expired file and an upstream that hangs, when asked for, then the old file comes after 2 s', async () => {
    await using upstream = await scriptedUpstream()
    await using api = await artifactApi(await make())
    upstream.serve('/dir/a.txt', 'old')
    await remote(api, upstream.url, { cache: { expiration: 1 }, network: { readTimeout: 60_000 } })
    await api.send('GET', FILE)
    upstream.script('/dir/a.txt', () => {})
    await api.clock.advance(60_000)
    const answer = api.send('GET', FILE)
    while (upstream.asked.length < 2) await setImmediate()
    await api.clock.advance(2_000)
    assert.equal((await answer).body.toString(), 'old')
  })

  it('given an upstream that accepts and says nothing, when the read timeout is over, then 250116', async () => {
    await using upstream = await scriptedUpstream()
    await using api = await artifactApi(await make())
    upstream.script('/dir/a.txt', () => {})
    await remote(api, upstream.url, { network: { readTimeout: 4_000 } })
    const answer = api.send('GET', FILE)
    while (upstream.asked.length < 1) await setImmediate()
    await api.clock.advance(4_000)
    assert.deepEqual([(await answer).code, /4000 ms/.test((await answer).body.toString())], [250116, true])
  })

  it('given nobody at the address, when asked for, then 250116, at once for a while, and it is tried again later', async () => {
    const gone = await scriptedUpstream()
    await gone[Symbol.asyncDispose]()
    await using api = await artifactApi(await make())
    await remote(api, gone.url)
    assert.equal((await api.send('GET', FILE)).code, 250116)
    await using back = await scriptedUpstream(gone.port)
    back.serve('/dir/a.txt', 'back')
    assert.equal((await api.send('GET', FILE)).code, 250116)
    assert.deepEqual(back.asked, [])
    await api.clock.advance(5_000)
    assert.equal((await api.send('GET', FILE)).body.toString(), 'back')
  })

  it('given redirects, when followed, then credentials stay at the upstream, and forbidden addresses and loops are refused', async () => {
    await using upstream = await scriptedUpstream()
    await using other = await scriptedUpstream()
    await using api = await artifactApi(await make())
    const redirect = (path: string, location: string) =>
      upstream.script(path, (_request, response) => response.writeHead(302, { location }).end())
    redirect('/dir/a.txt', `${other.url}/b.txt?signature=x`)
    other.serve('/b.txt?signature=x', 'signed')
    redirect('/metadata', 'http://169.254.169.254/latest')
    redirect('/metadata6', 'http://[::ffff:169.254.169.254]/latest')
    redirect('/file', 'file:///etc/passwd')
    redirect('/round', '/round')
    await remote(api, upstream.url, { credentials: { username: 'u', password: 'p' } })
    assert.equal((await api.send('GET', FILE)).body.toString(), 'signed')
    assert.equal(upstream.requests[0]?.headers.authorization, `Basic ${Buffer.from('u:p').toString('base64')}`)
    assert.equal(other.requests[0]?.headers.authorization, undefined)
    for (const path of ['/metadata', '/metadata6', '/file', '/round']) {
      const { code, body } = await api.send('GET', `/generic/demo/remote${path}`)
      assert.equal(code, 250116, path)
      assert.match(body.toString(), path === '/round' ? /more than 5/ : /not allowed/)
    }
    assert.equal(upstream.asked.filter((line) => line === 'GET /round').length, 6)
  })

  it('given cache.enabled false, when asked for, then all is passed on, verified, and nothing is kept', async () => {
    await using upstream = await scriptedUpstream()
    await using api = await artifactApi(await make())
    upstream.serve('/dir/a.txt', 'hello')
    upstream.serve('/lie', 'hello', { 'x-checksum-sha256': sha256('other') })
    await remote(api, upstream.url, { cache: { enabled: false } })
    for (let times = 0; times < 2; times++) assert.equal((await api.send('GET', FILE)).body.toString(), 'hello')
    assert.equal(upstream.asked.length, 2)
    assert.equal((await api.send('GET', '/generic/demo/remote/lie')).code, 250116)
    assert.equal(await cached(api), undefined)
    assert.equal((await api.send('HEAD', FILE)).headers['content-length'], '5')
  })

  it('given a REMOTE repository, when written to, then 250112; deleting what is cached makes the next request fetch', async () => {
    await using upstream = await scriptedUpstream()
    await using api = await artifactApi(await make())
    upstream.serve('/dir/a.txt', 'hello')
    await remote(api, upstream.url)
    const put = await api.send('PUT', FILE, { body: 'mine' })
    assert.deepEqual([put.status, put.code], [405, 250112])
    assert.equal((await api.send('POST', '/repository/api/node/mkdir/demo/remote/x')).code, 250112)
    await api.send('GET', FILE)
    assert.equal((await api.send('DELETE', FILE)).status, 200)
    assert.equal((await api.send('GET', FILE)).body.toString(), 'hello')
    assert.equal(upstream.asked.length, 2)
    assert.equal((await api.send('GET', '/generic/demo/remote/dir')).code, 251205)
  })

  it('given two upstreams, when one hangs with all its room taken, then the other answers', async () => {
    await using dead = await scriptedUpstream()
    await using alive = await scriptedUpstream()
    await using api = await artifactApi(await make())
    alive.serve('/x', 'alive')
    await createRepository(api, 'dead', 'REMOTE', { url: dead.url })
    await createRepository(api, 'alive', 'REMOTE', { url: alive.url })
    for (let file = 0; file < 20; file++) dead.script(`/${file}`, () => {})
    const hanging = Array.from({ length: 20 }, (_, file) =>
      api.send('GET', `/generic/demo/dead/${file}`).catch(() => {}),
    )
    while (dead.asked.length < 16) await setImmediate()
    assert.equal((await api.send('GET', '/generic/demo/alive/x')).body.toString(), 'alive')
    assert.equal(dead.asked.length, 16)
    await api.clock.advance(10_000)
    while (dead.asked.length < 20) await setImmediate()
    await api.clock.advance(10_000)
    await Promise.all(hanging)
  })

  it('given a question that has come through here before, when it comes again, then it is refused', async () => {
    await using upstream = await scriptedUpstream()
    await using api = await artifactApi(await make())
    upstream.serve('/dir/a.txt', 'hello')
    await remote(api, upstream.url)
    const again = await api.send('GET', FILE, { headers: { via: '1.1 nginx, 1.1 entrepot-test' } })
    assert.equal(again.code, 250116)
    await api.send('GET', FILE, { headers: { via: '1.1 nginx' } })
    assert.equal(upstream.requests[0]?.headers.via, '1.1 nginx, 1.1 entrepot-test')
  })

  it('given a repository deleted during a fetch, when the fetch ends, then nothing is left of it', async () => {
    await using upstream = await scriptedUpstream()
    await using api = await artifactApi(await make())
    const wait = Promise.withResolvers<void>()
    upstream.script('/dir/a.txt', (_request, response) => {
      response.writeHead(200, { 'content-length': '5' }).write('hel')
      void wait.promise.then(() => response.end('lo'))
    })
    await remote(api, upstream.url)
    const answer = api.send('GET', FILE, { headers: { range: 'bytes=0-' } })
    while (upstream.asked.length < 1) await setImmediate()
    await api.send('DELETE', '/repository/api/repo/delete/demo/remote?forced=true')
    wait.resolve()
    assert.equal((await answer).code, 251006)
    assert.deepEqual(await api.db.read.selectFrom('node').select('id').execute(), [])
    assert.equal(api.content.has(digestOfBytes('hello')), true) // for the collection to find
  })
})
