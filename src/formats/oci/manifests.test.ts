import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import {
  descriptorOf,
  type ImageServices,
  imageServices,
  indexOf,
  makeImage,
  makeImageRepository,
  nameOf,
  textOf,
} from '../../../test/helpers/images.ts'
import { logSums } from '../../../test/helpers/packages.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { sweepLoose } from '../../metadata/storage/loose-blobs.ts'
import { DOCKER_MANIFEST, HELM_CONFIG, OCI_INDEX, OCI_MANIFEST } from './media-types.ts'

const KEY = 'docker://team/nginx'
const IMAGE = 'team/nginx'

async function livePaths({ db }: ImageServices, { id }: Repository): Promise<string[]> {
  const live = db.read
    .selectFrom('node')
    .where('repo_id', '=', id)
    .where('deleted_at', 'is', null)
    .where('folder', '=', 0)
  return (await live.select('path').orderBy('path').execute()).map(({ path }) => path)
}
async function versions({ db }: ImageServices): Promise<[string, number][]> {
  const rows = await db.read.selectFrom('package_version').select(['name', 'listed']).orderBy('name').execute()
  return rows.map(({ name, listed }) => [name, listed])
}
const looseNames = async ({ db }: ImageServices) =>
  (await db.read.selectFrom('loose_blob').select('name').orderBy('name').execute()).map(({ name }) => name)
/** As the chore does after a day. */
const forgetLoose = (on: ImageServices) => on.db.transact((trx) => sweepLoose(trx, Number.MAX_SAFE_INTEGER, 1_000))
async function assertSumsAgree(on: ImageServices, repository: Repository): Promise<void> {
  const { logged, live } = await logSums(on, repository.id)
  assert.deepEqual(logged, live)
}
const blobPathOf = ({ digest }: { digest: string }, image = IMAGE) => `/${image}/blobs/${digest.replace(':', '__')}`

eachDatabase('manifests of images', (make) => {
  it('given its blobs, when a manifest is pushed by tag, then tag and digest give the very bytes', async () => {
    await using db = await make()
    const on = imageServices(db)
    const repository = await makeImageRepository(on)
    const image = await makeImage(on, repository, IMAGE)
    const text = `${JSON.stringify(image, null, 3)}\n`
    const name = nameOf(text)
    const pushed = await on.push(repository, IMAGE, '1.0', text, { 'content-type': OCI_MANIFEST })
    assert.equal(pushed.status, 201)
    assert.deepEqual(pushed.headers, {
      location: `/v2/demo/images/team/nginx/manifests/${name}`,
      'docker-content-digest': name,
    })
    for (const reference of ['1.0', name]) {
      const { headers, body } = await on.ask('getManifest', repository, IMAGE, reference)
      assert.deepEqual(headers, { 'content-type': OCI_MANIFEST, 'docker-content-digest': name })
      assert.equal(body.toString(), text)
    }
    assert.deepEqual(await livePaths(on, repository), [
      ...[image.config, image.layers[0]!].map((one) => blobPathOf(one)).sort(),
      '/team/nginx/manifest/1.0/manifest.json',
    ])
    const version = await on.packages.getVersion(repository, KEY, '1.0')
    assert.equal(version.sizeBytes, image.config.size + image.layers[0]!.size, 'the manifest is not counted')
    assert.equal(version.manifestPath, '/team/nginx/manifest/1.0/manifest.json')
    assert.deepEqual(version.metadata, [{ key: 'manifest_digest', value: name }])
    await assertSumsAgree(on, repository)
  })

  it('given a tag, when another manifest takes it, then the old one stays under its digest, not listed', async () => {
    await using db = await make()
    const on = imageServices(db)
    const repository = await makeImageRepository(on)
    const old = await makeImage(on, repository, IMAGE, { text: 'old' })
    const young = await makeImage(on, repository, IMAGE, { text: 'young' })
    await on.push(repository, IMAGE, '1.0', old)
    await on.push(repository, IMAGE, '1.0', young)
    await forgetLoose(on)
    assert.equal((await on.ask('getManifest', repository, IMAGE, '1.0')).body.toString(), textOf(young))
    assert.equal((await on.ask('getManifest', repository, IMAGE, nameOf(old))).body.toString(), textOf(old))
    assert.deepEqual(await versions(on), [
      ['1.0', 1],
      [nameOf(old), 0],
    ])
    const info = await on.packages.get(repository, KEY)
    assert.deepEqual([info.versions, info.latest, info.deletedVersions], [1, '1.0', []])
    const kept = await on.packages.getVersion(repository, KEY, nameOf(old))
    assert.deepEqual(
      (await on.packages.filesOf(kept)).map(({ role, node }) => [role, node.path]),
      [
        ['layer', blobPathOf(old.layers[0]!)],
        ['config', blobPathOf(old.config)],
        ['main', `/team/nginx/manifest/${nameOf(old)}/manifest.json`],
      ],
    )
    assert.equal(kept.sizeBytes, old.config.size + old.layers[0]!.size)
    await assertSumsAgree(on, repository)
    // Back again: the digest is known already.
    await on.push(repository, IMAGE, '1.0', old)
    assert.deepEqual(
      (await versions(on)).map(([name]) => name),
      ['1.0', nameOf(old), nameOf(young)].sort(),
    )
    await assertSumsAgree(on, repository)
  })

  it('given two tags of one manifest, when one moves, then nothing is kept besides; when both did, then it is', async () => {
    await using db = await make()
    const on = imageServices(db)
    const repository = await makeImageRepository(on)
    const [old, young] = [
      await makeImage(on, repository, IMAGE, { text: 'old' }),
      await makeImage(on, repository, IMAGE),
    ]
    await on.push(repository, IMAGE, 'a', old)
    await on.push(repository, IMAGE, 'b', old)
    await on.push(repository, IMAGE, 'a', young)
    assert.deepEqual(
      (await versions(on)).map(([name]) => name),
      ['a', 'b'],
    )
    assert.equal((await on.ask('getManifest', repository, IMAGE, nameOf(old))).body.toString(), textOf(old))
    await on.push(repository, IMAGE, 'b', young)
    assert.equal((await on.ask('getManifest', repository, IMAGE, nameOf(old))).body.toString(), textOf(old))
    await assertSumsAgree(on, repository)
  })

  it('given a tag, when the same is pushed again, then nothing is written, and what was said of it stays', async () => {
    await using db = await make()
    const on = imageServices(db)
    const repository = await makeImageRepository(on)
    const image = await makeImage(on, repository, IMAGE)
    await on.push(repository, IMAGE, '1.0', image)
    await on.packages.saveMetadata(repository, KEY, '1.0', [{ key: 'tested', value: 'yes' }], 'bob')
    const before = await on.packages.getVersion(repository, KEY, '1.0')
    assert.equal((await on.push(repository, IMAGE, '1.0', image)).status, 201)
    assert.deepEqual(await on.packages.getVersion(repository, KEY, '1.0'), before)
  })

  it('given a tag, when it is deleted, then it is gone and its digest stays; when that is deleted, then its blobs are loose', async () => {
    await using db = await make()
    const on = imageServices(db)
    const repository = await makeImageRepository(on)
    const image = await makeImage(on, repository, IMAGE)
    await on.push(repository, IMAGE, '1.0', image)
    await forgetLoose(on)
    const name = nameOf(image)
    assert.equal((await on.ask('deleteManifest', repository, IMAGE, '1.0')).status, 202)
    const unknown = await on.refused(on.ask('getManifest', repository, IMAGE, '1.0'), 'getManifest')
    assert.deepEqual([unknown.code, unknown.status], ['MANIFEST_UNKNOWN', 404])
    assert.equal((await on.ask('getManifest', repository, IMAGE, name)).body.toString(), textOf(image))
    const info = await on.packages.get(repository, KEY)
    assert.deepEqual([info.versions, info.latest, info.deletedVersions], [0, '', ['1.0']])
    await assertSumsAgree(on, repository)

    await on.push(repository, IMAGE, '2.0', image)
    assert.equal((await on.ask('deleteManifest', repository, IMAGE, name)).status, 202)
    for (const reference of [name, '2.0'])
      assert.equal(
        (await on.refused(on.ask('getManifest', repository, IMAGE, reference), 'getManifest')).code,
        'MANIFEST_UNKNOWN',
      )
    assert.deepEqual(await livePaths(on, repository), [])
    assert.deepEqual(await looseNames(on), [image.config.digest, image.layers[0]!.digest].sort())
    await assertSumsAgree(on, repository)
    const again = await on.refused(on.ask('deleteManifest', repository, IMAGE, name), 'deleteManifest')
    assert.equal(again.status, 404)
    // Its blobs are still good for a push.
    assert.equal((await on.push(repository, IMAGE, '3.0', image)).status, 201)
  })

  it('given an index of two manifests, when pushed, then it claims all they name, and they cannot go before it', async () => {
    await using db = await make()
    const on = imageServices(db)
    const repository = await makeImageRepository(on)
    const amd = await makeImage(on, repository, IMAGE, { text: 'amd' })
    const arm = await makeImage(on, repository, IMAGE, {
      text: 'arm!',
      config: { os: 'linux', architecture: 'arm64', variant: 'v8' },
    })
    const index = indexOf([descriptorOf(amd), descriptorOf(arm)])
    const early = await on.refused(on.push(repository, IMAGE, '1.0', index))
    assert.deepEqual([early.code, early.status], ['MANIFEST_BLOB_UNKNOWN', 404])
    assert.match(early.message, new RegExp(nameOf(amd)))
    for (const one of [amd, arm]) await on.push(repository, IMAGE, nameOf(one), one)
    await on.push(repository, IMAGE, '1.0', index, { 'content-type': OCI_INDEX })
    await forgetLoose(on)
    const version = await on.packages.getVersion(repository, KEY, '1.0')
    assert.equal(version.artifactPath, '/team/nginx/manifest/1.0/list.manifest.json')
    assert.equal(
      version.sizeBytes,
      [amd, arm].reduce((sum, { config, layers }) => sum + config.size + layers[0]!.size, 0),
    )
    assert.deepEqual(version.extension.platforms, [
      { os: 'linux', architecture: 'amd64' },
      { os: 'linux', architecture: 'arm64', variant: 'v8' },
    ])
    const roles = (await on.packages.filesOf(version)).map(({ role }) => role)
    assert.deepEqual(roles, ['layer', 'config', 'manifest', 'layer', 'config', 'manifest', 'main'])
    const refused = await on.refused(on.ask('deleteManifest', repository, IMAGE, nameOf(amd)), 'deleteManifest')
    assert.deepEqual([refused.code, refused.status], ['UNSUPPORTED', 405])
    assert.match(refused.message, /\[1\.0\].*names it/)

    // Even the package API takes a child's version only: the index keeps the file.
    await on.deletion.deleteVersion(repository, KEY, nameOf(amd), 'alice')
    assert.equal((await on.ask('getManifest', repository, IMAGE, nameOf(amd))).body.toString(), textOf(amd))
    assert.equal(
      (await on.refused(on.ask('deleteManifest', repository, IMAGE, nameOf(amd)), 'deleteManifest')).status,
      405,
    )
    await on.ask('deleteManifest', repository, IMAGE, nameOf(index))
    assert.equal(
      (await on.refused(on.ask('getManifest', repository, IMAGE, nameOf(amd)), 'getManifest')).code,
      'MANIFEST_UNKNOWN',
    )
    assert.equal((await on.ask('getManifest', repository, IMAGE, nameOf(arm))).body.toString(), textOf(arm))
    await assertSumsAgree(on, repository)
  })

  it('given a child that only a tag has, when an index of it is pushed, then the child has a file at its digest that outlives the tag', async () => {
    await using db = await make()
    const on = imageServices(db)
    const repository = await makeImageRepository(on)
    const image = await makeImage(on, repository, IMAGE)
    await on.push(repository, IMAGE, 'child', image)
    const inner = indexOf([descriptorOf(image)])
    await on.push(repository, IMAGE, 'inner', inner)
    await on.push(repository, IMAGE, 'outer', indexOf([descriptorOf(inner, OCI_INDEX)]))
    for (const tag of ['child', 'inner']) await on.deletion.deleteVersion(repository, KEY, tag, 'alice')
    await forgetLoose(on)
    assert.equal((await on.ask('getManifest', repository, IMAGE, nameOf(image))).body.toString(), textOf(image))
    assert.equal((await on.ask('getManifest', repository, IMAGE, nameOf(inner))).headers['content-type'], OCI_INDEX)
    assert.ok((await livePaths(on, repository)).includes(blobPathOf(image.layers[0]!)))
    await assertSumsAgree(on, repository)
  })

  it('given an index of blobs, or a layer with the media type of a manifest, when pushed, then they are blobs', async () => {
    await using db = await make()
    const on = imageServices(db)
    const repository = await makeImageRepository(on)
    const layer = await on.pushBlob(repository, IMAGE, 'cached', 'application/vnd.oci.image.layer.v1.tar')
    const odd = await on.pushBlob(repository, IMAGE, 'odd', OCI_MANIFEST)
    await on.push(repository, IMAGE, 'cache', indexOf([layer]))
    await on.push(repository, IMAGE, 'odd', { ...(await makeImage(on, repository, IMAGE)), layers: [odd] })
    assert.ok((await livePaths(on, repository)).includes(blobPathOf(layer)))
    const refused = await on.refused(on.push(repository, IMAGE, 'x', indexOf([odd])))
    assert.equal(refused.code, 'MANIFEST_BLOB_UNKNOWN')
    assert.match(refused.message, /^The manifest/)
  })

  it('given a manifest as pushed by sha512, when pulled by that, then its bytes come; by sha256 it is not known', async () => {
    await using db = await make()
    const on = imageServices(db)
    const repository = await makeImageRepository(on)
    const layer = await on.pushBlob(repository, IMAGE, 'layer', 'application/x', 'sha512')
    const image = { ...(await makeImage(on, repository, IMAGE)), layers: [layer] }
    const name = nameOf(image, 'sha512')
    const pushed = await on.push(repository, IMAGE, name, image)
    assert.equal(pushed.headers['docker-content-digest'], name)
    assert.equal((await on.ask('getManifest', repository, IMAGE, name)).body.toString(), textOf(image))
    assert.ok((await livePaths(on, repository)).includes(blobPathOf(layer)))
  })

  it('given a manifest that names what is not here, when pushed, then it is refused, naming it, and nothing is written', async () => {
    await using db = await make()
    const on = imageServices(db)
    const repository = await makeImageRepository(on)
    const image = await makeImage(on, repository, IMAGE)
    const absent = { ...image.layers[0]!, digest: nameOf('absent') }
    const refused = await on.refused(on.push(repository, IMAGE, '1.0', { ...image, layers: [absent] }))
    assert.deepEqual([refused.code, refused.status], ['MANIFEST_BLOB_UNKNOWN', 404])
    assert.match(refused.message, new RegExp(absent.digest))
    // Another image of the same repository has it: that is no help.
    const elsewhere = await on.refused(on.push(repository, 'team/other', '1.0', image))
    assert.equal(elsewhere.code, 'MANIFEST_BLOB_UNKNOWN')
    const wrong = { ...image.layers[0]!, size: 99 }
    const size = await on.refused(on.push(repository, IMAGE, '1.0', { ...image, layers: [wrong] }))
    assert.equal(size.code, 'MANIFEST_INVALID')
    assert.match(size.message, /has 5 bytes, not 99/)
    assert.deepEqual([await livePaths(on, repository), await versions(on)], [[], []])
    const foreign = { ...absent, urls: ['https://example.org/x'] }
    assert.equal((await on.push(repository, IMAGE, '1.0', { ...image, layers: [foreign] })).status, 201)
  })

  it('given a loose row whose content the store no longer promises, when a manifest names it, then it is refused', async () => {
    await using db = await make()
    const on = imageServices(db)
    const repository = await makeImageRepository(on)
    const image = await makeImage(on, repository, IMAGE)
    await db.transact((trx) => trx.updateTable('blob').set({ unneeded_since: 1 }).execute())
    const refused = await on.refused(on.push(repository, IMAGE, '1.0', image))
    assert.deepEqual([refused.code, refused.status], ['MANIFEST_BLOB_UNKNOWN', 404])
    assert.match(refused.message, /upload it again/)
    assert.deepEqual(await versions(on), [])
  })

  for (const [title, reference, document, headers, code, status] of [
    ['another digest than its bytes have', nameOf('x'), undefined, {}, 'DIGEST_INVALID', 400],
    ['a digest that is cut short', 'sha256:abcdef', undefined, {}, 'DIGEST_INVALID', 400],
    ['a digest of an unknown algorithm', `md5:${'a'.repeat(32)}`, undefined, {}, 'DIGEST_INVALID', 400],
    ['a tag of 129 characters', 'a'.repeat(129), undefined, {}, 'MANIFEST_INVALID', 400],
    ['a tag that begins with a dot', '.a', undefined, {}, 'MANIFEST_INVALID', 400],
    ['another Content-Type', '1.0', undefined, { 'content-type': DOCKER_MANIFEST }, 'MANIFEST_INVALID', 400],
    ['no body', '1.0', '', {}, 'MANIFEST_INVALID', 400],
    ['5 MiB', '1.0', ' '.repeat(5 * 1024 * 1024), {}, 'SIZE_INVALID', 413],
    ['a length of 1 GiB', '1.0', undefined, { 'content-length': String(1024 ** 3) }, 'SIZE_INVALID', 413],
  ] as const) {
    it(`given ${title}, when pushed, then ${code}`, async () => {
      await using db = await make()
      const on = imageServices(db)
      const repository = await makeImageRepository(on)
      const body = document ?? (await makeImage(on, repository, IMAGE))
      const refused = await on.refused(on.push(repository, IMAGE, reference, body, headers))
      assert.deepEqual([refused.code, refused.status], [code, status])
      assert.deepEqual(await versions(on), [])
    })
  }

  it('given a client that accepts only schema 1, when it pulls, then it is told; with anything else it gets what is there', async () => {
    await using db = await make()
    const on = imageServices(db)
    const repository = await makeImageRepository(on)
    await on.push(repository, IMAGE, '1.0', await makeImage(on, repository, IMAGE))
    const get = (accept: string) => on.ask('getManifest', repository, IMAGE, '1.0', { headers: { accept } })
    const schema1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
    assert.match((await on.refused(get(schema1), 'getManifest')).message, /schema 1 only/)
    for (const accept of [`${schema1}, */*`, DOCKER_MANIFEST, '']) assert.equal((await get(accept)).status, 200)
  })

  it('core.md 15 item 7: given many pushes of one tag at once, when they are done, then one won as a whole, and all are there by digest', async () => {
    await using db = await make()
    const on = imageServices(db)
    const repository = await makeImageRepository(on)
    const images = await Promise.all(
      Array.from({ length: 8 }, (_, n) => makeImage(on, repository, IMAGE, { text: `layer ${n % 4}`, config: { n } })),
    )
    await Promise.all(images.map((image) => on.push(repository, IMAGE, 'latest', image)))
    const { headers, body } = await on.ask('getManifest', repository, IMAGE, 'latest')
    assert.equal(nameOf(body.toString()), headers['docker-content-digest'])
    for (const image of images) {
      assert.equal((await on.ask('getManifest', repository, IMAGE, nameOf(image))).body.toString(), textOf(image))
    }
    const info = await on.packages.get(repository, KEY)
    assert.equal(info.versions, 1)
    await assertSumsAgree(on, repository)
  })

  it('given pushes and deletions of manifests that share a layer, when they happen at once, then what is there is whole', async () => {
    await using db = await make()
    const on = imageServices(db)
    const repository = await makeImageRepository(on)
    const images = await Promise.all(
      Array.from({ length: 6 }, (_, n) => makeImage(on, repository, IMAGE, { text: 'shared', config: { n } })),
    )
    const [kept, ...others] = images
    for (const image of others) await on.push(repository, IMAGE, nameOf(image), image)
    await forgetLoose(on)
    await on.pushBlob(repository, IMAGE, JSON.stringify({ n: 0 }))
    await Promise.all([
      ...others.map((image) => on.ask('deleteManifest', repository, IMAGE, nameOf(image))),
      on.push(repository, IMAGE, 'kept', kept!),
    ])
    const version = await on.packages.getVersion(repository, KEY, 'kept')
    assert.deepEqual(
      (await on.packages.filesOf(version)).map(({ role }) => role),
      ['layer', 'config', 'main'],
    )
    await assertSumsAgree(on, repository)
  })

  it('given a config, when its manifest is pushed, then the version tells platform, creation, labels and layers', async () => {
    await using db = await make()
    const on = imageServices(db)
    const repository = await makeImageRepository(on)
    const config = {
      os: 'linux',
      architecture: 'arm',
      variant: 'v7',
      created: '2026-01-02T03:04:05Z',
      config: { Labels: { a: 'b' } },
    }
    const image = await makeImage(on, repository, IMAGE, { config, annotations: { x: 'y' } })
    await on.push(repository, IMAGE, '1.0', image)
    const { extension } = await on.packages.getVersion(repository, KEY, '1.0')
    assert.deepEqual(extension, {
      ...{
        mediaType: OCI_MANIFEST,
        digest: nameOf(image),
        artifactType: image.config.mediaType,
        annotations: { x: 'y' },
      },
      ...{ config: image.config, layers: image.layers, created: config.created, labels: { a: 'b' } },
      platforms: [{ os: 'linux', architecture: 'arm', variant: 'v7' }],
    })
  })

  it('given a Helm chart, when pushed, then its version tells the appVersion', async () => {
    await using db = await make()
    const on = imageServices(db)
    const repository = await makeImageRepository(on, 'charts', 'OCI')
    const chart = JSON.stringify({ name: 'web', version: '0.1.0', appVersion: '1.16.0' })
    const config = await on.pushBlob(repository, 'web', chart, HELM_CONFIG)
    await on.push(repository, 'web', '0.1.0', { ...(await makeImage(on, repository, 'web')), config })
    const { extension } = await on.packages.getVersion(repository, 'oci://web', '0.1.0')
    assert.equal(extension.appVersion, '1.16.0')
  })

  it('given labels of 1 MiB, when pushed, then the version says less, and the manifest is whole', async () => {
    await using db = await make()
    const on = imageServices(db)
    const repository = await makeImageRepository(on)
    const annotations = { long: 'x'.repeat(1024 * 1024) }
    const image = await makeImage(on, repository, IMAGE, { annotations })
    await on.push(repository, IMAGE, '1.0', image)
    const { extension } = await on.packages.getVersion(repository, KEY, '1.0')
    assert.deepEqual([extension.abridged, extension.annotations], [true, undefined])
    assert.equal((await on.ask('getManifest', repository, IMAGE, '1.0')).body.toString(), textOf(image))
  })
})
