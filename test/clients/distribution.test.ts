import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { distributionSource, REPO } from '../helpers/distributions.ts'
import { DOCKER_REGISTRY, startDockerRegistry } from '../helpers/docker-registry.ts'
import { faultyProxy } from '../helpers/faulty-proxy.ts'
import { needs } from '../helpers/programs.ts'
import { until } from '../helpers/real-time.ts'
import { descriptor, digestOf, INDEX, imageOf, MANIFEST, manifestOf } from '../helpers/registry.ts'
import { tokenService } from '../helpers/token-service.ts'

const LOGIN = { username: 'pusher', password: 'p:ss/w+rd' }

/** @returns digest of what has this tag there, with a token when one is needed. */
async function digestAt(url: string, repository: string, tag: string, realm?: string): Promise<string | null> {
  const headers: Record<string, string> = { accept: `${MANIFEST}, ${INDEX}` }
  if (realm !== undefined) {
    const basic = Buffer.from(`${LOGIN.username}:${LOGIN.password}`).toString('base64')
    const query = `service=test-registry&scope=repository:${repository}:pull`
    const answer = await fetch(`${realm}?${query}`, { headers: { authorization: `Basic ${basic}` } })
    headers.authorization = `Bearer ${((await answer.json()) as { access_token: string }).access_token}`
  }
  const answer = await fetch(`${url}/v2/${repository}/manifests/${tag}`, { method: 'HEAD', headers })
  return answer.headers.get('docker-content-digest')
}

describe('distribution to docker-registry', needs(DOCKER_REGISTRY), () => {
  it('given a link that follows, when a tag is pushed, moved, and an index comes, then the registry has the same', async (t) => {
    await using source = await distributionSource('sqlite')
    await using there = await startDockerRegistry()
    await source.distribute('live', { registry: `${there.url}/team`, replicaType: 'REAL_TIME' })
    await source.caughtUp('live', t.signal)
    const arrives = (tag: string, digest: string) =>
      until(async () => (await digestAt(there.url, 'team/nginx', tag)) === digest, t.signal)
    const first = await source.tag('1.1')
    const pushedAt = performance.now()
    await arrives('1.1', first.digest)
    t.diagnostic(`arrived after ${Math.round(performance.now() - pushedAt)} ms`)
    const second = await source.tag('1.1')
    await arrives('1.1', second.digest)

    const image = `${REPO}/nginx`
    const children = await Promise.all(
      ['amd64', 'arm64'].map(async (platform) => {
        const [config, layer] = [Buffer.from(JSON.stringify({ platform })), Buffer.from(`layer of ${platform}`)]
        for (const blob of [config, layer]) await source.registry.pushBlob(image, blob)
        const child = imageOf(config, [layer])
        await source.registry.pushManifest(image, child.digest, child)
        return child
      }),
    )
    const manifests = children.map(({ bytes, mediaType }) => descriptor(bytes, mediaType))
    const index = manifestOf({ mediaType: INDEX, manifests })
    await source.registry.pushManifest(image, 'both', index)
    await arrives('both', index.digest)
    for (const { digest } of children) assert.equal(await digestAt(there.url, 'team/nginx', digest), digest)
  })

  it('case 42: given a registry with a token service, when one version goes to two tags, then both are there, and its blobs were sent once', async (t) => {
    await using source = await distributionSource('sqlite')
    await using tokens = await tokenService(LOGIN.username, LOGIN.password)
    await using there = await startDockerRegistry({ tokens })
    await using line = await faultyProxy(there.url)
    const [config, layer] = [Buffer.from('{}'), Buffer.alloc(1_000_000, 'layer ')]
    for (const blob of [config, layer]) await source.registry.pushBlob(`${REPO}/nginx`, blob)
    const image = imageOf(config, [layer])
    await source.registry.pushManifest(`${REPO}/nginx`, '1.1', image)
    const target = { registry: `${line.url}/team`, ...LOGIN }
    const wanted = { ...target, versions: ['1.1'], targetVersions: ['1.2', '1.3'] }
    const record = await source.runOnce('once', wanted, t.signal)
    assert.deepEqual([record.status, record.errorReason, record.replicaOverview?.success], ['SUCCESS', null, 1])
    for (const tag of ['1.2', '1.3'])
      assert.equal(await digestAt(there.url, 'team/nginx', tag, tokens.realm), digestOf(image.bytes))
    assert.equal(await digestAt(there.url, 'team/nginx', '1.1', tokens.realm), null)
    assert.equal(record.replicatedBytes, config.length + layer.length)
    assert.ok(line.bodyBytes() < layer.length + 10_000, `${line.bodyBytes()} bytes`)
    const wrong = { ...target, password: 'wrong', packageName: 'nginx', versions: ['1.1'], name: 'wrong' }
    await assert.rejects(source.call('POST', `create/runOnceTask/${REPO}`, wrong), /250301.*401/)
  })
})
