import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import { eachDialect } from '../helpers/local-cluster.ts'
import { descriptor, digestOf, INDEX, MANIFEST, manifestOf, type Registry, startRegistry } from '../helpers/registry.ts'

eachDialect('core.md 15 item 8: OCI distribution specification 1.1: Content Management', (dialect) => {
  let on: Registry
  before(async () => {
    on = await startRegistry(dialect)
  })
  after(() => on[Symbol.asyncDispose]())
  const status = async (method: string, target: string) => (await on.call(method, target)).status
  const layerOf = (bytes: Buffer): string => JSON.parse(bytes.toString()).layers[0].digest

  it('Deleting tags: given two tags of a manifest, when one is deleted, then 202, its GET is 404, the other and the digest stay', async () => {
    const name = on.fresh()
    const image = await on.pushImage(name, 'a')
    await on.pushManifest(name, 'b', image)
    assert.equal(await status('DELETE', `/v2/${name}/manifests/a`), 202)
    assert.equal(await status('GET', `/v2/${name}/manifests/a`), 404)
    assert.equal(await status('GET', `/v2/${name}/manifests/b`), 200)
    assert.equal(await status('GET', `/v2/${name}/manifests/${image.digest}`), 200)
    assert.deepEqual((await on.call('GET', `/v2/${name}/tags/list`)).json.tags, ['b'])
  })
  it('Deleting tags: given the only tag, when deleted, then its manifest is there by digest, and no tag is listed', async () => {
    const name = on.fresh()
    const image = await on.pushImage(name, 'only')
    assert.equal(await status('DELETE', `/v2/${name}/manifests/only`), 202)
    assert.equal(await status('GET', `/v2/${name}/manifests/${image.digest}`), 200)
    assert.deepEqual((await on.call('GET', `/v2/${name}/tags/list`)).json.tags, [])
  })
  it('Deleting Manifests: given a manifest with tags, when deleted by digest, then 202, and its digest and tags are 404', async () => {
    const name = on.fresh()
    const image = await on.pushImage(name, 'a')
    await on.pushManifest(name, 'b', image)
    assert.equal(await status('DELETE', `/v2/${name}/manifests/${image.digest}`), 202)
    for (const reference of [image.digest, 'a', 'b']) {
      assert.equal(await status('GET', `/v2/${name}/manifests/${reference}`), 404)
    }
    const tags = await on.call('GET', `/v2/${name}/tags/list`)
    assert.deepEqual([tags.status, tags.json.tags], [200, []])
    assert.equal(await status('DELETE', `/v2/${name}/manifests/${image.digest}`), 404)
  })
  it('Deleting Manifests: given a manifest that is not there, when deleted, then 404', async () => {
    const name = on.fresh()
    assert.equal(await status('DELETE', `/v2/${name}/manifests/${digestOf('x')}`), 404)
    await on.pushImage(name, 'a')
    assert.equal(await status('DELETE', `/v2/${name}/manifests/${digestOf('x')}`), 404)
    assert.equal(await status('DELETE', `/v2/${name}/manifests/nothing`), 404)
    assert.equal(await status('DELETE', `/v2/demo/nothing/x/manifests/${digestOf('x')}`), 404)
  })
  it('Deleting Manifests: given a child of an index, when deleted, then 405 until the index is', async () => {
    const name = on.fresh()
    const child = await on.pushImage(name, 'child')
    const index = manifestOf({ mediaType: INDEX, manifests: [descriptor(child.bytes, MANIFEST)] })
    await on.pushManifest(name, 'index', index)
    await on.call('DELETE', `/v2/${name}/manifests/child`)
    const refused = await on.call('DELETE', `/v2/${name}/manifests/${child.digest}`)
    assert.deepEqual([refused.status, refused.code], [405, 'UNSUPPORTED'])
    assert.equal(await status('DELETE', `/v2/${name}/manifests/${index.digest}`), 202)
    assert.equal(await status('DELETE', `/v2/${name}/manifests/${child.digest}`), 202)
  })
  it('Deleting Blobs: given a blob that no manifest names, when deleted, then 202, and GET is 404', async () => {
    const name = on.fresh()
    const bytes = Buffer.from('to be deleted')
    await on.pushBlob(name, bytes)
    assert.equal(await status('DELETE', `/v2/${name}/blobs/${digestOf(bytes)}`), 202)
    assert.equal(await status('GET', `/v2/${name}/blobs/${digestOf(bytes)}`), 404)
    assert.equal(await status('DELETE', `/v2/${name}/blobs/${digestOf(bytes)}`), 404)
  })
  it('Deleting Blobs: given a blob of a deleted manifest, when deleted, then 202', async () => {
    const name = on.fresh()
    const image = await on.pushImage(name, 'a')
    await on.call('DELETE', `/v2/${name}/manifests/${image.digest}`)
    assert.equal(await status('GET', `/v2/${name}/blobs/${layerOf(image.bytes)}`), 200)
    assert.equal(await status('DELETE', `/v2/${name}/blobs/${layerOf(image.bytes)}`), 202)
    assert.equal(await status('GET', `/v2/${name}/blobs/${layerOf(image.bytes)}`), 404)
  })
  it('Deleting Blobs: given a blob that a manifest names, when deleted, then 405 and the image stays whole', async () => {
    const name = on.fresh()
    const image = await on.pushImage(name, 'a')
    const answer = await on.call('DELETE', `/v2/${name}/blobs/${layerOf(image.bytes)}`)
    assert.deepEqual([answer.status, answer.code], [405, 'UNSUPPORTED'])
    assert.equal(await status('GET', `/v2/${name}/blobs/${layerOf(image.bytes)}`), 200)
  })
  it('given a pull that runs, when its manifest is deleted, then the layer comes whole', async () => {
    const name = on.fresh()
    const image = await on.pushImage(name, 'a')
    const [pulled] = await Promise.all([
      on.call('GET', `/v2/${name}/blobs/${layerOf(image.bytes)}`),
      on.call('DELETE', `/v2/${name}/manifests/${image.digest}`),
    ])
    assert.equal(digestOf(pulled.body), layerOf(image.bytes))
  })
})
