import assert from 'node:assert/strict'
import { it } from 'node:test'
import { distributionSource, REPO, scheduled } from '../helpers/distributions.ts'
import { eachDialect } from '../helpers/local-cluster.ts'
import { descriptor, digestOf, INDEX, imageOf, manifestOf, type Registry, startRegistry } from '../helpers/registry.ts'
import { scriptedRegistry } from '../helpers/scripted-registry.ts'

const IMAGE = `${REPO}/nginx`

/** An index with an image of each architecture, under a tag. */
async function pushIndex(registry: Registry, tag: string) {
  const manifests = []
  const children: Record<string, string> = {}
  for (const architecture of ['amd64', 'arm64']) {
    const config = Buffer.from(JSON.stringify({ os: 'linux', architecture, tag }))
    const layer = Buffer.from(`layer of ${architecture} for ${tag}`)
    for (const blob of [config, layer]) await registry.pushBlob(IMAGE, blob)
    const child = imageOf(config, [layer])
    await registry.pushManifest(IMAGE, child.digest, child)
    children[architecture] = child.digest
    manifests.push(descriptor(child.bytes, child.mediaType, { platform: { os: 'linux', architecture } }))
  }
  const index = manifestOf({ mediaType: INDEX, ...{ manifests } })
  await registry.pushManifest(IMAGE, tag, index)
  return { index, children }
}

eachDialect('distribution of some platforms', (dialect) => {
  it('given an index, when one platform is wanted, then the index and that child are there; wanted more, the rest comes', async (t) => {
    await using source = await distributionSource(dialect)
    await using there = await scriptedRegistry()
    const { index, children } = await pushIndex(source.registry, '1.1')
    const target = { registry: `${there.url}/team` }
    await source.distribute('mirror', { ...target, ...scheduled({ platforms: ['linux/amd64'] }) })
    const first = await source.run('mirror', t.signal)
    assert.deepEqual([first.status, first.replicaOverview?.success], ['SUCCESS', 1])
    assert.equal(digestOf(there.manifests.get('team/nginx:1.1')!.bytes), index.digest)
    assert.ok(there.manifests.has(`team/nginx@${children.amd64}`))
    assert.ok(!there.manifests.has(`team/nginx@${children.arm64}`))
    const asked = there.asked.length
    const second = await source.run('mirror', t.signal)
    assert.deepEqual([second.replicaOverview?.success, second.replicaOverview?.skip], [0, 1])
    assert.deepEqual(there.asked.slice(asked), [])

    await source.distribute('mirror', { ...target, ...scheduled({ platforms: ['linux/amd64', 'linux/arm64'] }) })
    const third = await source.run('mirror', t.signal)
    assert.deepEqual([third.status, third.replicaOverview?.success], ['SUCCESS', 1])
    assert.ok(there.manifests.has(`team/nginx@${children.arm64}`))
  })

  it('given a registry that wants all that an index names, when one platform is sent, then it failed with the words of the registry', async (t) => {
    await using source = await distributionSource(dialect)
    await using there = await startRegistry(dialect)
    const { children } = await pushIndex(source.registry, '1.1')
    const login = { username: 'admin', password: there.server.password }
    const registry = `${there.server.url}/demo/images/mirror`
    await source.distribute('mirror', { registry, ...login, ...scheduled({ platforms: ['linux/amd64'] }) })
    const record = await source.run('mirror', t.signal)
    assert.deepEqual([record.status, record.replicaOverview?.failed], ['FAILED', 1])
    const [detail] = await source.details(record)
    assert.match(detail?.errorReason ?? '', /MANIFEST_BLOB_UNKNOWN/)
    assert.match(detail?.errorReason ?? '', new RegExp(children.arm64!))
  })
})
