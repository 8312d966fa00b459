import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import {
  descriptor,
  digestOf,
  EMPTY,
  EMPTY_TYPE,
  INDEX,
  imageOf,
  LAYER,
  MANIFEST,
  manifestOf,
  type Registry,
  startRegistry,
  withDigest,
} from '../helpers/registry.ts'

const BYTES = { 'content-type': 'application/octet-stream' }
const chunk = (from: number, bytes: Buffer) => ({
  headers: { ...BYTES, 'content-range': `${from}-${from + bytes.length - 1}` },
  body: bytes,
})

describe('core.md 15 item 8: OCI distribution specification 1.1: Push', () => {
  let on: Registry
  before(async () => {
    on = await startRegistry('sqlite')
  })
  after(() => on[Symbol.asyncDispose]())
  const begin = async (name: string) => (await on.call('POST', `/v2/${name}/blobs/uploads/`)).headers.get('location')!
  const put = (location: string, digest: string, body?: Buffer) =>
    on.call('PUT', withDigest(location, digest), { headers: BYTES, ...(body === undefined ? {} : { body }) })
  async function pullable(location: string | null, bytes: Buffer): Promise<void> {
    assert.deepEqual((await on.call('GET', location!)).body, bytes)
  }

  describe('Pushing a blob monolithically', () => {
    for (const size of [0, 1, 70_000, 3_000_000]) {
      it(`POST then PUT: given a blob of ${size} bytes, when pushed, then 202, then 201, and it can be pulled at its Location`, async () => {
        const bytes = randomBytes(size)
        const begun = await on.call('POST', `/v2/${on.fresh()}/blobs/uploads/`)
        assert.equal(begun.status, 202)
        const answer = await put(begun.headers.get('location')!, digestOf(bytes), bytes)
        assert.equal(answer.status, 201)
        assert.equal(answer.headers.get('docker-content-digest'), digestOf(bytes))
        await pullable(answer.headers.get('location'), bytes)
      })
    }
    it('Single POST: given the digest, when POST with the bytes, then 201 with a pullable Location', async () => {
      const bytes = randomBytes(1000)
      const url = `/v2/${on.fresh()}/blobs/uploads/?digest=${digestOf(bytes)}`
      const answer = await on.call('POST', url, { headers: BYTES, body: bytes })
      assert.equal(answer.status, 201)
      await pullable(answer.headers.get('location'), bytes)
    })
    it('Single POST: given the digest of other bytes, when POST, then 400 DIGEST_INVALID and nothing is there', async () => {
      const name = on.fresh()
      const url = `/v2/${name}/blobs/uploads/?digest=${digestOf('other')}`
      const answer = await on.call('POST', url, { headers: BYTES, body: randomBytes(10) })
      assert.deepEqual([answer.status, answer.code], [400, 'DIGEST_INVALID'])
      assert.equal((await on.call('GET', `/v2/${name}/blobs/${digestOf('other')}`)).status, 404)
    })
    it('given the digest of other bytes, when PUT, then 400 DIGEST_INVALID', async () => {
      const answer = await put(await begin(on.fresh()), digestOf('other'), randomBytes(10))
      assert.deepEqual([answer.status, answer.code], [400, 'DIGEST_INVALID'])
    })
    for (const [title, digest] of [
      ['no digest', ''],
      ['a digest cut short', 'sha256:abc'],
      ['an algorithm that nobody knows', `md5:${'0'.repeat(32)}`],
    ] as const) {
      it(`given ${title}, when PUT, then 400 DIGEST_INVALID`, async () => {
        const answer = await put(await begin(on.fresh()), digest, randomBytes(10))
        assert.deepEqual([answer.status, answer.code], [400, 'DIGEST_INVALID'])
      })
    }
    it('Content Digests: given sha512, when pushed, then it can be pulled by it', async () => {
      const bytes = randomBytes(1000)
      const digest = digestOf(bytes, 'sha512')
      const answer = await on.pushBlob(on.fresh(), bytes, digest)
      assert.equal(answer.status, 201)
      assert.equal(answer.headers.get('docker-content-digest'), digest)
      await pullable(answer.headers.get('location'), bytes)
    })
  })

  describe('Pushing a blob in chunks', () => {
    const [first, second] = [Buffer.from('Hello, '), Buffer.from('how are you today?')]
    const whole = Buffer.concat([first, second])

    it('given two chunks in order, when PATCH and PUT without a body, then 202 with the range, and 201', async () => {
      const one = await on.call('PATCH', await begin(on.fresh()), chunk(0, first))
      assert.equal(one.status, 202)
      assert.equal(one.headers.get('range'), `0-${first.length - 1}`)
      const two = await on.call('PATCH', one.headers.get('location')!, chunk(first.length, second))
      assert.equal(two.status, 202)
      assert.equal(two.headers.get('range'), `0-${whole.length - 1}`)
      const answer = await put(two.headers.get('location')!, digestOf(whole))
      assert.equal(answer.status, 201)
      await pullable(answer.headers.get('location'), whole)
    })
    it('given the last chunk in the PUT, when finished, then 201', async () => {
      const one = await on.call('PATCH', await begin(on.fresh()), chunk(0, first))
      const location = withDigest(one.headers.get('location')!, digestOf(whole))
      const answer = await on.call('PUT', location, chunk(first.length, second))
      assert.equal(answer.status, 201)
      await pullable(answer.headers.get('location'), whole)
    })
    it('given a stream without Content-Range, when PATCH and PUT, then 202 and 201', async () => {
      const one = await on.call('PATCH', await begin(on.fresh()), { headers: BYTES, body: whole })
      assert.equal(one.status, 202)
      assert.equal((await put(one.headers.get('location')!, digestOf(whole))).status, 201)
    })
    it('given the second chunk first, when PATCH, then 416', async () => {
      const answer = await on.call('PATCH', await begin(on.fresh()), chunk(first.length, second))
      assert.equal(answer.status, 416)
      assert.notEqual(answer.headers.get('location'), null)
      assert.equal(answer.headers.get('range'), '0-0')
    })
    it('given a chunk again, when PATCH, then 416, and GET tells where to go on with 204, Location and Range', async () => {
      const start = await begin(on.fresh())
      await on.call('PATCH', start, chunk(0, first))
      assert.equal((await on.call('PATCH', start, chunk(0, first))).status, 416)
      const status = await on.call('GET', start)
      assert.equal(status.status, 204)
      assert.equal(status.headers.get('range'), `0-${first.length - 1}`)
      const next = await on.call('PATCH', status.headers.get('location')!, chunk(first.length, second))
      assert.equal(next.status, 202)
    })
    it('given a gap before the last chunk, when PUT, then 416 and the upload goes on', async () => {
      const start = await begin(on.fresh())
      await on.call('PATCH', start, chunk(0, first))
      const location = withDigest(start, digestOf(whole))
      assert.equal((await on.call('PUT', location, chunk(first.length + 1, second))).status, 416)
      assert.equal((await on.call('PUT', location, chunk(first.length, second))).status, 201)
    })
    for (const [title, range] of [
      ['words', 'all of it'],
      ['a range that ends before it begins', '5-2'],
      ['another length than the body', '0-3'],
    ] as const) {
      it(`given ${title} in Content-Range, when PATCH, then it is refused`, async () => {
        const headers = { ...BYTES, 'content-range': range }
        const answer = await on.call('PATCH', await begin(on.fresh()), { headers, body: first })
        assert.ok(answer.status === 400 || answer.status === 416, String(answer.status))
      })
    }
    it('given an upload that nobody began, when PATCH, PUT, GET or DELETE, then 404 BLOB_UPLOAD_UNKNOWN', async () => {
      const name = on.fresh()
      for (const method of ['PATCH', 'PUT', 'GET', 'DELETE']) {
        const location = withDigest(`/v2/${name}/blobs/uploads/nobody`, digestOf(first))
        const body = method === 'PATCH' || method === 'PUT' ? { body: first, headers: BYTES } : {}
        const answer = await on.call(method, location, body)
        assert.deepEqual([method, answer.status, answer.code], [method, 404, 'BLOB_UPLOAD_UNKNOWN'])
      }
    })
    it('given an upload of another image, when it is gone on with here, then 404', async () => {
      const location = await begin(on.fresh())
      const elsewhere = location.replace(/demo\/images\/image\d+/, on.fresh())
      assert.equal((await on.call('GET', elsewhere)).status, 404)
    })
  })

  it('Cancel a blob upload: given an upload, when DELETE, then 204, and it is unknown', async () => {
    const location = await begin(on.fresh())
    await on.call('PATCH', location, chunk(0, Buffer.from('some')))
    assert.equal((await on.call('DELETE', location)).status, 204)
    assert.equal((await on.call('GET', location)).status, 404)
    assert.equal((await on.call('PATCH', location, chunk(4, Buffer.from('more')))).status, 404)
  })

  describe('Mounting a blob from another repository', () => {
    const bytes = Buffer.from('mounted elsewhere')
    const mount = (to: string, digest: string, from?: string) =>
      on.call('POST', `/v2/${to}/blobs/uploads/?mount=${digest}${from === undefined ? '' : `&from=${from}`}`)

    it('given a blob of another image, when mounted, then 201 with its Location here', async () => {
      const [from, to] = [on.fresh(), on.fresh()]
      await on.pushBlob(from, bytes)
      const answer = await mount(to, digestOf(bytes), from)
      assert.equal(answer.status, 201)
      assert.equal(answer.headers.get('location'), `/v2/${to}/blobs/${digestOf(bytes)}`)
      await pullable(answer.headers.get('location'), bytes)
    })
    it('given a blob of another repository, when mounted, then 201', async () => {
      const from = 'demo/others/source'
      await on.pushBlob(from, bytes)
      assert.equal((await mount(on.fresh(), digestOf(bytes), from)).status, 201)
    })
    for (const from of [undefined, 'demo/images/nobody', 'nobody/nothing/none', 'x', 'demo/images/../../x']) {
      it(`given a blob that is not at ${from}, when mounted, then 202 with an upload`, async () => {
        const answer = await mount(on.fresh(), digestOf('is nowhere'), from)
        assert.equal(answer.status, 202)
        assert.match(answer.headers.get('location') ?? '', /\/blobs\/uploads\/.+/)
      })
    }
  })

  describe('Pushing Manifests', () => {
    const config = Buffer.from('{"architecture":"amd64"}')
    const layer = Buffer.from('layer of a manifest')
    async function withBlobs(): Promise<string> {
      const name = on.fresh()
      for (const blob of [config, layer]) await on.pushBlob(name, blob)
      return name
    }

    it('given all blobs, when PUT by tag, then 201 with a pullable Location and the digest', async () => {
      const image = imageOf(config, [layer])
      const answer = await on.pushManifest(await withBlobs(), '1.0', image)
      assert.equal(answer.status, 201)
      assert.equal(answer.headers.get('docker-content-digest'), image.digest)
      assert.equal(answer.headers.get('oci-subject'), null)
      await pullable(answer.headers.get('location'), image.bytes)
    })
    it('given odd spacing in the document, when PUT, then the bytes are kept as they are', async () => {
      const name = await withBlobs()
      const bytes = Buffer.from(
        ` ${JSON.stringify(JSON.parse(imageOf(config, [layer]).bytes.toString()), null, 3)}\n\n`,
      )
      await on.pushManifest(name, 'odd', { bytes, mediaType: MANIFEST, digest: digestOf(bytes) })
      await pullable(`/v2/${name}/manifests/odd`, bytes)
    })
    for (const algorithm of ['sha256', 'sha512']) {
      it(`given the ${algorithm} of it, when PUT by digest, then 201, and GET by the same`, async () => {
        const name = await withBlobs()
        const image = imageOf(config, [layer])
        const reference = digestOf(image.bytes, algorithm)
        const answer = await on.pushManifest(name, reference, image)
        assert.equal(answer.status, 201)
        assert.equal(answer.headers.get('docker-content-digest'), reference)
        await pullable(`/v2/${name}/manifests/${reference}`, image.bytes)
        assert.deepEqual((await on.call('GET', `/v2/${name}/tags/list`)).json.tags, [], 'a digest is no tag')
      })
    }
    it('given no layers, when PUT, then 201', async () => {
      assert.equal((await on.pushManifest(await withBlobs(), 'empty', imageOf(config, []))).status, 201)
    })
    it('given another digest, when PUT by it, then 400 DIGEST_INVALID', async () => {
      const answer = await on.pushManifest(await withBlobs(), digestOf('other'), imageOf(config, [layer]))
      assert.deepEqual([answer.status, answer.code], [400, 'DIGEST_INVALID'])
    })
    it('given a digest that is none, when PUT by it, then 400 with an error of the specification', async () => {
      const body = Buffer.from('blablabla')
      const answer = await on.pushManifest(on.fresh(), 'sha256:totallywrong', {
        bytes: body,
        mediaType: MANIFEST,
        digest: '',
      })
      assert.equal(answer.status, 400)
      assert.ok(['DIGEST_INVALID', 'MANIFEST_INVALID'].includes(answer.code!))
    })
    it('given a blob that is not there, when PUT, then 404 MANIFEST_BLOB_UNKNOWN naming it', async () => {
      const name = on.fresh()
      await on.pushBlob(name, config)
      const answer = await on.pushManifest(name, '1.0', imageOf(config, [layer]))
      assert.deepEqual([answer.status, answer.code], [404, 'MANIFEST_BLOB_UNKNOWN'])
      assert.match(JSON.stringify(answer.json), new RegExp(digestOf(layer)))
      assert.equal((await on.call('GET', `/v2/${name}/manifests/1.0`)).status, 404)
    })
    it('given a child that is not there, when an index is PUT, then 404 MANIFEST_BLOB_UNKNOWN', async () => {
      const child = descriptor(imageOf(config, [layer]).bytes, MANIFEST)
      const answer = await on.pushManifest(on.fresh(), '1.0', manifestOf({ mediaType: INDEX, manifests: [child] }))
      assert.deepEqual([answer.status, answer.code], [404, 'MANIFEST_BLOB_UNKNOWN'])
    })
    it('given an index of two images, when PUT, then 201, and its children stay when their tags move', async () => {
      const name = await withBlobs()
      const images = [imageOf(config, [layer]), imageOf(config, [])]
      for (const image of images) await on.pushManifest(name, 'moving', image)
      const manifests = images.map(({ bytes }) => descriptor(bytes, MANIFEST))
      const index = manifestOf({ mediaType: INDEX, manifests })
      assert.equal((await on.pushManifest(name, 'all', index)).status, 201)
      await pullable(`/v2/${name}/manifests/all`, index.bytes)
      for (const { digest, bytes } of images) await pullable(`/v2/${name}/manifests/${digest}`, bytes)
    })
    it('given no JSON, when PUT, then 400 MANIFEST_INVALID', async () => {
      const body = Buffer.from('blablabla')
      const answer = await on.pushManifest(await withBlobs(), '1.0', { bytes: body, mediaType: MANIFEST, digest: '' })
      assert.deepEqual([answer.status, answer.code], [400, 'MANIFEST_INVALID'])
    })
    it('given another Content-Type than its mediaType, when PUT, then 400 MANIFEST_INVALID', async () => {
      const answer = await on.pushManifest(await withBlobs(), '1.0', { ...imageOf(config, [layer]), mediaType: INDEX })
      assert.deepEqual([answer.status, answer.code], [400, 'MANIFEST_INVALID'])
    })
    it('given parameters in Content-Type, when PUT, then they are ignored', async () => {
      const image = { ...imageOf(config, [layer]), mediaType: `${MANIFEST}; charset=utf-8` }
      assert.equal((await on.pushManifest(await withBlobs(), '1.0', image)).status, 201)
    })
    it('given schema 1, when PUT, then 400 MANIFEST_INVALID', async () => {
      const type = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
      const bytes = Buffer.from('{"schemaVersion":1,"name":"x","tag":"1","fsLayers":[],"history":[]}')
      const answer = await on.pushManifest(await withBlobs(), '1.0', { bytes, mediaType: type, digest: '' })
      assert.deepEqual([answer.status, answer.code], [400, 'MANIFEST_INVALID'])
    })
    it('given a manifest of nearly 4 MiB, when PUT, then 201', async () => {
      const image = imageOf(config, [layer], { annotations: { long: 'x'.repeat(4 * 1024 * 1024 - 1000) } })
      assert.equal((await on.pushManifest(await withBlobs(), 'long', image)).status, 201)
    })
    it('given a manifest of 5 MiB, when PUT, then 413', async () => {
      const image = imageOf(config, [layer], { annotations: { long: 'x'.repeat(5 * 1024 * 1024) } })
      const answer = await on.pushManifest(await withBlobs(), 'long', image)
      assert.equal(answer.status, 413)
      assert.equal(answer.json.errors.length, 1)
    })
    it('given a tag of 129 characters, when PUT, then 400', async () => {
      assert.equal((await on.pushManifest(await withBlobs(), 'a'.repeat(129), imageOf(config, [layer]))).status, 400)
    })
    it('given a name of 255 characters, when PUT, then 201 and it can be pulled; of 256 nothing can be pushed', async () => {
      const long = `demo/images/${'a'.repeat(255)}`
      for (const blob of [config, layer]) assert.equal((await on.pushBlob(long, blob)).status, 201)
      const image = imageOf(config, [layer])
      for (const reference of ['t'.repeat(128), image.digest]) {
        assert.equal((await on.pushManifest(long, reference, image)).status, 201)
        await pullable(`/v2/${long}/manifests/${reference}`, image.bytes)
      }
      for (const [method, rest] of [
        ['POST', 'blobs/uploads/'],
        ['PUT', 'manifests/1'],
      ] as const) {
        const answer = await on.call(method, `/v2/${long}a/${rest}`, method === 'PUT' ? { body: image.bytes } : {})
        assert.deepEqual([answer.status, answer.code], [400, 'NAME_INVALID'])
      }
    })
    it('given tags that look like the digest of another manifest, when PUT and deleted, then tag and digest stay apart', async () => {
      const name = await withBlobs()
      const [one, other] = [imageOf(config, [layer]), imageOf(config, [])]
      assert.equal((await on.pushManifest(name, one.digest, one)).status, 201)
      const hex = one.digest.slice('sha256:'.length)
      const tags = [hex, `sha256-${hex}`, `sha256_${hex}`, 'sha256']
      for (const tag of tags) assert.equal((await on.pushManifest(name, tag, other)).status, 201, tag)
      for (const tag of tags) await pullable(`/v2/${name}/manifests/${tag}`, other.bytes)
      await pullable(`/v2/${name}/manifests/${one.digest}`, one.bytes)
      assert.equal((await on.call('DELETE', `/v2/${name}/manifests/${one.digest}`)).status, 202)
      for (const tag of tags) await pullable(`/v2/${name}/manifests/${tag}`, other.bytes)
      const colon = await on.pushManifest(name, `sha256:${hex.slice(1)}`, other)
      assert.deepEqual([colon.status, colon.code], [400, 'DIGEST_INVALID'])
    })
    it('given a tag that is there, when PUT again, then it moves and the manifest before stays under its digest', async () => {
      const name = await withBlobs()
      const [before, after] = [imageOf(config, [layer]), imageOf(config, [])]
      await on.pushManifest(name, 'latest', before)
      await on.pushManifest(name, 'latest', after)
      await pullable(`/v2/${name}/manifests/latest`, after.bytes)
      await pullable(`/v2/${name}/manifests/${before.digest}`, before.bytes)
      await pullable(`/v2/${name}/blobs/${digestOf(layer)}`, layer)
    })
    it('core.md 15 item 7: given two pushes of one tag at once, when both are answered, then the tag is one of them, and both are there', async () => {
      const name = await withBlobs()
      const images = [imageOf(config, [layer]), imageOf(config, [])]
      const answers = await Promise.all(images.map((image) => on.pushManifest(name, 'both', image)))
      assert.deepEqual(
        answers.map(({ status }) => status),
        [201, 201],
      )
      const tagged = await on.call('GET', `/v2/${name}/manifests/both`)
      assert.ok(images.some(({ bytes }) => bytes.equals(tagged.body)))
      for (const { digest, bytes } of images) await pullable(`/v2/${name}/manifests/${digest}`, bytes)
    })
  })

  it('Pushing a manifest with a subject field: given a subject that is not there, when PUT, then 201 with OCI-Subject', async () => {
    const name = on.fresh()
    await on.pushBlob(name, EMPTY)
    const subject = descriptor(Buffer.from('nobody pushed this'), MANIFEST)
    const referrer = manifestOf({
      mediaType: MANIFEST,
      ...{ artifactType: 'application/vnd.example.sbom', config: descriptor(EMPTY, EMPTY_TYPE) },
      ...{ layers: [descriptor(EMPTY, LAYER)], subject },
    })
    const answer = await on.pushManifest(name, referrer.digest, referrer)
    assert.equal(answer.status, 201)
    assert.equal(answer.headers.get('oci-subject'), subject.digest)
  })
})
