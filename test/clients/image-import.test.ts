import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { systemClock } from '../../src/app/system-clock.ts'
import { DOCKER_REGISTRY, startDockerRegistry } from '../helpers/docker-registry.ts'
import { importCalls } from '../helpers/image-imports.ts'
import { needs } from '../helpers/programs.ts'
import { descriptor, INDEX, imageOf, manifestOf, type PushedManifest, startRegistry } from '../helpers/registry.ts'
import { contentName, pushSource, registryClient } from '../helpers/registry-clients.ts'
import { tokenService } from '../helpers/token-service.ts'

const LOGIN = { username: 'puller', password: 'p:ss/w+rd' }

describe('imports from docker-registry', needs(DOCKER_REGISTRY), () => {
  it('given one with a token service and an old referrers tag, when all of it is imported twice, then all is here, and twice is quick', async (t) => {
    await using tokens = await tokenService(LOGIN.username, LOGIN.password)
    await using there = await startDockerRegistry({ tokens })
    using client = registryClient({ url: `${there.url}/team`, ...LOGIN }, { clock: systemClock })
    const repository = client.repositoryOf('web')
    async function push(architecture: string, more: object = {}): Promise<PushedManifest> {
      const config = Buffer.from(JSON.stringify({ os: 'linux', architecture }))
      const layers = [randomBytes(2_000_000), Buffer.from(architecture)]
      for (const blob of [config, ...layers]) {
        await client.pushBlob(repository, contentName(blob), pushSource(blob), {}, t.signal)
      }
      const image = imageOf(config, layers, more)
      await client.putManifest(repository, image.digest, image, t.signal)
      return image
    }
    const children = [await push('amd64'), await push('arm64')]
    const index = manifestOf({
      mediaType: INDEX,
      manifests: children.map(({ bytes, mediaType }) => descriptor(bytes, mediaType)),
    })
    await client.putManifest(repository, '1', index, t.signal)
    const signature = await push('none', { subject: descriptor(index.bytes, INDEX) })
    const about = { mediaType: signature.mediaType, digest: contentName(signature.bytes), size: signature.bytes.length }
    await client.addReferrer(repository, contentName(index.bytes), about, t.signal)

    await using on = await startRegistry('sqlite', { ENTREPOT_ALLOW_PRIVATE_TARGETS: 'true' })
    const calls = importCalls(on)
    const { record } = await calls.run({ name: 'web', registry: `${there.url}/team`, ...LOGIN, packageName: 'web' })
    assert.deepEqual([record.status, record.errorReason], ['SUCCESS', null])
    const here = async (reference: string) => (await on.call('GET', `/v2/demo/images/web/manifests/${reference}`)).body
    assert.deepEqual(await here('1'), index.bytes)
    for (const one of [...children, signature]) assert.deepEqual(await here(one.digest), one.bytes)
    assert.deepEqual((await on.call('GET', '/v2/demo/images/web/tags/list')).json.tags, ['1'])
    const referrers = await on.call('GET', `/v2/demo/images/web/referrers/${index.digest}`)
    assert.equal(referrers.json.manifests[0].digest, signature.digest)
    await calls.execute('web')
    const again = await calls.ended('web')
    assert.deepEqual([again.status, again.replicaOverview.skip, again.replicatedBytes], ['SUCCESS', 1, 0])
  })
})
