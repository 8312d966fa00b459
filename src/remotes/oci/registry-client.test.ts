import assert from 'node:assert/strict'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { seededBytes } from '../../../test/helpers/blobs.ts'
import { contentName, hurryingClock, registryClient } from '../../../test/helpers/registry-clients.ts'
import { scriptedRegistry } from '../../../test/helpers/scripted-registry.ts'
import { scriptedUpstream } from '../../../test/helpers/scripted-upstream.ts'
import { TEST_CERTIFICATE, tlsProxy } from '../../../test/helpers/tls-proxy.ts'
import { AppError } from '../../core/errors.ts'

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'
const manifestOf = (fields: object) => ({
  bytes: Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, ...fields })),
  mediaType: MANIFEST,
})
const manifest = manifestOf({ layers: [] })
const digest = contentName(manifest.bytes)
const blob = seededBytes(4, 300_000)
const name = contentName(blob)

describe('manifests', () => {
  it('given a manifest, when it is put by tag, then it is found by tag and digest, byte for byte, until it is deleted', async (t) => {
    await using registry = await scriptedRegistry()
    using client = registryClient({ url: `${registry.url}/team` })
    const repository = client.repositoryOf('app')
    assert.deepEqual(await client.putManifest(repository, '1.1', manifest, t.signal), { digest, subject: undefined })
    const head = { mediaType: MANIFEST, digest, sizeBytes: manifest.bytes.length }
    assert.deepEqual(await client.headManifest('team/app', '1.1', t.signal), head)
    assert.deepEqual(await client.getManifest('team/app', digest, t.signal), { ...head, bytes: manifest.bytes })
    assert.equal(await client.deleteManifest('team/app', '1.1', t.signal), true)
    assert.equal(await client.deleteManifest('team/app', '1.1', t.signal), false)
    assert.equal(await client.headManifest('team/app', '1.1', t.signal), undefined)
    assert.equal(await client.getManifest('team/app', '1.1', t.signal), undefined)
  })

  it('given a registry that tells a wrong digest, when a manifest is fetched or put, then it is not believed', async (t) => {
    await using registry = await scriptedRegistry()
    const headers = { 'docker-content-digest': contentName('other'), 'content-type': MANIFEST }
    registry.script(({ url = '' }) =>
      url.includes('/manifests/') ? { status: 200, headers, body: manifest.bytes } : undefined,
    )
    using client = registryClient({ url: registry.url })
    await assert.rejects(client.getManifest('a', '1', t.signal), { code: 'DIGEST_MISMATCH' })
    await assert.rejects(client.getManifest('a', contentName('that one'), t.signal), { code: 'DIGEST_MISMATCH' })
    await assert.rejects(client.putManifest('a', '1', manifest, t.signal), { code: 'DIGEST_MISMATCH' })
  })

  it('given a registry that tells no digest on HEAD, when a manifest is looked for, then it is fetched', async (t) => {
    await using registry = await scriptedRegistry()
    using client = registryClient({ url: registry.url })
    await client.putManifest('a', '1', manifest, t.signal)
    registry.script(({ method }) => (method === 'HEAD' ? { status: 200 } : undefined))
    assert.equal((await client.headManifest('a', '1', t.signal))?.digest, digest)
  })

  it('given a manifest that is too large, or of schema 1, when it is fetched, then it is refused', async (t) => {
    await using registry = await scriptedRegistry()
    registry.script(({ url = '' }) => {
      if (url.endsWith('/large')) return { status: 200, body: Buffer.alloc(4 * 1024 * 1024 + 1) }
      const headers = { 'content-type': 'application/vnd.docker.distribution.manifest.v1+prettyjws' }
      return url.endsWith('/old') ? { status: 200, headers, body: '{}' } : undefined
    })
    using client = registryClient({ url: registry.url })
    await assert.rejects(client.getManifest('a', 'large', t.signal), /more than 4194304 bytes/)
    await assert.rejects(client.getManifest('a', 'old', t.signal), /schema 1/)
  })
})

describe('blobs', () => {
  it('given a blob, when it is fetched as a whole or from a byte on, then these bytes come', async (t) => {
    await using registry = await scriptedRegistry()
    registry.blobs.set(`a@${name}`, blob)
    using client = registryClient({ url: registry.url })
    assert.equal(await client.hasBlob('a', name, t.signal), true)
    assert.equal(await client.hasBlob('b', name, t.signal), false)
    assert.equal(await client.getBlob('b', name, {}, t.signal), undefined)
    const whole = await client.getBlob('a', name, {}, t.signal)
    assert.equal(whole?.sizeBytes, blob.length)
    assert.ok(blob.equals(await buffer(whole.stream)))
    let bytes = 0
    const onBytes = (count: number) => {
      bytes += count
    }
    const rest = await client.getBlob('a', name, { start: 200_000, onBytes }, t.signal)
    assert.equal(rest?.sizeBytes, blob.length)
    assert.ok(blob.subarray(200_000).equals(await buffer(rest.stream)))
    assert.equal(bytes, 100_000)
  })

  it('given a registry without ranges, when a blob is fetched from a byte on, then the first ones are left out', async (t) => {
    await using registry = await scriptedRegistry()
    registry.script(({ url = '' }) => (url.includes('/blobs/') ? { status: 200, body: blob } : undefined))
    using client = registryClient({ url: registry.url })
    const rest = await client.getBlob('a', name, { start: 123_456 }, t.signal)
    assert.ok(blob.subarray(123_456).equals(await buffer(rest!.stream)))
  })

  it('given a connection that breaks twice, when a blob is fetched, then it goes on where it was', async (t) => {
    await using registry = await scriptedRegistry()
    registry.blobs.set(`a@${name}`, blob)
    registry.script(({ method }, nth) => (method === 'GET' && nth <= 2 ? { cutAnswerAfter: 90_000 } : undefined))
    // The check of the version comes before.
    using client = registryClient({ url: registry.url })
    const whole = await client.getBlob('a', name, {}, t.signal)
    assert.ok(blob.equals(await buffer(whole!.stream)))
    const asked = registry.requests.filter(({ url = '' }) => url.includes('/blobs/'))
    assert.equal(asked.length, 3)
    assert.deepEqual(asked[0]?.headers.range, undefined)
    assert.match(asked[2]?.headers.range ?? '', /^bytes=\d+-$/)
  })

  it('given a connection that breaks without a byte, when a blob is fetched, then it fails in the end, and may work later', async (t) => {
    await using registry = await scriptedRegistry()
    registry.blobs.set(`a@${name}`, blob)
    registry.script(({ url = '' }) => (url.includes('/blobs/') ? { cutAnswerAfter: 0 } : undefined))
    using client = registryClient({ url: registry.url })
    const fetched = client.getBlob('a', name, {}, t.signal).then((found) => buffer(found!.stream))
    await assert.rejects(fetched, { code: 'UPSTREAM_FAILED', retryable: true })
  })

  it('given a redirect to storage, when a blob is fetched, then it is followed without the login', async (t) => {
    await using registry = await scriptedRegistry({ auth: 'basic' })
    await using storage = await scriptedUpstream()
    storage.serve('/bucket?X-Signature=a%2Fb', blob)
    const headers = { location: `${storage.url}/bucket?X-Signature=a%2Fb` }
    registry.script(({ url = '' }) => (url.includes('/blobs/') ? { status: 307, headers } : undefined))
    using client = registryClient({ url: registry.url, username: 'pusher', password: 'p:ss/w+rd' })
    assert.equal(await client.hasBlob('a', name, t.signal), true)
    const whole = await client.getBlob('a', name, {}, t.signal)
    assert.ok(blob.equals(await buffer(whole!.stream)))
    assert.equal(storage.requests[0]?.headers.authorization, undefined)
    // What storage says of a login is not the registry's word.
    storage.script('/bucket?X-Signature=a%2Fb', (_request, response) =>
      response.writeHead(401, { 'www-authenticate': 'Basic realm="give it to me"' }).end(),
    )
    await assert.rejects(client.getBlob('a', name, {}, t.signal), /answered 401/)
    assert.ok(storage.requests.every((request) => request.headers.authorization === undefined))
  })

  it('given a blob that nobody reads to its end, when its stream is destroyed, then the connection is free for others', async (t) => {
    await using registry = await scriptedRegistry()
    registry.blobs.set(`a@${name}`, seededBytes(5, 20_000_000))
    using client = registryClient({ url: registry.url }, { limits: { connections: 1 } })
    const whole = await client.getBlob('a', name, {}, t.signal)
    whole!.stream.on('error', () => {}).destroy()
    assert.equal(await client.hasBlob('a', name, t.signal), true)
  })
})

describe('lists', () => {
  it('given more tags than a page has, when they are listed, then the links are followed', async (t) => {
    await using registry = await scriptedRegistry({ pageEntries: 2 })
    using client = registryClient({ url: registry.url })
    for (const tag of ['a', 'b', 'c', 'd', 'e']) await client.putManifest('app', tag, manifest, t.signal)
    const pages = await Array.fromAsync(client.listTags('app', t.signal))
    assert.deepEqual(pages, [['a', 'b'], ['c', 'd'], ['e']])
    await assert.rejects(Array.fromAsync(client.listTags('none', t.signal)), (error) => {
      return error instanceof AppError && error.detail.status === 404
    })
  })

  it('given pages that never end, or lead elsewhere, when tags are listed, then that is refused', async (t) => {
    await using registry = await scriptedRegistry()
    let link = '</v2/a/tags/list?last=x>; rel="next"'
    registry.script(({ url = '' }) =>
      url.includes('/tags/') ? { status: 200, headers: { link }, body: '{"tags":["x",7,"no tag"]}' } : undefined,
    )
    using client = registryClient({ url: registry.url })
    await assert.rejects(Array.fromAsync(client.listTags('a', t.signal)), /never end/)
    link = '<https://elsewhere.example/v2/a/tags/list>; rel="next"'
    await assert.rejects(Array.fromAsync(client.listTags('a', t.signal)), /another host/)
    registry.script(({ url = '' }) => (url.includes('/tags/') ? { status: 200, body: '{"tags":null}' } : undefined))
    assert.deepEqual(await Array.fromAsync(client.listTags('a', t.signal)), [[]])
  })

  it('given a signature of an image, when referrers are listed, then it is there, by the API or by the tag that stands in for it', async (t) => {
    const type = 'application/vnd.example.signature'
    const signature = manifestOf({
      artifactType: type,
      subject: { mediaType: MANIFEST, digest, size: manifest.bytes.length },
    })
    const referrer = {
      ...{ mediaType: MANIFEST, digest: contentName(signature.bytes), size: signature.bytes.length },
      artifactType: type,
    }
    for (const referrers of ['listed', 'unknown'] as const) {
      await using registry = await scriptedRegistry({ referrers })
      using client = registryClient({ url: registry.url })
      const { subject } = await client.putManifest('a', referrer.digest, signature, t.signal)
      assert.equal(subject, referrers === 'listed' ? digest : undefined)
      if (subject === undefined) {
        assert.deepEqual(await client.listReferrers('a', digest, undefined, t.signal), [])
        await client.addReferrer('a', digest, referrer, t.signal)
        await client.addReferrer('a', digest, referrer, t.signal)
        assert.equal(registry.manifests.get(`a:${digest.replace(':', '-')}`)?.type, INDEX)
      }
      assert.deepEqual(await client.listReferrers('a', digest, undefined, t.signal), [referrer], referrers)
      assert.deepEqual(await client.listReferrers('a', digest, type, t.signal), [referrer])
      assert.deepEqual(await client.listReferrers('a', digest, 'application/other', t.signal), [])
    }
  })

  it('given a catalog, when it is listed, then names that are none are left out', async (t) => {
    await using registry = await scriptedRegistry()
    registry.script(({ url = '' }) =>
      url.startsWith('/v2/_catalog') ? { status: 200, body: '{"repositories":["a","b/c","../d"]}' } : undefined,
    )
    using client = registryClient({ url: registry.url })
    assert.deepEqual(await Array.fromAsync(client.catalog(t.signal)), [['a', 'b/c']])
  })
})

describe('a registry that cannot now', () => {
  it('given 429 with Retry-After and 503, when it is asked, then it is asked again, after that', async (t) => {
    await using registry = await scriptedRegistry()
    const clock = hurryingClock()
    const headers = { 'retry-after': '3', 'ratelimit-remaining': '0;w=60', 'ratelimit-limit': '100;w=60' }
    registry.script(({ method }, nth) =>
      method !== 'HEAD' || nth > 2 ? undefined : nth === 1 ? { status: 429, headers } : { status: 503 },
    )
    using client = registryClient({ url: registry.url }, { clock })
    assert.equal(await client.hasBlob('a', name, t.signal), false)
    assert.equal(clock.pausesMs[0], 3_000)
    assert.deepEqual(client.rateLimit(), { remaining: 0, limit: 100, windowSeconds: 60 })
  })

  it('given that it wants to be left alone for an hour, when it is asked, then that is told at once', async (t) => {
    await using registry = await scriptedRegistry()
    registry.script(() => ({ status: 429, headers: { 'retry-after': '3600' } }))
    using client = registryClient({ url: registry.url })
    await assert.rejects(client.check(t.signal), (error) => {
      return error instanceof AppError && error.retryable && error.detail.retryAfterMs === 3_600_000
    })
    assert.equal(registry.asked.length, 1)
  })

  it('given 500 all the time, when it is asked, then it is asked five times', async (t) => {
    await using registry = await scriptedRegistry()
    registry.script(({ method }) => (method === 'HEAD' ? { status: 500 } : undefined))
    using client = registryClient({ url: registry.url })
    await assert.rejects(client.hasBlob('a', name, t.signal), { code: 'UPSTREAM_FAILED', retryable: true })
    assert.equal(registry.asked.filter((line) => line.startsWith('HEAD')).length, 5)
  })

  it('given nobody there, when it is asked, then it fails, and may work later', async (t) => {
    const gone = await scriptedRegistry()
    await gone[Symbol.asyncDispose]()
    using client = registryClient({ url: gone.url })
    await assert.rejects(client.check(t.signal), { code: 'UPSTREAM_FAILED', retryable: true })
  })

  it('given a client that was disposed, when it is asked, then it says so', async (t) => {
    await using registry = await scriptedRegistry()
    const client = registryClient({ url: registry.url })
    await client.check(t.signal)
    client[Symbol.dispose]()
    await assert.rejects(client.check(t.signal), { code: 'UPSTREAM_FAILED', message: /closed/ })
  })

  it('given a request that is given up, when it waits, then it ends with that reason', async () => {
    await using registry = await scriptedRegistry()
    const stop = new AbortController()
    registry.script(({ method }) => {
      if (method === 'HEAD') stop.abort(new Error('given up'))
      return undefined
    })
    using client = registryClient({ url: registry.url })
    await assert.rejects(client.hasBlob('a', name, stop.signal), /given up/)
  })
})

describe('addresses', () => {
  it('given a private address that is not allowed, when it is asked, then nothing is sent', async (t) => {
    await using registry = await scriptedRegistry()
    using client = registryClient({ url: registry.url }, { rules: { allowPrivate: false } })
    await assert.rejects(client.check(t.signal), /not allowed/)
    assert.deepEqual(registry.asked, [])
  })

  it('given a certificate of its own, when a registry is asked, then it is trusted with it, and without it not', async (t) => {
    await using registry = await scriptedRegistry()
    await using secure = await tlsProxy(registry.url)
    using trusting = registryClient({ url: secure.url, certificate: TEST_CERTIFICATE })
    await trusting.check(t.signal)
    using other = registryClient({ url: secure.url })
    await assert.rejects(other.check(t.signal), /TLS with .* failed/)
  })

  it('given a forward proxy, when a registry is asked, then it goes through it', async (t) => {
    await using proxy = await scriptedUpstream()
    proxy.serve('http://registry.example/v2/', '{}')
    const through = { host: '127.0.0.1', port: proxy.port, username: 'pu', password: 'p:w' }
    using client = registryClient({ url: 'http://registry.example', proxy: through })
    await client.check(t.signal)
    assert.equal(proxy.requests[0]?.headers['proxy-authorization'], `Basic ${Buffer.from('pu:p:w').toString('base64')}`)
  })

  it('given a name that could leave its place in the URL, when it is used, then it is refused', async (t) => {
    using client = registryClient({ url: 'http://127.0.0.1:9' })
    for (const repository of ['../x', 'a//b', 'A', 'a?b', '']) {
      await assert.rejects(client.hasBlob(repository, name, t.signal), { code: 'PARAMETER_INVALID' })
    }
  })
})
