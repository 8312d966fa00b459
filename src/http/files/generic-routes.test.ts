import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { it } from 'node:test'
import { type ArtifactApi, artifactApi } from '../../../test/helpers/artifact-api.ts'
import { makeRepository, path } from '../../../test/helpers/artifacts.ts'
import { hangingStream, seededBytes, streamOf } from '../../../test/helpers/blobs.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { digestOfBytes } from '../../core/digest.ts'

const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex')
const md5 = (bytes: string) => createHash('md5').update(bytes).digest('hex')
const FILES = '/generic/demo/files'
const OVERWRITE = { 'x-bkrepo-overwrite': 'true' }

async function put(api: ArtifactApi, at: string, body: string | Buffer = at, headers = {}) {
  const answer = await api.send('PUT', `${FILES}${at}`, { body, headers })
  assert.equal(answer.status, 200, JSON.stringify(answer.data ?? answer.body.toString()))
  return answer
}
const liveFiles = async ({ db }: ArtifactApi) =>
  (
    await db.read
      .selectFrom('node')
      .select('path')
      .where('deleted_at', 'is', null)
      .where('folder', '=', 0)
      .orderBy('path')
      .execute()
  ).map((row) => row.path)
const blobRows = async ({ db }: ArtifactApi) => (await db.read.selectFrom('blob').select('sha256').execute()).length

/** Bytes as they are on the wire; the answer is all that came until the other side closed. */
async function rawExchange(port: number, ...parts: string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk.toString()
  })
  for (const part of parts) socket.write(part)
  await once(socket, 'close')
  return text
}

eachDatabase('generic uploads', (make) => {
  it('given a new file, when uploaded, then the answer is the node with its checksums and the bytes come back', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    const { data, headers } = await put(api, '/dir/hello.txt', 'hello', { 'x-bkrepo-md5': md5('hello') })
    assert.deepEqual(
      { ...data, createdDate: 0, lastModifiedDate: 0 },
      {
        createdBy: 'admin',
        createdDate: 0,
        lastModifiedBy: 'admin',
        lastModifiedDate: 0,
        lastAccessDate: null,
        projectId: 'demo',
        repoName: 'files',
        folder: false,
        path: '/dir/',
        name: 'hello.txt',
        fullPath: '/dir/hello.txt',
        size: 5,
        sha256: sha256('hello'),
        md5: md5('hello'),
        crc64ecma: null,
        metadata: {},
        nodeMetadata: [],
        stageTag: null,
        expireDate: null,
        nodeNum: null,
        deleted: null,
        clusterNames: null,
        federatedSource: null,
      },
    )
    assert.match(data.createdDate, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}$/)
    assert.equal(headers['x-checksum-sha256'], sha256('hello'))
    assert.equal(headers['x-checksum-md5'], md5('hello'))
    const back = await api.send('GET', `${FILES}/dir/hello.txt`)
    assert.equal(back.body.toString(), 'hello')
    assert.equal(back.headers['x-checksum-md5'], md5('hello'))
  })

  it('given a CRC, when uploaded, then it is checked, kept with the file and told by every answer about it', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    const crc = '11051210869376104954'
    const { data, headers } = await put(api, '/crc', '123456789', { 'x-bkrepo-crc64ecma': crc })
    assert.deepEqual([data.crc64ecma, headers['x-checksum-crc64ecma']], [crc, crc])
    for (const method of ['GET', 'HEAD']) {
      const back = await api.send(method, `${FILES}/crc`)
      assert.deepEqual([back.status, back.headers['x-checksum-crc64ecma']], [200, crc])
    }
    const detail = await api.send('GET', '/repository/api/node/detail/demo/files/crc')
    assert.equal(detail.data.crc64ecma, crc)
    assert.equal((await put(api, '/plain')).headers['x-checksum-crc64ecma'], undefined)
  })

  it('given bodies of any content type, when uploaded, then they are stored as bytes and not parsed', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    for (const [at, type] of [
      ['/1', 'application/json'],
      ['/2', 'text/plain; charset=utf-16'],
      ['/3', 'multipart/form-data; boundary=x'],
      ['/4', 'not a media type at all'],
      ['/5', ';;;'],
    ] as const) {
      await put(api, at, '{"not": "json', { 'content-type': type })
      assert.equal((await api.send('GET', `${FILES}${at}`)).body.toString(), '{"not": "json', type)
    }
  })

  it('given an empty file and one sent in chunks without a length, when uploaded, then both are stored', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    const empty = await put(api, '/empty', '')
    assert.equal(empty.data.sha256, 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
    const back = await api.send('GET', `${FILES}/empty`)
    assert.deepEqual([back.status, back.body.length, back.headers['content-length']], [200, 0, '0'])
    const noBody = await api.send('PUT', `${FILES}/none`)
    assert.deepEqual([noBody.status, noBody.data.size], [200, 0])
    const chunked = await api.send('PUT', `${FILES}/chunked`, { body: streamOf('ab', 'cd', 'ef') })
    assert.deepEqual([chunked.status, chunked.data.size, chunked.data.sha256], [200, 6, sha256('abcdef')])
  })

  it('given odd names, when uploaded and read back, then each is decoded exactly once and kept apart', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    const names = [
      'a b+c.txt',
      'a%20b.txt',
      'a%2Fb.txt',
      '%41.txt',
      '100%.txt',
      'ünïcode.txt',
      'u\u0308.txt',
      '😀 emoji',
      'q?x=1#frag',
      'semi;colon,&=',
      'quo\'te"s',
      'UPPER',
      'upper',
      '~!@$^*()[]{}|`',
      '.hidden',
      '...',
      'toString',
      '__proto__',
    ]
    for (const name of names) {
      const { data } = await put(api, `/odd/${encodeURIComponent(name)}`, name)
      assert.equal(data.name, name)
      assert.equal(data.fullPath, `/odd/${name}`)
    }
    for (const name of names) {
      const back = await api.send('GET', `${FILES}/odd/${encodeURIComponent(name)}`)
      assert.equal(back.body.toString(), name)
    }
    assert.equal((await liveFiles(api)).length, names.length)
    // An encoded slash is a slash, since a name cannot hold one.
    assert.equal((await put(api, '/x%2Fy%5Cz')).data.fullPath, '/x/y/z')
  })

  it('given climbing paths, when uploaded, then they stay inside the repository, normalised', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    for (const [sent, stored] of [
      ['/../../../etc/passwd', '/etc/passwd'],
      ['/a/%2e%2e/%2e%2e/b1', '/b1'],
      ['/a/..%2f..%2fb2', '/b2'],
      ['/a/..%5c..%5cb3', '/b3'],
      ['//double///slash', '/double/slash'],
      ['/dot/./file', '/dot/file'],
      ['/%20space%20/%20x', '/space/x'],
    ] as const) {
      assert.equal((await put(api, sent)).data.fullPath, stored, sent)
    }
  })

  it('given paths that cannot be, when uploaded, then 251011, 251013 or 250105 say why and nothing is stored', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    for (const [at, code] of [
      ['/nul%00byte', 251011],
      ['/control%1f', 251011],
      ['/new%0aline', 251011],
      [`/${'d/'.repeat(64)}x`, 251011],
      [`/${'n'.repeat(1025)}`, 251011],
      ['/', 251013],
      ['/a/..', 251013],
      ['/bad%zz', 250105],
      ['/bad%ff', 250105],
      ['/half%', 250105],
    ] as const) {
      const answer = await api.send('PUT', `${FILES}${at}`, { body: 'x' })
      assert.deepEqual([answer.status, answer.code], [400, code], at)
    }
    assert.deepEqual(await liveFiles(api), [])
  })

  it('given wrong digests, when uploaded, then 251003, and neither node nor blob is left', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    for (const headers of [
      { 'x-bkrepo-sha256': sha256('other') },
      { 'x-bkrepo-sha256': 'wrong' },
      { 'x-bkrepo-md5': md5('other') },
      { 'x-bkrepo-crc64ecma': '1' },
      { 'x-bkrepo-crc64ecma': 'wrong' },
      { 'x-bkrepo-sha256': sha256('body'), 'x-bkrepo-md5': md5('other') },
    ]) {
      const answer = await api.send('PUT', `${FILES}/file`, { body: 'body', headers })
      assert.deepEqual([answer.status, answer.code], [400, 251003])
    }
    assert.deepEqual([await liveFiles(api), await blobRows(api), api.content.size], [[], 0, 0])
    const right = { 'x-bkrepo-sha256': sha256('body').toUpperCase(), 'x-bkrepo-md5': md5('body').toUpperCase() }
    await put(api, '/file', 'body', right)
  })

  it('given an existing file, when uploaded without OVERWRITE, then 251012; with it, then replaced and the old kept as deleted', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    await put(api, '/file', 'one')
    const refused = await api.send('PUT', `${FILES}/file`, { body: 'two' })
    assert.deepEqual([refused.status, refused.code], [400, 251012])
    const oddly = await api.send('PUT', `${FILES}/file`, { body: 'two', headers: { 'x-bkrepo-overwrite': '1' } })
    assert.deepEqual([oddly.status, oddly.code], [400, 250105])
    const falsely = await api.send('PUT', `${FILES}/file`, { body: 'two', headers: { 'x-bkrepo-overwrite': 'false' } })
    assert.equal(falsely.code, 251012)
    await put(api, '/file', 'two', OVERWRITE)
    assert.equal((await api.send('GET', `${FILES}/file`)).body.toString(), 'two')
    assert.equal((await db.read.selectFrom('node').selectAll().execute()).length, 2)
  })

  it('given a folder at the path or a file above it, when uploaded, then 251013 with and without OVERWRITE', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    await put(api, '/folder/file')
    for (const at of ['/folder', '/folder/file/below', '/folder/file/far/below']) {
      for (const headers of [{}, OVERWRITE]) {
        const answer = await api.send('PUT', `${FILES}${at}`, { body: 'x', headers })
        assert.deepEqual([answer.status, answer.code], [400, 251013], at)
      }
    }
  })

  it('given 40 parallel uploads of one path, when without OVERWRITE, then one 200 and 39 times 251012, one live node', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    const upload = (at: number) => api.send('PUT', `${FILES}/new/one`, { body: `content ${at}` })
    const answers = await Promise.all(Array.from({ length: 40 }, (_, at) => upload(at)))
    assert.equal(answers.filter(({ status }) => status === 200).length, 1)
    assert.equal(answers.filter(({ code }) => code === 251012).length, 39)
    assert.deepEqual(await liveFiles(api), ['/new/one'])
    assert.equal(await blobRows(api), 1)
  })

  it('given 20 parallel uploads of one path, when with OVERWRITE, then all succeed and the last one is live', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    const upload = (at: number) => api.send('PUT', `${FILES}/one`, { body: `content ${at}`, headers: OVERWRITE })
    const answers = await Promise.all(Array.from({ length: 20 }, (_, at) => upload(at)))
    assert.deepEqual(
      answers.map(({ status }) => status),
      Array.from({ length: 20 }, () => 200),
    )
    assert.deepEqual(await liveFiles(api), ['/one'])
    const sums = await db.read
      .selectFrom('change_log')
      .select((eb) => eb.fn.sum<number>('dn').as('dn'))
      .executeTakeFirstOrThrow()
    assert.equal(sums.dn, 1)
  })

  it('given metadata headers, when uploaded, then they are the metadata of the node', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    const packed = Buffer.from('Build=1%262&name=%E4%BD%A0').toString('base64')
    const headers = { 'X-BKREPO-META-Color': 'light%20blue', 'X-BKREPO-META-build': 'lower', 'X-BKREPO-META': packed }
    const { data } = await put(api, '/file', 'x', headers)
    assert.deepEqual(data.metadata, { color: 'light blue', build: 'lower', Build: '1&2', name: '你' })
    assert.equal(data.nodeMetadata[0].system, false)
    for (const [bad, code] of [
      [{ 'x-bkrepo-meta': '%%%' }, 250105],
      [{ [`x-bkrepo-meta-${'k'.repeat(129)}`]: 'v' }, 251035],
      [{ 'x-bkrepo-meta': Buffer.from('scanStatus=PASSED').toString('base64') }, 251035],
      [{ 'x-bkrepo-meta': Buffer.from(`k=${'v'.repeat(65_536)}`).toString('base64') }, 251035],
    ] as const) {
      const answer = await api.send('PUT', `${FILES}/bad`, { body: 'x', headers: bad })
      assert.deepEqual([answer.status, answer.code], [400, code])
    }
    assert.deepEqual(await liveFiles(api), ['/file'])
  })

  it('given EXPIRES, when its days are over, then the file is hidden everywhere and its path is free', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    const { data } = await put(api, '/brief', 'x', { 'x-bkrepo-expires': '1' })
    assert.equal(data.expireDate, '2026-01-02T00:00:00.000')
    await api.clock.advance(86_400_000 - 1)
    assert.equal((await api.send('GET', `${FILES}/brief`)).status, 200)
    await api.clock.advance(1)
    for (const url of [`${FILES}/brief`, '/repository/api/node/detail/demo/files/brief']) {
      const answer = await api.send('GET', url)
      assert.deepEqual([answer.status, answer.code], [404, 251010])
    }
    assert.equal((await api.send('GET', '/repository/api/node/page/demo/files/')).data.totalRecords, 0)
    assert.equal((await api.send('DELETE', `${FILES}/brief`)).code, 251010)
    await put(api, '/brief', 'again')
    assert.equal(
      (await api.send('PUT', `${FILES}/x`, { body: '', headers: { 'x-bkrepo-expires': 'soon' } })).code,
      250105,
    )
  })

  it('given a client that hangs up half-way, when its connection is gone, then neither node nor blob is left', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    for (const framing of ['Content-Length: 100000', 'Transfer-Encoding: chunked']) {
      const socket = connect(api.port, '127.0.0.1')
      const start = framing.startsWith('C') ? 'half of it' : '5\r\nhello\r\n'
      socket.write(`PUT ${FILES}/half HTTP/1.1\r\nHost: x\r\nAuthorization: admin\r\n${framing}\r\n\r\n${start}`)
      await once(socket, 'ready')
      // The next request is answered after the first one reached the server, on its own connection.
      await api.send('GET', `${FILES}/half`)
      socket.destroy()
      await once(socket, 'close')
    }
    assert.equal((await api.send('GET', `${FILES}/half`)).code, 251010)
    assert.deepEqual([await liveFiles(api), await blobRows(api), api.content.size], [[], 0, 0])
  })

  it('given more bytes than announced, when uploaded, then 250106 ends the connection and no other bytes are stored than the announced ones', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    const head = `PUT ${FILES}/long HTTP/1.1\r\nHost: x\r\nAuthorization: admin\r\nContent-Length: 5\r\n\r\n`
    const answer = await rawExchange(api.port, `${head}12345and more that nobody announced\r\n\r\n`)
    assert.match(answer, /HTTP\/1\.1 400 [\s\S]*"code":250106/)
    // Whether the upload was done when the rest arrived is a race; half a file or a longer one it never is.
    const { status, body } = await api.send('GET', `${FILES}/long`)
    assert.ok(status === 404 || body.toString() === '12345', body.toString())
  })

  it('given Expect: 100-continue, when the upload is refused, then the answer comes instead of the invitation', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    await put(api, '/there')
    const head = (user: string, at: string) =>
      `PUT ${FILES}${at} HTTP/1.1\r\nHost: x\r\n${user}Content-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n`
    for (const [user, at, status] of [
      ['', '/new', '401'],
      ['Authorization: bob\r\n', '/new', '403'],
      ['Authorization: admin\r\n', '/there', '400'],
      ['Authorization: admin\r\n', '/bad%00', '400'],
    ] as const) {
      const answer = await rawExchange(api.port, head(user, at))
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), at)
    }
    const socket = connect(api.port, '127.0.0.1')
    socket.write(head('Authorization: admin\r\n', '/new'))
    const [invitation] = await once(socket, 'data')
    assert.match(String(invitation), /^HTTP\/1\.1 100 Continue/)
    socket.write('abc')
    const [answer] = await once(socket, 'data')
    assert.match(String(answer), /^HTTP\/1\.1 200 OK/)
    socket.destroy()
    assert.equal((await api.send('GET', `${FILES}/new`)).body.toString(), 'abc')
  })

  it('given a refusal while a large body is still coming, when answered, then the client reads the answer and the connection ends', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    await put(api, '/there')
    const body = hangingStream(seededBytes(1, 4_000_000))
    const headers = { 'content-length': 400_000_000 }
    const answer = await api.send('PUT', `${FILES}/there`, { body, headers })
    assert.deepEqual([answer.status, answer.code], [400, 251012])
    assert.equal(answer.headers.connection, 'close')
    body.destroy()
  })

  it('given a refused client that keeps the connection open, when its time is over, then the server closes it', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    await put(api, '/there')
    const socket = connect(api.port, '127.0.0.1')
    const closed = once(socket, 'close')
    socket.write(
      `PUT ${FILES}/there HTTP/1.1\r\nHost: x\r\nAuthorization: admin\r\nContent-Length: 1000000\r\n\r\nstart`,
    )
    const [answer] = await once(socket, 'data')
    assert.match(String(answer), /^HTTP\/1\.1 400 [\s\S]*251012/)
    await api.clock.untilSleeping()
    await api.clock.advance(5_000)
    await closed
  })

  it('given an unknown project or repository, or no right, when uploaded, then 251004, 251006, 250114, 250113', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    await makeRepository(api, 'demo/open', 'public')
    for (const [user, url, status, code] of [
      ['admin', '/generic/nowhere/files/x', 404, 251004],
      ['admin', '/generic/demo/nothing/x', 404, 251006],
      ['', `${FILES}/x`, 401, 250114],
      ['bob', `${FILES}/x`, 403, 250113],
      ['', '/generic/demo/open/x', 401, 250114],
      ['bob', '/generic/demo/open/x', 403, 250113],
    ] as const) {
      const answer = await api.send('PUT', url, { user, body: 'x' })
      assert.deepEqual([answer.status, answer.code], [status, code], `${user} ${url}`)
    }
  })
})

eachDatabase('generic downloads', (make) => {
  it('given a file, when read with GET and HEAD, then both carry the same headers and only GET the bytes', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    await put(api, '/d/ü %.tar.gz', 'content'.repeat(3)).catch(() => undefined)
    await put(api, `/d/${encodeURIComponent('ü %.tar.gz')}`, 'hello')
    const url = `${FILES}/d/${encodeURIComponent('ü %.tar.gz')}`
    const get = await api.send('GET', url)
    const head = await api.send('HEAD', url)
    const seen = ({ date: _date, 'x-trace-id': _trace, ...rest }: typeof get.headers) => rest
    assert.deepEqual(seen(head.headers), seen(get.headers))
    assert.deepEqual([head.status, head.body.length, get.body.toString()], [200, 0, 'hello'])
    const { headers } = get
    assert.equal(headers['accept-ranges'], 'bytes')
    assert.equal(headers['cache-control'], 'no-cache')
    assert.equal(headers['content-length'], '5')
    assert.equal(headers['content-type'], 'application/gzip')
    assert.equal(headers['content-range'], undefined)
    assert.equal(headers.etag, `"${sha256('hello')}"`)
    assert.equal(headers['last-modified'], 'Thu, 01 Jan 2026 00:00:00 GMT')
    assert.equal(headers['x-checksum-sha256'], sha256('hello'))
    assert.equal(headers['x-checksum-md5'], undefined)
    assert.equal(
      headers['content-disposition'],
      `attachment; filename="_ _.tar.gz"; filename*=UTF-8''%C3%BC%20%25.tar.gz`,
    )
  })

  it('given preview and download, when read, then preview shows, sandboxed, and download saves', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    await put(api, '/page.html', '<script>')
    const headersOf = async (query: string) => (await api.send('GET', `${FILES}/page.html${query}`)).headers
    assert.equal((await headersOf(''))['content-disposition'], 'attachment; filename="page.html"')
    assert.equal((await headersOf('?download=true'))['content-disposition'], 'attachment; filename="page.html"')
    const shown = await headersOf('?preview=true')
    assert.deepEqual(
      [shown['content-disposition'], shown['content-security-policy'], shown['content-type']],
      [undefined, 'sandbox', 'text/html; charset=utf-8'],
    )
    assert.equal(
      (await headersOf('?preview=true&download=true'))['content-disposition'],
      'attachment; filename="page.html"',
    )
    assert.equal((await api.send('GET', `${FILES}/page.html?preview=perhaps`)).code, 250131)
  })

  it('acceptance 6: given ranges, when read, then one range is 206 with its bytes and anything else 416 with the size', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    await put(api, '/ten', '0123456789')
    for (const [range, body, contentRange] of [
      ['bytes=0-0', '0', 'bytes 0-0/10'],
      ['bytes=-1', '9', 'bytes 9-9/10'],
      ['bytes=5-', '56789', 'bytes 5-9/10'],
      ['bytes=2-4', '234', 'bytes 2-4/10'],
      ['bytes=8-100', '89', 'bytes 8-9/10'],
      ['bytes=-999999', '0123456789', 'bytes 0-9/10'],
    ] as const) {
      const answer = await api.send('GET', `${FILES}/ten`, { headers: { range } })
      assert.deepEqual(
        [answer.status, answer.body.toString(), answer.headers['content-range'], answer.headers['content-length']],
        [206, body, contentRange, String(body.length)],
        range,
      )
    }
    for (const range of ['bytes=999999-', 'bytes=0-1,3-4', 'bytes=garbage', 'garbage', 'bytes=4-2', 'bytes=-0']) {
      const answer = await api.send('GET', `${FILES}/ten`, { headers: { range } })
      assert.deepEqual(
        [answer.status, answer.code, answer.headers['content-range'], answer.headers['content-disposition']],
        [416, 250120, 'bytes */10', undefined],
        range,
      )
    }
    const other = await api.send('GET', `${FILES}/ten`, { headers: { range: 'items=0-1' } })
    assert.deepEqual([other.status, other.body.length], [200, 10])
    const head = await api.send('HEAD', `${FILES}/ten`, { headers: { range: 'bytes=0-0' } })
    assert.deepEqual([head.status, head.headers['content-length']], [200, '10'])
  })

  it('given validators, when read, then 304 without a body, 412, or If-Range decides between part and whole', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    await put(api, '/file', 'hello')
    const etag = `"${sha256('hello')}"`
    const since = 'Thu, 01 Jan 2026 00:00:00 GMT'
    for (const [method, headers, status] of [
      ['GET', { 'if-none-match': etag }, 304],
      ['HEAD', { 'if-none-match': `W/${etag}, "x"` }, 304],
      ['GET', { 'if-modified-since': since }, 304],
      ['GET', { 'if-none-match': '"x"', 'if-modified-since': since }, 200],
      ['GET', { 'if-match': '"x"' }, 412],
      ['GET', { range: 'bytes=0-0', 'if-range': etag }, 206],
      ['GET', { range: 'bytes=0-0', 'if-range': since }, 206],
      ['GET', { range: 'bytes=0-0', 'if-range': '"x"' }, 200],
      ['GET', { range: 'bytes=0-0', 'if-none-match': etag }, 304],
    ] as const) {
      const answer = await api.send(method, `${FILES}/file`, { headers })
      assert.equal(answer.status, status, JSON.stringify(headers))
      if (status === 304) assert.deepEqual([answer.body.length, answer.headers.etag], [0, etag])
    }
  })

  it('given a folder, a missing path and a file without its bytes, when read, then 251205, 251010, 251024', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    const whole = seededBytes(3, 100_000)
    await put(api, '/d/file', whole)
    for (const at of ['/d', '/', '']) {
      const url = at === '' ? `${FILES}/` : `${FILES}${at}`
      const answer = await api.send('GET', url)
      assert.deepEqual([answer.status, answer.code], [400, 251205], url)
    }
    assert.equal((await api.send('GET', `${FILES}/d/none`)).code, 251010)
    assert.equal((await api.send('GET', '/generic/nowhere/files/x')).code, 251004)
    assert.equal((await api.send('GET', '/generic/demo/nothing/x')).code, 251006)
    api.content.delete(digestOfBytes(whole))
    const gone = await api.send('GET', `${FILES}/d/file`)
    assert.deepEqual([gone.status, gone.code, gone.headers['content-disposition']], [404, 251024, undefined])
    assert.equal((await api.send('HEAD', `${FILES}/d/file`)).status, 404)
  })

  it('given stored bytes that were cut, when read, then the connection breaks instead of ending as if all had come', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    const whole = seededBytes(3, 300_000)
    await put(api, '/file', whole)
    api.content.set(digestOfBytes(whole), whole.subarray(0, 200_000))
    await assert.rejects(api.send('GET', `${FILES}/file`))
  })

  it('given a private and a public repository, when read by anybody, then the public one only', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    const open = await makeRepository(api, 'demo/open', 'public')
    await makeRepository(api)
    await put(api, '/x')
    await api.send('PUT', `/generic/demo/${open.name}/x`, { body: 'x' })
    assert.equal((await api.send('GET', '/generic/demo/open/x', { user: '' })).status, 200)
    assert.equal((await api.send('GET', `${FILES}/x`, { user: '' })).code, 250114)
    assert.equal((await api.send('GET', `${FILES}/x`, { user: 'bob' })).code, 250113)
    assert.equal((await api.send('GET', '/generic/demo/unknown/x', { user: 'bob' })).code, 250113)
  })

  it('given a read file, when access times are flushed, then the node says so, at most once a minute', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    const repository = await makeRepository(api)
    await put(api, '/file')
    const accessed = async () => {
      await api.accessTimes.flush()
      return (await api.nodes.get(repository, path('/file'))).accessedAt
    }
    assert.equal(await accessed(), null)
    await api.clock.advance(1_000)
    await api.send('GET', `${FILES}/file`)
    assert.equal(await accessed(), api.clock.now())
    const first = api.clock.now()
    await api.clock.advance(1_000)
    await api.send('GET', `${FILES}/file`)
    assert.equal(await accessed(), first)
    await api.clock.advance(60_000)
    await api.send('GET', `${FILES}/file`)
    assert.equal(await accessed(), api.clock.now())
  })
})

eachDatabase('generic deletes', (make) => {
  it('given a file and a folder, when deleted, then they are gone, a second time is 251010, and the root stays', async () => {
    await using db = await make()
    await using api = await artifactApi(db)
    await makeRepository(api)
    await put(api, '/d/a')
    await put(api, '/d/e/b')
    const first = await api.send('DELETE', `${FILES}/d/a`)
    assert.deepEqual([first.status, first.data], [200, null])
    assert.deepEqual([(await api.send('DELETE', `${FILES}/d/a`)).code], [251010])
    assert.equal((await api.send('DELETE', `${FILES}/d`)).status, 200)
    assert.deepEqual(await liveFiles(api), [])
    assert.deepEqual([(await api.send('DELETE', `${FILES}/`)).code], [250105])
    assert.equal((await api.send('DELETE', `${FILES}/d`, { user: 'bob' })).code, 250113)
  })
})
