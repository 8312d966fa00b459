import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { seededBytes } from '../helpers/blobs.ts'
import { type BlobRegistry, createImageRepository, nameOf, startBlobRegistry } from '../helpers/image-blobs.ts'
import { eachDialect } from '../helpers/local-cluster.ts'

const MIB = 1024 * 1024
const small = (text: string): Buffer => Buffer.from(text)

eachDialect('blobs of images', (dialect) => {
  let registry: BlobRegistry
  before(async () => {
    registry = await startBlobRegistry(dialect)
  })
  after(() => registry[Symbol.asyncDispose]())
  const spooled = () => readdir(join(registry.cluster.blobsDir, '.pushes'))

  it('given blobs of no, few and many bytes, when pushed by POST and PUT, then they are pulled as they were', async () => {
    const image = registry.image('whole')
    for (const bytes of [
      small(''),
      small('few'),
      seededBytes(1, 64 * 1024),
      seededBytes(2, 64 * 1024 + 1),
      seededBytes(3, 3 * MIB),
    ]) {
      const name = nameOf(bytes)
      const pushed = await image.push(bytes)
      assert.deepEqual([pushed.status, pushed.location], [201, `/v2/demo/images/whole/blobs/${name}`])
      assert.equal(pushed.headers.get('docker-content-digest'), name)
      const pulled = await image.send('GET', name)
      assert.deepEqual([pulled.status, pulled.headers.get('docker-content-digest')], [200, name])
      assert.ok(pulled.body.equals(bytes))
      const head = await image.send('HEAD', name)
      assert.deepEqual([head.status, head.headers.get('content-length')], [200, String(bytes.length)])
    }
    assert.deepEqual(await spooled(), [])
  })

  it('given a blob, when pulled with a range or a condition, then HTTP has its way, and it may be kept for ever', async () => {
    const image = registry.image('ranges')
    const bytes = seededBytes(4, 200_000)
    const name = nameOf(bytes)
    await image.push(bytes)
    const part = await image.send('GET', name, undefined, { range: 'bytes=100-199' })
    assert.deepEqual([part.status, part.headers.get('content-range')], [206, 'bytes 100-199/200000'])
    assert.ok(part.body.equals(bytes.subarray(100, 200)))
    assert.equal((await image.send('GET', name, undefined, { range: 'bytes=200000-' })).status, 416)
    const etag = part.headers.get('etag')!
    assert.equal((await image.send('GET', name, undefined, { 'if-none-match': etag })).status, 304)
    assert.match(part.headers.get('cache-control')!, /immutable/)
    assert.equal(part.headers.get('content-type'), 'application/octet-stream')
  })

  it('given chunks in order, when pushed with and without Content-Range, then each is acknowledged and the blob is whole', async () => {
    const image = registry.image('chunks')
    const bytes = seededBytes(5, 3 * MIB)
    const fresh = await image.begin()
    assert.equal((await image.send('GET', fresh)).range, '0-0')
    const first = await image.send('PATCH', fresh, bytes.subarray(0, MIB), { 'content-range': `0-${MIB - 1}` })
    assert.deepEqual([first.status, first.range], [202, `0-${MIB - 1}`])
    const second = await image.send('PATCH', first.location, bytes.subarray(MIB, 2 * MIB))
    const state = await image.send('GET', second.location)
    assert.deepEqual([state.status, state.range, state.location], [204, `0-${2 * MIB - 1}`, second.location])
    const range = { 'content-range': `${2 * MIB}-${3 * MIB - 1}` }
    const last = await image.send('PUT', `${state.location}?digest=${nameOf(bytes)}`, bytes.subarray(2 * MIB), range)
    assert.equal(last.status, 201)
    assert.ok((await image.send('GET', nameOf(bytes))).body.equals(bytes))
    for (const method of ['GET', 'PATCH', 'DELETE']) {
      assert.equal((await image.send(method, state.location)).error, 'BLOB_UPLOAD_UNKNOWN', method)
    }
  })

  it('given a chunk out of order, when pushed, then 416 says where the upload stands, and it goes on from there', async () => {
    const image = registry.image('order')
    const bytes = small('0123456789')
    const fresh = await image.begin()
    const early = await image.send('PATCH', fresh, bytes.subarray(5), { 'content-range': '5-9' })
    assert.deepEqual([early.status, early.range, early.location], [416, '0-0', fresh])
    const { location } = await image.send('PATCH', fresh, bytes.subarray(0, 5), { 'content-range': '0-4' })
    for (const [method, query] of [
      ['PATCH', ''],
      ['PUT', `?digest=${nameOf(bytes)}`],
    ] as const) {
      const again = await image.send(method, `${location}${query}`, bytes.subarray(0, 5), { 'content-range': '0-4' })
      assert.deepEqual(
        [again.status, again.range, again.location, again.error],
        [416, '0-4', location, 'BLOB_UPLOAD_INVALID'],
      )
    }
    assert.equal((await image.send('PUT', `${location}?digest=${nameOf(bytes)}`, bytes.subarray(5))).status, 201)
    assert.ok((await image.send('GET', nameOf(bytes))).body.equals(bytes))
  })

  it('given a Content-Range that is none or of another length than the body, when pushed, then it is refused and nothing is taken', async () => {
    const image = registry.image('sizes')
    const fresh = await image.begin()
    const patch = (range: string) => image.send('PATCH', fresh, small('0123'), { 'content-range': range })
    assert.deepEqual([(await patch('0-9')).error, (await patch('0-1')).error], ['SIZE_INVALID', 'SIZE_INVALID'])
    assert.deepEqual([(await patch('x')).status, (await patch('-3')).status], [400, 400])
    assert.equal((await image.send('GET', fresh)).range, '0-0')
    assert.deepEqual(await spooled(), [])
  })

  it('given a wrong digest, when pushed whole or in chunks, then DIGEST_INVALID, the upload has ended and no blob is there', async () => {
    const image = registry.image('wrong')
    const other = nameOf('another')
    for (const bytes of [small('few'), seededBytes(6, 200_000)]) {
      const whole = await image.begin()
      assert.equal((await image.send('PUT', `${whole}?digest=${other}`, bytes)).error, 'DIGEST_INVALID')
      assert.equal((await image.send('GET', whole)).status, 404)
      const { location } = await image.send('PATCH', await image.begin(), bytes)
      const put = await image.send('PUT', `${location}?digest=${other}`)
      assert.deepEqual([put.status, put.error], [400, 'DIGEST_INVALID'])
      assert.equal((await image.send('GET', location)).status, 404)
      assert.equal((await image.send('POST', `uploads/?digest=${other}`, bytes)).error, 'DIGEST_INVALID')
      assert.equal((await image.send('HEAD', nameOf(bytes))).status, 404)
    }
    assert.equal((await image.send('HEAD', other)).status, 404)
    assert.deepEqual(await spooled(), [])
    const fresh = await image.begin()
    for (const query of ['', '?digest=', '?digest=sha256:abc', '?digest=md5:d41d8cd98f00b204e9800998ecf8427e']) {
      assert.equal((await image.send('PUT', `${fresh}${query}`, small('x'))).error, 'DIGEST_INVALID', query)
    }
    assert.equal((await image.send('GET', 'sha256:abc')).error, 'DIGEST_INVALID')
  })

  it('given a whole blob in one POST, and sha512 names, then both work', async () => {
    const image = registry.image('single')
    for (const bytes of [small(''), small('few'), seededBytes(7, 300_000)]) {
      for (const algorithm of ['sha256', 'sha512'] as const) {
        const name = nameOf(bytes, algorithm)
        const pushed = await image.send('POST', `uploads/?digest=${name}`, bytes)
        assert.deepEqual([pushed.status, pushed.location], [201, `/v2/demo/images/single/blobs/${name}`])
        assert.ok((await image.send('GET', name)).body.equals(bytes))
      }
      const name = nameOf(bytes, 'sha512')
      const { location } = await image.send('PATCH', await image.begin(), bytes)
      assert.equal((await image.send('PUT', `${location}?digest=${name}`)).status, 201)
      assert.equal((await registry.image('other').send('HEAD', name)).status, 404)
    }
  })

  it('given uploads that are cancelled, made up, or of another image, then they are unknown', async () => {
    const image = registry.image('ids')
    const { location } = await image.send('PATCH', await image.begin(), small('x'))
    const elsewhere = location.replace('/images/ids/', '/images/other/')
    for (const wrong of [
      elsewhere,
      `/v2/demo/images/ids/blobs/uploads/${'A'.repeat(43)}`,
      `/v2/demo/images/ids/blobs/uploads/x`,
    ]) {
      assert.equal((await image.send('PATCH', wrong, small('y'))).error, 'BLOB_UPLOAD_UNKNOWN')
    }
    assert.equal((await image.send('DELETE', location)).status, 204)
    assert.equal((await image.send('DELETE', location)).status, 404)
    assert.equal((await image.send('PATCH', location, small('y'))).status, 404)
    const fresh = await image.begin()
    assert.equal((await image.send('DELETE', fresh)).status, 204)
    assert.equal((await image.send('PATCH', fresh, small('y'))).status, 404)
    assert.deepEqual(await spooled(), [])
  })

  it('given a body that breaks off, when the upload is asked, then what came is there and it goes on', async () => {
    const image = registry.image('cut')
    const bytes = seededBytes(8, 4 * MIB)
    const { location } = await image.send('PATCH', await image.begin(), bytes.subarray(0, 100_000))
    const cut = image.begun('PATCH', location)
    cut.write(bytes.subarray(100_000, 3 * MIB))
    const reached = async () => Number((await image.send('GET', location)).range!.slice(2)) + 1
    while ((await reached()) < MIB) await new Promise(setImmediate)
    assert.equal((await image.send('PATCH', location, small('second'))).status, 409)
    cut.destroy()
    let put = await image.send('GET', location)
    do {
      const from = await reached()
      put = await image.send('PUT', `${location}?digest=${nameOf(bytes)}`, bytes.subarray(from), {
        'content-range': `${from}-${4 * MIB - 1}`,
      })
    } while (put.status === 409 || put.status === 416)
    assert.equal(put.status, 201)
    assert.ok((await image.send('GET', nameOf(bytes))).body.equals(bytes))
  })

  it('given a blob of an image, when mounted, then the other image has it too; without a source that may be read, an upload begins', async () => {
    const source = registry.image('source')
    const target = registry.image('target')
    const bytes = seededBytes(9, 100_000)
    const name = nameOf(bytes)
    await source.push(bytes)
    for (const from of ['demo/images/nothing', 'demo/nowhere/source', 'source', 'demo/images/Bad']) {
      const started = await target.send('POST', `uploads/?mount=${name}&from=${from}`)
      assert.deepEqual([started.status, started.range], [202, '0-0'], from)
    }
    assert.equal((await target.send('HEAD', name)).status, 404)
    const mounted = await target.send('POST', `uploads/?mount=${name}&from=demo/images/source`)
    assert.deepEqual([mounted.status, mounted.location], [201, `/v2/demo/images/target/blobs/${name}`])
    assert.ok((await target.send('GET', name)).body.equals(bytes))
    assert.equal((await registry.image('third').send('POST', `uploads/?mount=${name}`)).status, 201)
    assert.equal((await target.send('POST', `uploads/?mount=${nameOf('never')}`)).status, 202)
    await source.send('DELETE', name)
    assert.equal((await source.send('HEAD', name)).status, 404)
    assert.ok((await target.send('GET', name)).body.equals(bytes))
  })

  it('given an image with blobs in its name, when mounted without a source, then it is found', async () => {
    const bytes = seededBytes(13, 1000)
    await registry.image('a/blobs/b').push(bytes)
    const mounted = await registry.image('c').send('POST', `uploads/?mount=${nameOf(bytes)}`)
    assert.equal(mounted.status, 201)
  })

  it('given many pushes of one blob at once, to one image and to many, then all succeed and it is whole', async () => {
    for (const bytes of [small('the same'), seededBytes(10, 2 * MIB)]) {
      const names = Array.from({ length: 12 }, (_, at) => (at % 2 === 0 ? 'same' : `same-${at}`))
      const pushed = await Promise.all(names.map((image) => registry.image(image).push(bytes)))
      assert.deepEqual(new Set(pushed.map(({ status }) => status)), new Set([201]))
      for (const image of names) assert.ok((await registry.image(image).send('GET', nameOf(bytes))).body.equals(bytes))
    }
  })

  it('given a blob, when deleted, then 202 and it is unknown; a second time 404', async () => {
    const image = registry.image('deleted')
    await image.push(small('to be deleted'))
    const name = nameOf('to be deleted')
    assert.equal((await image.send('DELETE', name)).status, 202)
    const again = await image.send('DELETE', name)
    assert.deepEqual([again.status, again.error], [404, 'BLOB_UNKNOWN'])
    assert.equal((await image.send('GET', name)).error, 'BLOB_UNKNOWN')
  })

  it('given a repository with a quota, when a blob does not fit, then DENIED before and after it came', async () => {
    const { api } = registry.cluster
    await createImageRepository(api, 'demo/tight')
    await api.call('POST', '/repository/api/repo/quota/demo/tight?quota=1000', undefined, new AbortController().signal)
    const image = { ...registry.image('x') }
    const begin = async () => (await image.send('POST', '/v2/demo/tight/a/blobs/uploads/')).location
    const bytes = seededBytes(12, 2000)
    const put = await image.send('PUT', `${await begin()}?digest=${nameOf(bytes)}`, bytes)
    assert.equal(put.error, 'DENIED')
    const { location } = await image.send('PATCH', await begin(), bytes.subarray(0, 900))
    assert.equal((await image.send('PATCH', location, bytes.subarray(900))).error, 'DENIED')
    assert.equal((await image.send('DELETE', location)).status, 204)
  })
})
