import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { imageServices, makeImageRepository, nameOf, textOf } from '../../../test/helpers/images.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { parseImageName } from './coordinates.ts'
import { parseManifest } from './manifest.ts'
import { createManifestCompletion, SYSTEM } from './manifest-completion.ts'
import { FETCHED, publishManifest } from './manifest-publication.ts'
import { OCI_CONFIG, OCI_MANIFEST } from './media-types.ts'

const CONFIG = JSON.stringify({ os: 'linux', architecture: 'arm64' })
const LAYER = 'the layer'
const MANIFEST = {
  ...{ schemaVersion: 2, mediaType: OCI_MANIFEST },
  config: { mediaType: OCI_CONFIG, digest: nameOf(CONFIG), size: CONFIG.length },
  layers: [{ mediaType: 'application/x', digest: nameOf(LAYER), size: LAYER.length }],
}

eachDatabase('completion of fetched manifests', (make) => {
  /** A manifest `1` that was fetched without its blobs. */
  async function given(db: MetadataDatabase) {
    const on = imageServices(db)
    const repository = await makeImageRepository(on)
    const place = { repository, image: parseImageName('web')! }
    const { signal } = new AbortController()
    const deps = { ...on, db, signal }
    const errors: unknown[] = []
    const completion = createManifestCompletion({ ...deps, onError: (error) => errors.push(error) })
    async function fetch(document: object) {
      const bytes = Buffer.from(textOf(document))
      const publication = { version: '1', name: nameOf(document), manifest: parseManifest(bytes, undefined), bytes }
      const more = { by: SYSTEM, metadata: [FETCHED], absent: 'left out' } as const
      return publishManifest(deps, place, publication, more, signal)
    }
    const version = () => on.packages.getVersion(repository, 'docker://web' as never, '1')
    const arrive = async (text: string) => {
      await on.pushBlob(repository, 'web', text)
      completion.arrived(place, nameOf(text), 0)
      await completion.rest()
    }
    const { lacking } = await fetch(MANIFEST)
    return { on, place, completion, version, arrive, fetch, lacking, errors }
  }

  it('given contents that arrive one after the other, when noted, then the version claims each, and tells its platform', async () => {
    await using db = await make()
    const { place, completion, version, arrive, lacking, errors } = await given(db)
    assert.deepEqual([...lacking].sort(), [nameOf(CONFIG), nameOf(LAYER)].sort())
    completion.note(place, '1', lacking)
    await arrive(LAYER)
    assert.equal((await version()).sizeBytes, LAYER.length)
    await arrive(CONFIG)
    const { sizeBytes, extension, metadata } = await version()
    assert.equal(sizeBytes, LAYER.length + CONFIG.length)
    assert.deepEqual(extension.platforms, [{ os: 'linux', architecture: 'arm64' }])
    assert.ok(metadata.some(({ key, value }) => key === 'sourceType' && value === 'PROXY'))
    assert.deepEqual(errors, [])
  })

  it('given a manifest that another process brought, when its blobs arrive here, then the version claims them all the same', async () => {
    await using db = await make()
    const { version, arrive } = await given(db)
    await arrive(LAYER)
    await arrive(CONFIG)
    assert.equal((await version()).sizeBytes, LAYER.length + CONFIG.length)
  })

  it('given a tag that moves before a blob of its old manifest arrives, when that is noted, then the tag stays where it is', async () => {
    await using db = await make()
    const { place, completion, version, arrive, fetch, lacking, errors } = await given(db)
    completion.note(place, '1', lacking)
    const next = { ...MANIFEST, annotations: { moved: 'yes' }, layers: [] }
    await fetch(next)
    await arrive(LAYER)
    assert.equal((await version()).digest, nameOf(next))
    assert.deepEqual(errors, [])
  })

  it('given a version that is served for the first time in this process, when it lacks what is here, then it claims that', async () => {
    await using db = await make()
    const { on, place, completion, version } = await given(db)
    await on.pushBlob(place.repository, 'web', LAYER)
    const stored = await on.manifests.find(place, { kind: 'tag', tag: '1' })
    completion.served(place, stored!)
    await completion.rest()
    assert.equal((await version()).sizeBytes, LAYER.length)
  })
})
