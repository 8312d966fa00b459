import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import { eachDialect } from '../helpers/local-cluster.ts'
import { digestOf, imageOf, MANIFEST, type PushedManifest, type Registry, startRegistry } from '../helpers/registry.ts'

const ABSENT = digestOf('nobody has this')
const CONFIG = Buffer.from('{"os":"linux"}')
const LAYER = Buffer.from('a layer of some bytes')

eachDialect('core.md 15 item 8: OCI distribution specification 1.1: Pull', (dialect) => {
  let on: Registry
  let name: string
  let image: PushedManifest
  before(async () => {
    on = await startRegistry(dialect)
    name = on.fresh()
    await on.pushBlob(name, CONFIG)
    await on.pushBlob(name, LAYER)
    image = imageOf(CONFIG, [LAYER])
    await on.pushManifest(name, '1.0', image)
  })
  after(() => on[Symbol.asyncDispose]())

  it('Pulling manifests: given a tag, when GET, then 200 with the exact bytes, their type and digest', async () => {
    const answer = await on.call('GET', `/v2/${name}/manifests/1.0`, { headers: { accept: MANIFEST } })
    assert.equal(answer.status, 200)
    assert.deepEqual(answer.body, image.bytes)
    assert.equal(answer.headers.get('content-type'), MANIFEST)
    assert.equal(answer.headers.get('docker-content-digest'), image.digest)
  })
  it('Pulling manifests: given a digest, when GET, then 200 with the same bytes', async () => {
    const answer = await on.call('GET', `/v2/${name}/manifests/${image.digest}`)
    assert.equal(answer.status, 200)
    assert.deepEqual(answer.body, image.bytes)
  })
  for (const [title, reference] of [
    ['a tag that is not there', 'nothing'],
    ['a digest that is not there', ABSENT],
    ['what is neither a tag nor a digest', '.INVALID_MANIFEST_NAME'],
    ['a tag that begins like a digest', 'sha256-0'],
  ] as const) {
    it(`Pulling manifests: given ${title}, when GET or HEAD, then 404 MANIFEST_UNKNOWN`, async () => {
      const answer = await on.call('GET', `/v2/${name}/manifests/${reference}`)
      assert.deepEqual([answer.status, answer.code], [404, 'MANIFEST_UNKNOWN'])
      assert.equal((await on.call('HEAD', `/v2/${name}/manifests/${reference}`)).status, 404)
    })
  }
  it('Pulling manifests: given an image that is not there, when GET, then 404', async () => {
    assert.equal((await on.call('GET', `/v2/${on.fresh()}/manifests/1.0`)).status, 404)
  })
  it('Pulling manifests: given the ETag, when GET with If-None-Match, then 304', async () => {
    const etag = (await on.call('HEAD', `/v2/${name}/manifests/1.0`)).headers.get('etag')!
    const answer = await on.call('GET', `/v2/${name}/manifests/1.0`, { headers: { 'if-none-match': etag } })
    assert.equal(answer.status, 304)
  })

  it('Pulling blobs: given a digest, when GET, then 200 with the bytes and their digest', async () => {
    const answer = await on.call('GET', `/v2/${name}/blobs/${digestOf(LAYER)}`)
    assert.equal(answer.status, 200)
    assert.deepEqual(answer.body, LAYER)
    assert.equal(answer.headers.get('docker-content-digest'), digestOf(LAYER))
  })
  it('Pulling blobs: given a blob that no manifest names yet, when GET, then 200 with the bytes', async () => {
    const answer = await on.call('GET', `/v2/${await looseIn(on)}/blobs/${digestOf(LAYER)}`)
    assert.deepEqual([answer.status, answer.body], [200, LAYER])
  })
  it('Pulling blobs: given a digest that is not there, when GET or HEAD, then 404 BLOB_UNKNOWN', async () => {
    const answer = await on.call('GET', `/v2/${name}/blobs/${ABSENT}`)
    assert.deepEqual([answer.status, answer.code], [404, 'BLOB_UNKNOWN'])
    assert.equal((await on.call('HEAD', `/v2/${name}/blobs/${ABSENT}`)).status, 404)
  })
  it('Pulling blobs: given a blob of another image, when GET here, then 404', async () => {
    assert.equal((await on.call('GET', `/v2/${on.fresh()}/blobs/${digestOf(LAYER)}`)).status, 404)
  })
  for (const [title, range, status, from, to] of [
    ['a part', 'bytes=2-5', 206, 2, 6],
    ['the rest', 'bytes=4-', 206, 4, LAYER.length],
    ['the last bytes', 'bytes=-3', 206, LAYER.length - 3, LAYER.length],
    ['more than there is', 'bytes=10-99999', 206, 10, LAYER.length],
  ] as const) {
    it(`Pulling blobs, Range: given ${title}, when GET, then ${status} with these bytes`, async () => {
      for (const image of [name, await looseIn(on)]) {
        const answer = await on.call('GET', `/v2/${image}/blobs/${digestOf(LAYER)}`, { headers: { range } })
        assert.equal(answer.status, status)
        assert.deepEqual(answer.body, LAYER.subarray(from, to))
        assert.equal(answer.headers.get('content-range'), `bytes ${from}-${to - 1}/${LAYER.length}`)
      }
    })
  }
  it('Pulling blobs, Range: given a range past the end, when GET, then 416', async () => {
    const headers = { range: `bytes=${LAYER.length}-` }
    const answer = await on.call('GET', `/v2/${name}/blobs/${digestOf(LAYER)}`, { headers })
    assert.equal(answer.status, 416)
    assert.equal(answer.headers.get('content-range'), `bytes */${LAYER.length}`)
    assert.equal(answer.json.errors.length, 1)
  })

  it('Checking if content exists: given a manifest, when HEAD, then 200 with length and digest, and no body', async () => {
    for (const reference of ['1.0', image.digest]) {
      const answer = await on.call('HEAD', `/v2/${name}/manifests/${reference}`)
      assert.equal(answer.status, 200)
      assert.equal(answer.headers.get('docker-content-digest'), image.digest)
      assert.equal(answer.headers.get('content-length'), String(image.bytes.length))
      assert.equal(answer.headers.get('content-type'), MANIFEST)
      assert.equal(answer.body.length, 0)
    }
  })
  it('Checking if content exists: given a blob, when HEAD, then 200 with length and digest, and no body', async () => {
    for (const image of [name, await looseIn(on)]) {
      const answer = await on.call('HEAD', `/v2/${image}/blobs/${digestOf(LAYER)}`)
      assert.equal(answer.status, 200)
      assert.equal(answer.headers.get('docker-content-digest'), digestOf(LAYER))
      assert.equal(answer.headers.get('content-length'), String(LAYER.length))
      assert.equal(answer.body.length, 0)
    }
  })
  it('Error codes: given a digest cut short, when a blob is asked for, then 400 DIGEST_INVALID', async () => {
    const answer = await on.call('GET', `/v2/${name}/blobs/sha256:abc`)
    assert.deepEqual([answer.status, answer.code], [400, 'DIGEST_INVALID'])
  })
})

/** An image that has the layer, and no manifest that names it. */
async function looseIn(on: Registry): Promise<string> {
  const name = on.fresh()
  await on.pushBlob(name, LAYER)
  return name
}
