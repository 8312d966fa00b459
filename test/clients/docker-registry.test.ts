import assert from 'node:assert/strict'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { systemClock } from '../../src/app/system-clock.ts'
import type { UploadPoint } from '../../src/remotes/oci/blob-uploads.ts'
import type { RegistryClient } from '../../src/remotes/oci/registry-client.ts'
import { seededBytes } from '../helpers/blobs.ts'
import { DOCKER_REGISTRY, startDockerRegistry } from '../helpers/docker-registry.ts'
import { faultyProxy } from '../helpers/faulty-proxy.ts'
import { needs } from '../helpers/programs.ts'
import { contentName, pushSource, registryClient } from '../helpers/registry-clients.ts'
import { tokenService } from '../helpers/token-service.ts'

const PART = 1024 * 1024
const deps = { clock: systemClock, limits: { wholeBytes: PART, partBytes: PART } }
const layer = seededBytes(1, PART * 5 + 7)
const layerName = contentName(layer)
const config = Buffer.from('{"architecture":"amd64","os":"linux"}')
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const manifest = Buffer.from(
  JSON.stringify({
    ...{ schemaVersion: 2, mediaType: MANIFEST },
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: contentName(config), size: config.length },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: layerName, size: layer.length }],
  }),
)

async function pushAndPull(client: RegistryClient, signal: AbortSignal): Promise<void> {
  const repository = client.repositoryOf('nginx')
  await client.pushBlob(repository, layerName, pushSource(layer), {}, signal)
  await client.pushBlob(repository, contentName(config), pushSource(config), {}, signal)
  await client.pushBlob(repository, contentName(''), pushSource(Buffer.alloc(0)), {}, signal)
  for (const tag of ['1.1', '1.2']) {
    const stored = await client.putManifest(repository, tag, { bytes: manifest, mediaType: MANIFEST }, signal)
    assert.deepEqual(stored, { digest: contentName(manifest), subject: undefined })
  }
  assert.equal((await client.headManifest(repository, '1.1', signal))?.digest, contentName(manifest))
  assert.ok((await client.getManifest(repository, '1.2', signal))?.bytes.equals(manifest))
  const rest = await client.getBlob(repository, layerName, { start: PART }, signal)
  assert.equal(rest?.sizeBytes, layer.length)
  assert.ok(layer.subarray(PART).equals(await buffer(rest.stream)))
  assert.deepEqual(await Array.fromAsync(client.listTags(repository, signal)), [['1.1', '1.2']])
  assert.deepEqual(await client.mountBlob('other/app', layerName, repository, signal), { mounted: true })
  assert.equal(await client.hasBlob('other/app', layerName, signal), true)
  assert.deepEqual(await client.listReferrers(repository, contentName(manifest), undefined, signal), [])
  assert.equal(await client.deleteManifest(repository, contentName(manifest), signal), true)
  assert.equal(await client.headManifest(repository, '1.1', signal), undefined)
}

describe('docker-registry', needs(DOCKER_REGISTRY), () => {
  it('given one without a login, when an image is pushed and pulled, then all of it is the same', async (t) => {
    await using registry = await startDockerRegistry()
    using client = registryClient({ url: `${registry.url}/team` }, deps)
    await pushAndPull(client, t.signal)
    assert.deepEqual(await Array.fromAsync(client.catalog(t.signal)), [['other/app', 'team/nginx']])
  })

  it('given one with a token service, when an image is pushed and pulled, then all of it is the same, with a token for each scope', async (t) => {
    await using tokens = await tokenService('pusher', 'p:ss/w+rd')
    await using registry = await startDockerRegistry({ tokens })
    using client = registryClient({ url: registry.url, username: 'pusher', password: 'p:ss/w+rd' }, deps)
    await pushAndPull(client, t.signal)
    const scopes = tokens.given.map((query) => query.getAll('scope').join(' '))
    assert.equal(new Set(scopes).size, scopes.length)
    using wrong = registryClient({ url: registry.url, username: 'pusher', password: 'wrong' }, deps)
    await assert.rejects(wrong.hasBlob('nginx', layerName, t.signal), /answered 401 .*check user name and password/)
  })

  it('given a line that breaks in mid-part, when a layer is pushed, then it gets there', async (t) => {
    await using registry = await startDockerRegistry()
    await using proxy = await faultyProxy(registry.url)
    let cut = false
    proxy.watch(({ method }, _bytes) => {
      if (method === 'PATCH' && !cut && proxy.bodyBytes() > 2.5 * PART) {
        cut = true
        return registry.kill().then(() => registry.start())
      }
      return undefined
    })
    using client = registryClient({ url: proxy.url }, deps)
    await client.pushBlob('nginx', layerName, pushSource(layer), {}, t.signal)
    assert.ok(cut)
    assert.equal(await client.hasBlob('nginx', layerName, t.signal), true)
  })

  it('given an upload that stopped between two parts, when it is gone on with by another client, then only the rest is sent', async (t) => {
    await using registry = await startDockerRegistry()
    const stop = new AbortController()
    let kept: UploadPoint | undefined
    const onPoint = (point: UploadPoint) => {
      kept = point
      if (point.offset === 3 * PART) stop.abort(new Error('killed'))
    }
    using first = registryClient({ url: registry.url }, deps)
    await assert.rejects(first.pushBlob('nginx', layerName, pushSource(layer), { onPoint }, stop.signal), /killed/)
    const opened: number[] = []
    using second = registryClient({ url: registry.url }, deps)
    await second.pushBlob(
      'nginx',
      layerName,
      pushSource(layer, (start) => opened.push(start)),
      { from: kept },
      t.signal,
    )
    assert.deepEqual(opened, [3 * PART, 4 * PART, 5 * PART])
    assert.equal(await second.hasBlob('nginx', layerName, t.signal), true)
  })
})
