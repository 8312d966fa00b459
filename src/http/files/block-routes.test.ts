import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { it } from 'node:test'
import { type ArtifactApi, artifactApi, type Sending } from '../../../test/helpers/artifact-api.ts'
import { makeRepository } from '../../../test/helpers/artifacts.ts'
import { seededBytes } from '../../../test/helpers/blobs.ts'
import { eachDatabase, type MakeDatabase } from '../../../test/helpers/databases.ts'
import { createCrc64 } from '../../core/crc64.ts'

const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex')
const md5 = (bytes: Buffer | string) => createHash('md5').update(bytes).digest('hex')
function crc64(bytes: Buffer | string): string {
  const crc = createCrc64()
  crc.update(Buffer.from(bytes))
  return crc.value()
}
const HOUR_MS = 3_600_000
const FILE = '/demo/files/dir/big.bin'
const OVERWRITE = { 'x-bkrepo-overwrite': 'true' }

/** The calls of both styles, on one path. */
function calls(api: ArtifactApi, style: 'block' | 'separate', at = FILE) {
  const url = `/generic/${style}${at}`
  const withId = (uploadId: string, more = {}) => ({ 'x-bkrepo-upload-id': uploadId, ...more })
  return {
    start: (headers = {}, more: Sending = {}) => api.send('POST', url, { ...more, headers }),
    async started(headers = {}): Promise<string> {
      const { data, status } = await api.send('POST', url, { headers })
      assert.equal(status, 200)
      return data.uploadId
    },
    part(uploadId: string, position: number, body: Buffer | string, more = {}, user = 'admin') {
      const where =
        style === 'block'
          ? { 'x-bkrepo-sequence': position }
          : { 'upload-type': 'SEPARATE-UPLOAD', 'x-bkrepo-offset': position }
      return api.send('PUT', `/generic${at}`, { user, body, headers: withId(uploadId, { ...where, ...more }) })
    },
    list: (uploadId: string) => api.send('GET', url, { headers: withId(uploadId) }),
    complete: (uploadId: string, more = {}, user = 'admin') =>
      api.send('PUT', url, { user, headers: withId(uploadId, more) }),
    abort: (uploadId: string) => api.send('DELETE', url, { headers: withId(uploadId) }),
    read: () => api.send('GET', `/generic${at}`),
  }
}
const rowsOf = async ({ db }: ArtifactApi) => ({
  uploads: (await db.read.selectFrom('block_upload').select('upload_id').execute()).length,
  parts: (await db.read.selectFrom('block_part').select('position').execute()).length,
})
const storedBlocks = ({ blocks }: ArtifactApi) => [...blocks.values()].reduce((sum, { size }) => sum + size, 0)
const signal = new AbortController().signal

async function opened(make: MakeDatabase) {
  const stack = new AsyncDisposableStack()
  const api = stack.use(await artifactApi(stack.use(await make())))
  const repository = await makeRepository(api)
  return { api, repository, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

eachDatabase('block uploads', (make) => {
  it('given numbered blocks in any order, when completed, then they are the file, with its metadata, checksums and no block left', async () => {
    await using on = await opened(make)
    const { api } = on
    const { started, part, list, complete, read } = calls(api, 'block')
    const start = await calls(api, 'block').start()
    assert.deepEqual(start.data, { uploadId: start.data.uploadId, expireSeconds: 43_200 })
    assert.match(start.data.uploadId, /^[0-9a-f]{32}$/)
    const id = await started()
    const third = await part(id, 3, 'ghi', { 'x-bkrepo-sha256': sha256('ghi'), 'x-bkrepo-md5': md5('ghi') })
    assert.deepEqual(third.data, { size: 3, sha256: sha256('ghi'), sequence: 3 })
    await part(id, 1, 'abc')
    await part(id, 2, 'def')
    assert.deepEqual((await list(id)).data, [
      { size: 3, sha256: sha256('abc'), sequence: 1 },
      { size: 3, sha256: sha256('def'), sequence: 2 },
      { size: 3, sha256: sha256('ghi'), sequence: 3 },
    ])
    assert.equal((await read()).code, 251010)
    const whole = 'abcdefghi'
    const { status, data, headers } = await complete(id, {
      'x-bkrepo-sha256': sha256(whole),
      'x-bkrepo-md5': md5(whole),
      'x-bkrepo-crc64ecma': crc64(whole),
      'x-bkrepo-size': whole.length,
      'x-bkrepo-expires': '1',
      'x-bkrepo-meta-color': 'red',
    })
    assert.equal(status, 200)
    assert.deepEqual(
      [data.fullPath, data.size, data.sha256, data.md5, data.crc64ecma, data.metadata, data.expireDate],
      ['/dir/big.bin', 9, sha256(whole), md5(whole), crc64(whole), { color: 'red' }, '2026-01-02T00:00:00.000'],
    )
    assert.deepEqual(
      [headers['x-checksum-sha256'], headers['x-checksum-md5'], headers['x-checksum-crc64ecma']],
      [sha256(whole), md5(whole), crc64(whole)],
    )
    assert.equal((await read()).body.toString(), whole)
    assert.deepEqual([(await rowsOf(api)).parts, storedBlocks(api)], [0, 0])
  })

  it('given large blocks all at once, when completed, then every byte is right', async () => {
    await using on = await opened(make)
    const { started, part, complete, read } = calls(on.api, 'block')
    const bytes = seededBytes(5, 3_000_017)
    const id = await started()
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, at) => part(id, at + 1, bytes.subarray(at * 300_002, (at + 1) * 300_002))),
    )
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
    assert.equal((await complete(id, { 'x-bkrepo-sha256': sha256(bytes) })).status, 200)
    assert.ok((await read()).body.equals(bytes))
  })

  it('given a block that is sent again, when with other bytes, then the new ones count and the old ones go', async () => {
    await using on = await opened(make)
    const { started, part, list, complete, read } = calls(on.api, 'block')
    const id = await started()
    await part(id, 1, 'old and long')
    await part(id, 1, 'new')
    assert.deepEqual((await list(id)).data, [{ size: 3, sha256: sha256('new'), sequence: 1 }])
    assert.equal(storedBlocks(on.api), 1)
    await Promise.all(Array.from({ length: 12 }, (_, at) => part(id, 1, `number ${at}`)))
    assert.equal(storedBlocks(on.api), 1)
    assert.equal((await complete(id)).status, 200)
    assert.match((await read()).body.toString(), /^number \d+$/)
  })

  it('given blocks by offset, when completed, then they are the file with its real digest', async () => {
    await using on = await opened(make)
    const { started, part, list, complete, read } = calls(on.api, 'separate')
    const id = await started()
    const second = await part(id, 5, ' world', { 'x-bkrepo-crc64ecma': crc64(' world') })
    const shown = { size: 6, sha256: sha256(' world'), crc64ecma: crc64(' world'), startPos: 5, uploadId: id }
    assert.deepEqual(second.data, shown)
    await part(id, 0, 'hello')
    assert.deepEqual(
      (await list(id)).data.map(({ startPos }: { startPos: number }) => startPos),
      [0, 5],
    )
    const { status, data } = await complete(id, { 'x-bkrepo-size': 11, 'x-bkrepo-crc64ecma': crc64('hello world') })
    assert.deepEqual([status, data.sha256, data.size], [200, sha256('hello world'), 11])
    assert.equal((await read()).body.toString(), 'hello world')
  })

  it('given a file without a byte, when it comes in one empty block, then both styles make it', async () => {
    await using on = await opened(make)
    for (const [style, first] of [
      ['block', 1],
      ['separate', 0],
    ] as const) {
      const { started, part, complete } = calls(on.api, style, `/demo/files/empty-${style}`)
      const id = await started()
      assert.equal((await part(id, first, '')).status, 200)
      assert.deepEqual((await complete(id, { 'x-bkrepo-size': '0' })).data.size, 0)
    }
  })

  it('given what cannot be completed, when completed, then the table’s codes say why and the upload goes on', async () => {
    await using on = await opened(make)
    const numbered = calls(on.api, 'block')
    const id = await numbered.started()
    assert.equal((await numbered.complete(id)).code, 251215)
    await numbered.part(id, 1, 'abc')
    await numbered.part(id, 3, 'ghi')
    assert.equal((await numbered.complete(id)).code, 251212)
    await numbered.part(id, 2, 'def')
    const whole = 'abcdefghi'
    for (const [headers, code] of [
      [{ 'x-bkrepo-size': '8' }, 251204],
      [{ 'x-bkrepo-size': 'x' }, 250105],
      [{ 'x-bkrepo-sha256': sha256('other'), 'x-bkrepo-md5': md5(whole), 'x-bkrepo-size': '9' }, 251003],
      [{ 'x-bkrepo-md5': md5('other') }, 251003],
      [{ 'x-bkrepo-crc64ecma': '1' }, 251003],
      [{ 'x-bkrepo-expires': 'soon' }, 250105],
      [{ 'x-bkrepo-overwrite': 'maybe' }, 250105],
      [{ [`x-bkrepo-meta-${'k'.repeat(129)}`]: 'v' }, 251035],
    ] as const) {
      const answer = await numbered.complete(id, headers)
      assert.deepEqual([answer.status, answer.code], [400, code], JSON.stringify(headers))
    }
    assert.equal((await numbered.list(id)).data.length, 3)
    assert.equal((await numbered.complete(id)).status, 200)

    const separate = calls(on.api, 'separate', '/demo/files/separate')
    const other = await separate.started()
    assert.equal((await separate.complete(other, { 'x-bkrepo-size': '0' })).code, 251215)
    await separate.part(other, 0, 'abc')
    await separate.part(other, 2, 'x')
    assert.equal((await separate.complete(other)).code, 251214)
    assert.equal((await separate.complete(other, { 'x-bkrepo-size': '5' })).code, 251204)
    assert.equal((await separate.complete(other, { 'x-bkrepo-size': '4' })).code, 251212)
  })

  it('given blocks that are refused, when sent, then the table’s codes say why and nothing of them is kept', async () => {
    await using on = await opened(make)
    const { started, part, list } = calls(on.api, 'block')
    const id = await started()
    assert.equal((await part(id, 1, 'abc', { 'x-bkrepo-sha256': sha256('other') })).code, 251003)
    assert.equal((await part(id, 1, 'abc', { 'x-bkrepo-md5': md5('other') })).code, 251003)
    assert.equal((await part(id, 0, 'abc')).code, 250105)
    assert.equal((await part('', 1, 'abc')).code, 251213)
    assert.equal((await part('unknown', 1, 'abc')).code, 251201)
    const put = (headers: Record<string, string>) => on.api.send('PUT', `/generic${FILE}`, { body: 'x', headers })
    assert.equal((await put({ 'x-bkrepo-upload-id': id })).code, 250118)
    assert.equal((await put({ 'x-bkrepo-upload-id': id, 'upload-type': 'SEPARATE-UPLOAD' })).code, 251214)
    assert.equal((await put({ 'x-bkrepo-upload-id': id, 'upload-type': 'CHUNKED-UPLOAD' })).code, 250112)
    assert.deepEqual((await list(id)).data, [])
    assert.equal(storedBlocks(on.api), 0)
  })

  it('given an upload id, when used with another path, repository or style, or none, then 251201 or 251213', async () => {
    await using on = await opened(make)
    await makeRepository(on.api, 'demo/other')
    const id = await calls(on.api, 'block').started()
    for (const [style, at] of [
      ['block', '/demo/files/elsewhere'],
      ['block', '/demo/other/dir/big.bin'],
      ['separate', FILE],
    ] as const) {
      const { part, list, complete, abort } = calls(on.api, style, at)
      const size = { 'x-bkrepo-size': '1' }
      for (const answer of [await part(id, 1, 'x'), await list(id), await complete(id, size), await abort(id)]) {
        assert.deepEqual([answer.status, answer.code], [400, 251201], `${style} ${at}`)
      }
    }
    for (const method of ['GET', 'PUT', 'DELETE']) {
      assert.equal((await on.api.send(method, `/generic/block${FILE}`)).code, 251213, method)
    }
    assert.equal((await calls(on.api, 'block').list(id)).status, 200)
  })

  it('given a path that is taken, when started and completed, then OVERWRITE of the start or the completion decides', async () => {
    await using on = await opened(make)
    const { start, started, part, complete, read } = calls(on.api, 'block')
    const early = await started()
    await on.api.send('PUT', `/generic${FILE}`, { body: 'there' })
    assert.equal((await start()).code, 251012)
    assert.equal((await start({ 'x-bkrepo-overwrite': 'perhaps' })).code, 250105)
    assert.equal((await calls(on.api, 'block', '/demo/files/dir').start(OVERWRITE)).code, 251013)
    await part(early, 1, 'early')
    assert.equal((await complete(early)).code, 251012)
    assert.equal((await read()).body.toString(), 'there')
    assert.equal((await complete(early, OVERWRITE)).status, 200)
    assert.equal((await read()).body.toString(), 'early')
    const later = await started(OVERWRITE)
    await part(later, 1, 'later')
    assert.equal((await complete(later, { 'x-bkrepo-overwrite': 'false' })).code, 251012)
    assert.equal((await complete(later)).status, 200)
    assert.equal((await read()).body.toString(), 'later')
  })

  it('given an answer that was lost, when completed again, then the same node, until it is another file; blocks are refused', async () => {
    await using on = await opened(make)
    const { started, part, list, complete, abort } = calls(on.api, 'block')
    const id = await started()
    await part(id, 1, 'abc')
    const first = await complete(id)
    const again = await complete(id)
    assert.deepEqual([again.status, again.data], [200, first.data])
    for (const answer of [await part(id, 1, 'abc'), await list(id), await abort(id)]) assert.equal(answer.code, 251201)
    await on.api.send('PUT', `/generic${FILE}`, { body: 'other', headers: OVERWRITE })
    assert.equal((await complete(id)).code, 251201)
    const nodes = await on.api.db.read.selectFrom('node').select('id').where('folder', '=', 0).execute()
    assert.equal(nodes.length, 2)
  })

  it('given many completions at once, when all are answered, then one node, and each answer is that node', async () => {
    await using on = await opened(make)
    const { started, part, complete } = calls(on.api, 'block')
    const id = await started()
    await part(id, 1, 'abc')
    await part(id, 2, 'def')
    const answers = await Promise.all(Array.from({ length: 12 }, () => complete(id)))
    assert.deepEqual(
      answers.map(({ status, data }) => [status, data.sha256]),
      answers.map(() => [200, sha256('abcdef')]),
    )
    const nodes = await on.api.db.read.selectFrom('node').select('id').where('folder', '=', 0).execute()
    assert.equal(nodes.length, 1)
    assert.equal(storedBlocks(on.api), 0)
  })

  it('given an abort, a completion and blocks at once, when all are answered, then either the file or nothing, and no block left', async () => {
    await using on = await opened(make)
    const { started, part, complete, abort, read } = calls(on.api, 'block')
    for (let round = 0; round < 8; round++) {
      const id = await started(OVERWRITE)
      await part(id, 1, `round ${round}`)
      const [completed, aborted] = await Promise.all([
        complete(id),
        abort(id),
        part(id, 2, 'more'),
        part(id, 1, 'else'),
      ])
      assert.ok(completed.status === 200 || [251201, 251204].includes(completed.code), String(completed.code))
      assert.ok(aborted.status === 200 || aborted.code === 251201)
      assert.ok(!(completed.status === 200 && aborted.status === 200), 'both won')
      if (completed.status === 200) assert.equal((await read()).headers['x-checksum-sha256'], completed.data.sha256)
      if (completed.code !== 251204 || aborted.status === 200)
        assert.equal((await calls(on.api, 'block').list(id)).code, 251201)
      else await abort(id)
    }
    await on.api.blockUploads.sweep(signal)
    assert.deepEqual([(await rowsOf(on.api)).parts, storedBlocks(on.api)], [0, 0])
  })

  it('given an abort, when asked again, then 251201, and rows and bytes are gone', async () => {
    await using on = await opened(make)
    const { started, part, abort, complete } = calls(on.api, 'block')
    const id = await started()
    await part(id, 1, 'abc')
    const first = await abort(id)
    assert.deepEqual([first.status, first.data], [200, null])
    assert.equal((await abort(id)).code, 251201)
    assert.equal((await part(id, 2, 'x')).code, 251201)
    assert.equal((await complete(id)).code, 251201)
    assert.deepEqual([await rowsOf(on.api), storedBlocks(on.api)], [{ uploads: 0, parts: 0 }, 0])
  })

  it('given 12 hours, when they are over, then 251201, and the sweep takes rows and bytes an hour later, and bytes that nobody counts', async () => {
    await using on = await opened(make)
    const { api } = on
    const { started, part, list, complete } = calls(api, 'block')
    const id = await started()
    await part(id, 1, 'abc')
    await api.clock.advance(12 * HOUR_MS - 1)
    assert.equal((await list(id)).status, 200)
    await api.clock.advance(1)
    assert.equal((await list(id)).code, 251201)
    assert.equal((await part(id, 2, 'x')).code, 251201)
    assert.equal((await complete(id)).code, 251201)
    const fresh = await started()
    await part(fresh, 1, 'kept')
    api.blocks.set('orphan', new Map([['x', Buffer.from('nobody counts this')]]))
    assert.equal(await api.blockUploads.sweep(signal), 1)
    assert.deepEqual(await rowsOf(api), { uploads: 2, parts: 2 })
    await api.clock.advance(HOUR_MS + 1)
    assert.equal(await api.blockUploads.sweep(signal), 1)
    assert.deepEqual([await rowsOf(api), [...api.blocks.keys()]], [{ uploads: 1, parts: 1 }, [fresh]])
    assert.equal((await complete(fresh)).status, 200)
  })

  it('given a quota, when a size is announced, when blocks come and when they are joined, then 251025, and nothing is left over', async () => {
    await using on = await opened(make)
    const { api } = on
    const { start, started, part, complete } = calls(api, 'block')
    const announced = await started({ 'x-bkrepo-size': '11' })
    await part(announced, 1, '1234567')
    await api.quotas.set(on.repository, 10, 'admin')
    assert.equal((await start({ 'x-bkrepo-size': '11' })).code, 251025)
    assert.equal((await start({ 'x-bkrepo-size': '10' })).status, 200)
    assert.equal((await part(announced, 2, '12345')).code, 251025)
    assert.equal((await part(announced, 2, '123')).status, 200)
    await api.send('PUT', '/generic/demo/files/other', { body: 'x' })
    assert.equal((await complete(announced)).code, 251025)
    await api.send('DELETE', '/generic/demo/files/other')
    assert.equal((await complete(announced)).status, 200)
    const replacing = await started(OVERWRITE)
    assert.equal((await part(replacing, 1, '1234567890')).status, 200)
    assert.equal((await complete(replacing)).status, 200)
  })

  it('given no right to write, when any call is made, then 250114 or 250113; an unknown project or repository is 251004, 251006', async () => {
    await using on = await opened(make)
    await makeRepository(on.api, 'demo/open', 'public')
    for (const at of [FILE, '/demo/open/x']) {
      for (const style of ['block', 'separate'] as const) {
        for (const method of ['POST', 'GET', 'PUT', 'DELETE']) {
          const url = `/generic/${style}${at}`
          const headers = { 'x-bkrepo-upload-id': 'x' }
          assert.equal((await on.api.send(method, url, { user: '', headers })).code, 250114)
          assert.equal((await on.api.send(method, url, { user: 'bob', headers })).code, 250113)
        }
      }
    }
    assert.equal((await calls(on.api, 'block', '/nowhere/files/x').start()).code, 251004)
    assert.equal((await calls(on.api, 'block', '/demo/nothing/x').start()).code, 251006)
  })

  it('given Expect: 100-continue, when the block is refused, then the answer comes instead of the invitation', async () => {
    await using on = await opened(make)
    const id = await calls(on.api, 'block').started()
    const head = (uploadId: string) =>
      `PUT /generic${FILE} HTTP/1.1\r\nHost: x\r\nAuthorization: admin\r\nX-BKREPO-UPLOAD-ID: ${uploadId}\r\n` +
      'X-BKREPO-SEQUENCE: 1\r\nContent-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n'
    const refused = connect(on.api.port, '127.0.0.1')
    refused.write(head('unknown'))
    const [answer] = await once(refused, 'data')
    assert.match(String(answer), /^HTTP\/1\.1 400 [\s\S]*251201/)
    refused.destroy()
    const welcome = connect(on.api.port, '127.0.0.1')
    welcome.write(head(id))
    const [invitation] = await once(welcome, 'data')
    assert.match(String(invitation), /^HTTP\/1\.1 100 Continue/)
    welcome.write('abc')
    const [done] = await once(welcome, 'data')
    assert.match(String(done), /^HTTP\/1\.1 200 OK/)
    welcome.destroy()
  })

  it('given a sender that hangs up in a block, when its connection is gone, then nothing of the block is kept', async () => {
    await using on = await opened(make)
    const { started, list } = calls(on.api, 'block')
    const id = await started()
    const socket = connect(on.api.port, '127.0.0.1')
    socket.write(
      `PUT /generic${FILE} HTTP/1.1\r\nHost: x\r\nAuthorization: admin\r\nX-BKREPO-UPLOAD-ID: ${id}\r\n` +
        'X-BKREPO-SEQUENCE: 1\r\nContent-Length: 100000\r\n\r\nhalf of it',
    )
    await once(socket, 'ready')
    assert.deepEqual((await list(id)).data, [])
    socket.destroy()
    await once(socket, 'close')
    assert.deepEqual((await list(id)).data, [])
    assert.equal(storedBlocks(on.api), 0)
  })
})
