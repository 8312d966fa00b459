import assert from 'node:assert/strict'
import { request } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { seededBytes } from '../helpers/blobs.ts'
import { ANY_MANIFEST, BYTES, sendUnmeasured, streamBlob } from '../helpers/foreign-pushes.ts'
import {
  addUser,
  basic,
  type CallMore,
  CONFIG,
  descriptor,
  digestOf,
  INDEX,
  imageOf,
  MANIFEST,
  manifestOf,
  type PushedManifest,
  type Registry,
  startRegistry,
  withDigest,
} from '../helpers/registry.ts'

const DOCKER_AGENT =
  'docker/24.0.7 go/go1.20.10 git-commit/311b9ff kernel/6.1.0 os/linux arch/amd64 UpstreamClient(Docker-Client/24.0.7 \\(linux\\))'

/** docker, buildx and containerd, which no test can run here: what they send, call by call. */
describe('core.md 15 item 9: clients of images that are spoken for', () => {
  let on: Registry
  before(async () => {
    on = await startRegistry('sqlite')
  })
  after(() => on[Symbol.asyncDispose]())

  describe('docker, buildx and containerd', () => {
    /** OAuth2 with a form, as buildx and containerd ask for it. */
    async function oauth(scope: string, username = 'admin', password = on.server.password): Promise<string> {
      const answer = await on.call('POST', '/v2/auth', {
        headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
        body: new URLSearchParams({
          ...{ grant_type: 'password', service: 'entrepot', client_id: 'buildkit-client' },
          username,
          password,
          scope,
        }).toString(),
        authorization: '',
      })
      assert.equal(answer.status, 200)
      return `Bearer ${answer.json.access_token}`
    }

    it('given two platforms with attestations, when buildx pushes children by digest and the index by tag, then containerd pulls all of it', async () => {
      const name = on.fresh()
      const authorization = await oauth(`repository:${name}:pull,push`)
      const as = (more: CallMore = {}): CallMore => ({ ...more, authorization })
      const children: object[] = []
      const put = async (reference: string, { bytes, mediaType }: PushedManifest) => {
        const head = await on.call(
          'HEAD',
          `/v2/${name}/manifests/${reference}`,
          as({ headers: { accept: `${mediaType}, */*` } }),
        )
        assert.equal(head.status, 404)
        const answer = await on.call(
          'PUT',
          `/v2/${name}/manifests/${reference}`,
          as({ headers: { 'content-type': mediaType }, body: bytes }),
        )
        assert.equal(answer.status, 201)
      }
      for (const architecture of ['amd64', 'arm64']) {
        const [config, layer] = [
          Buffer.from(JSON.stringify({ os: 'linux', architecture })),
          gzipSync(Buffer.from(architecture)),
        ]
        const image = imageOf(config, [layer])
        const statement = Buffer.from(
          JSON.stringify({ _type: 'https://in-toto.io/Statement/v0.1', subject: [{ name: architecture }] }),
        )
        const nothing = Buffer.from(JSON.stringify({ os: 'unknown', architecture: 'unknown', of: architecture }))
        const provenance = manifestOf({
          mediaType: MANIFEST,
          config: descriptor(nothing, CONFIG),
          layers: [
            descriptor(statement, 'application/vnd.in-toto+json', {
              annotations: { 'in-toto.io/predicate-type': 'https://slsa.dev/provenance/v0.2' },
            }),
          ],
        })
        for (const blob of [config, layer, statement, nothing]) {
          assert.equal((await on.call('HEAD', `/v2/${name}/blobs/${digestOf(blob)}`, as())).status, 404)
          const begun = await on.call('POST', `/v2/${name}/blobs/uploads/`, as())
          const sent = await sendUnmeasured(
            on,
            'PUT',
            withDigest(begun.headers.get('location')!, digestOf(blob)),
            blob,
            authorization,
          )
          assert.equal(sent.status, 201)
        }
        for (const one of [image, provenance]) await put(one.digest, one)
        children.push(descriptor(image.bytes, MANIFEST, { platform: { os: 'linux', architecture } }))
        children.push(
          descriptor(provenance.bytes, MANIFEST, {
            annotations: {
              'vnd.docker.reference.digest': image.digest,
              'vnd.docker.reference.type': 'attestation-manifest',
            },
            platform: { os: 'unknown', architecture: 'unknown' },
          }),
        )
      }
      const index = manifestOf({ mediaType: INDEX, manifests: children })
      await put('latest', index)

      const pull = await oauth(`repository:${name}:pull`)
      const head = await on.call('HEAD', `/v2/${name}/manifests/latest?ns=registry.example`, {
        headers: { accept: ANY_MANIFEST },
        authorization: pull,
      })
      assert.deepEqual(
        ['docker-content-digest', 'content-type', 'content-length'].map((header) => head.headers.get(header)),
        [index.digest, INDEX, String(index.bytes.length)],
      )
      for (const { digest } of [index, ...(children as { digest: string }[])]) {
        const target = `/v2/${name}/manifests/${digest}?ns=registry.example`
        const { body, json } = await on.call('GET', target, { headers: { accept: ANY_MANIFEST }, authorization: pull })
        assert.equal(digestOf(body), digest)
        for (const blob of [json.config, ...(json.layers ?? [])].filter((one) => one !== undefined)) {
          const whole = await on.call('GET', `/v2/${name}/blobs/${blob.digest}`, {
            authorization: pull,
            headers: { accept: `${blob.mediaType}, */*` },
          })
          assert.equal(digestOf(whole.body), blob.digest)
          const rest = await on.call('GET', `/v2/${name}/blobs/${blob.digest}`, {
            authorization: pull,
            headers: { range: 'bytes=3-' },
          })
          assert.deepEqual([rest.status, rest.body], [206, whole.body.subarray(3)])
        }
      }
    })

    it('given layers that lie elsewhere, when docker tries one place after the other, then the second is mounted from', async () => {
      const [from, to] = [on.fresh(), on.fresh()]
      const layer = gzipSync(seededBytes(4, 5_000))
      await on.pushBlob(from, layer)
      const authorization = await oauth(
        `repository:${from}:pull repository:${to}:pull,push repository:demo/others/none:pull`,
      )
      const mount = (source: string) =>
        on.call('POST', `/v2/${to}/blobs/uploads/?from=${encodeURIComponent(source)}&mount=${digestOf(layer)}`, {
          authorization,
        })
      const missed = await mount('demo/others/none')
      assert.equal(missed.status, 202)
      assert.equal((await on.call('DELETE', missed.headers.get('location')!, { authorization })).status, 204)
      assert.equal((await mount(from)).status, 201)
      const twice = await on.call(
        'POST',
        `/v2/${to}/blobs/uploads/?mount=${digestOf(layer)}&from=demo/others/none&from=${from}`,
        { authorization },
      )
      assert.ok([201, 202].includes(twice.status), String(twice.status))
    })

    it('given a token for the target only, when a blob of a private image is mounted, then an upload begins', async () => {
      const [from, to] = [on.fresh(), 'demo/others/stranger']
      const layer = Buffer.from('private layer')
      await on.pushBlob(from, layer)
      await addUser(on, 'stranger', 'others', ['READ', 'WRITE'])
      const target = `/v2/${to}/blobs/uploads/?mount=${digestOf(layer)}&from=${from}`
      assert.equal((await on.call('POST', target, { authorization: on.user('stranger') })).status, 202)
      const authorization = await oauth(
        `repository:${to}:pull,push repository:${from}:pull`,
        'stranger',
        'correct-horse-battery-stranger',
      )
      assert.equal((await on.call('POST', target, { authorization })).status, 202)
      assert.equal((await on.call('GET', `/v2/${to}/blobs/${digestOf(layer)}`)).status, 404)
    })

    it('given five layers, when docker pushes them at once without saying their lengths, then all are whole', async () => {
      const name = on.fresh()
      const authorization = await oauth(`repository:${name}:pull,push`)
      const layers = [10, 70_000, 1_100_000, 3_000_000, 5_000_000].map((size, at) => seededBytes(10 + at, size))
      const config = Buffer.from('{"os":"linux","architecture":"amd64","layers":5}')
      const more = { authorization, headers: { 'user-agent': DOCKER_AGENT } }
      const answers = await Promise.all([...layers, config].map((blob) => streamBlob(on, name, blob, more)))
      assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([201]))
      const image = imageOf(config, layers)
      const put = await on.call('PUT', `/v2/${name}/manifests/5`, {
        authorization,
        headers: { ...more.headers, 'content-type': MANIFEST },
        body: image.bytes,
      })
      assert.equal(put.status, 201)
      const pulled = await Promise.all(
        layers.map((layer) => on.call('GET', `/v2/${name}/blobs/${digestOf(layer)}`, { authorization })),
      )
      assert.ok(pulled.every(({ body }, at) => body.equals(layers[at]!)))
    })
  })

  describe('Expect: 100-continue', () => {
    it('given a manifest and a layer, when sent after the word to go on, then they are stored', async () => {
      const name = on.fresh()
      const layer = seededBytes(20, 300_000)
      const begun = await on.call('POST', `/v2/${name}/blobs/uploads/`)
      const stored = await expecting(
        on,
        'PUT',
        withDigest(begun.headers.get('location')!, digestOf(layer)),
        layer,
        BYTES,
      )
      assert.deepEqual(stored, { status: 201, told: true })
      const config = Buffer.from('{}')
      await on.pushBlob(name, config)
      const { bytes } = imageOf(config, [layer])
      const put = await expecting(on, 'PUT', `/v2/${name}/manifests/1`, bytes, { 'content-type': MANIFEST })
      assert.deepEqual(put, { status: 201, told: true })
    })

    it('given nobody, when a layer is announced, then 401 and the next push is not hurt', async () => {
      const name = on.fresh()
      const { status } = await expecting(
        on,
        'POST',
        `/v2/${name}/blobs/uploads/?digest=${digestOf('x')}`,
        Buffer.from('x'),
        BYTES,
        '',
      )
      assert.equal(status, 401)
      assert.equal((await streamBlob(on, name, Buffer.from('x'))).status, 201)
    })
  })
})

/** The body goes out when the server says so, or has answered. */
function expecting(
  { server }: Registry,
  method: string,
  target: string,
  bytes: Buffer,
  headers: Readonly<Record<string, string>>,
  authorization = basic('admin'),
): Promise<{ status: number; told: boolean }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; told: boolean }>()
  let told = false
  const login: Record<string, string> = authorization === '' ? {} : { authorization }
  const sent = request(new URL(target, server.url), {
    method,
    headers: { ...headers, ...login, expect: '100-continue', 'content-length': bytes.length },
  })
  sent.on('continue', () => {
    told = true
    sent.end(bytes)
  })
  sent.on('response', (answer) => {
    answer.resume()
    if (!told) sent.destroy()
    resolve({ status: answer.statusCode ?? 0, told })
  })
  sent.on('error', reject)
  sent.flushHeaders()
  return promise
}
