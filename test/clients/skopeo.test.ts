import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { seededChunks } from '../helpers/blobs.ts'
import { faultyProxy } from '../helpers/faulty-proxy.ts'
import { type Layout, writeLayout } from '../helpers/image-files.ts'
import { eachDialect } from '../helpers/local-cluster.ts'
import { needs } from '../helpers/programs.ts'
import { CONFIG, descriptor, digestOf, MANIFEST, manifestOf } from '../helpers/registry.ts'
import { type ServedRegistry, serveRegistry } from '../helpers/served-registry.ts'
import { textFile } from '../helpers/tar-files.ts'

const V2_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
const V2_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'

describe('core.md 15 item 9: skopeo', needs('skopeo'), () => {
  eachDialect('on', (dialect) => {
    let on: ServedRegistry
    let image: Layout
    let index: Layout
    const skopeo = (...args: readonly string[]) => on.programs.run('skopeo', ...args)
    /** As it is stored, asked by HTTP. */
    const stored = async (repository: string, reference: string) => {
      const name = repository.slice(repository.indexOf('/') + 1)
      const answer = await on.fetch(`/v2/${name}/manifests/${reference}`)
      return {
        status: answer.status,
        type: answer.headers.get('content-type'),
        bytes: Buffer.from(await answer.arrayBuffer()),
      }
    }
    const tagsOf = async (name: string): Promise<readonly string[]> =>
      JSON.parse(await skopeo('list-tags', `docker://${name}`)).Tags
    const push = (layout: Layout, target: string, ...flags: readonly string[]) =>
      skopeo('copy', ...flags, `oci:${layout.path}:made`, `docker://${target}`)

    before(async () => {
      on = await serveRegistry(dialect)
      const random = { name: 'random', sizeBytes: 3_000_000, content: () => seededChunks(1, 3_000_000) }
      const layers = [
        { packing: 'gzip', files: [textFile('etc/motd', 'hello')] },
        { packing: 'zstd', files: [textFile('usr/share/zstd', 'zstandard '.repeat(1_000))] },
        { packing: 'gzip', files: [random] },
      ] as const
      image = await writeLayout(on.dir.file('image'), 'made', [
        { architecture: 'amd64', layers, labels: { team: 'tools' } },
      ])
      index = await writeLayout(on.dir.file('index'), 'made', [
        { architecture: 'amd64', layers },
        { architecture: 'arm64', layers: [layers[0], { packing: 'gzip', files: [textFile('bin/arm', 'arm')] }] },
      ])
      await skopeo('login', '--tls-verify=false', '-u', 'admin', '-p', on.server.password, new URL(on.server.url).host)
    })
    after(() => on?.[Symbol.asyncDispose]())

    it('given an image with gzip and zstd layers, when copied here and back, then manifest and layers are the same', async () => {
      await push(image, `${on.images}/team/tools/web:1.0`)
      const { type, bytes } = await stored(`${on.images}/team/tools/web`, '1.0')
      assert.equal(type, image.mediaType)
      assert.ok(bytes.equals(image.bytes))
      const back = on.dir.file('back')
      await skopeo('copy', `docker://${on.images}/team/tools/web:1.0`, `oci:${back}:made`)
      assert.deepEqual(await blobsOf(back), await blobsOf(image.path))
    })

    it('given an image, when copied to dir:, then manifest and layers are the same', async () => {
      await push(image, `${on.images}/to-dir:1`)
      const target = on.dir.file('as-dir')
      await skopeo('copy', `docker://${on.images}/to-dir:1`, `dir:${target}`)
      assert.ok((await readFile(join(target, 'manifest.json'))).equals(image.bytes))
      for (const { digest } of image.images[0]!.layers) {
        const hex = digest.replace('sha256:', '')
        assert.equal(
          createHash('sha256')
            .update(await readFile(join(target, hex)))
            .digest('hex'),
          hex,
        )
      }
    })

    it('given a dir: copy, when pushed with its digests kept, then it has the digest', async () => {
      const folder = on.dir.file('kept')
      await skopeo('copy', `oci:${image.path}:made`, `dir:${folder}`)
      await skopeo('copy', '--preserve-digests', `dir:${folder}`, `docker://${on.others}/kept:1`)
      assert.ok((await stored(`${on.others}/kept`, image.digest)).bytes.equals(image.bytes))
    })

    it('given an image, when inspected, then tag, digest, labels, layers, raw manifest and config are told', async () => {
      await push(image, `${on.images}/inspected:1`)
      const name = `docker://${on.images}/inspected:1`
      const seen = JSON.parse(await skopeo('inspect', name))
      assert.equal(seen.Digest, image.digest)
      assert.deepEqual(seen.RepoTags, ['1'])
      assert.deepEqual([seen.Labels, seen.Architecture], [{ team: 'tools' }, 'amd64'])
      assert.deepEqual(
        seen.Layers,
        image.images[0]!.layers.map(({ digest }) => digest),
      )
      assert.equal(await skopeo('inspect', '--raw', name), image.bytes.toString())
      assert.equal(JSON.parse(await skopeo('inspect', '--config', name)).architecture, 'amd64')
      const byDigest = await skopeo('inspect', '--raw', `docker://${on.images}/inspected@${image.digest}`)
      assert.equal(byDigest, image.bytes.toString())
      assert.match(
        await on.programs.refused('skopeo', 'inspect', `docker://${on.images}/inspected:2`),
        /manifest unknown/,
      )
    })

    it('given an index of two platforms, when copied with all of them, then it and its images are here, byte for byte', async () => {
      await push(index, `${on.images}/platforms:1`, '--all')
      assert.ok((await stored(`${on.images}/platforms`, '1')).bytes.equals(index.bytes))
      for (const { digest, bytes } of index.images) {
        assert.ok((await stored(`${on.images}/platforms`, digest)).bytes.equals(bytes))
      }
      assert.deepEqual(await tagsOf(`${on.images}/platforms`), ['1'])
      const config = await skopeo(
        '--override-arch',
        'arm64',
        'inspect',
        '--config',
        `docker://${on.images}/platforms:1`,
      )
      assert.equal(JSON.parse(config).architecture, 'arm64')
    })

    it('given an index here, when copied to another repository with and without all, then it is the same index, or the image of one platform', async () => {
      await push(index, `${on.images}/source:1`, '--all')
      await skopeo(
        'copy',
        '--all',
        '--preserve-digests',
        `docker://${on.images}/source:1`,
        `docker://${on.others}/all:1`,
      )
      assert.ok((await stored(`${on.others}/all`, '1')).bytes.equals(index.bytes))
      await skopeo('--override-arch', 'arm64', 'copy', `docker://${on.images}/source:1`, `docker://${on.others}/one:1`)
      assert.ok((await stored(`${on.others}/one`, '1')).bytes.equals(index.images[1]!.bytes))
      await skopeo(
        'copy',
        '--multi-arch',
        'index-only',
        `docker://${on.images}/source:1`,
        `docker://${on.others}/all:2`,
      )
      assert.ok((await stored(`${on.others}/all`, '2')).bytes.equals(index.bytes))
    })

    it('given an image with layers of gzip, when pushed as docker schema 2 and back as OCI, then its layers are the same', async () => {
      const gzip = await writeLayout(on.dir.file('gzip'), 'made', [
        { architecture: 'amd64', layers: [{ packing: 'gzip', files: [textFile('a', 'a')] }] },
      ])
      await push(gzip, `${on.images}/schema:2`, '--format', 'v2s2')
      const { type, bytes } = await stored(`${on.images}/schema`, '2')
      const manifest = JSON.parse(bytes.toString())
      assert.deepEqual([type, manifest.mediaType], [V2_MANIFEST, V2_MANIFEST])
      assert.equal(manifest.layers[0].digest, gzip.images[0]!.layers[0]!.digest)
      await skopeo('copy', '--format', 'oci', `docker://${on.images}/schema:2`, `docker://${on.images}/schema:oci`)
      assert.equal((await stored(`${on.images}/schema`, 'oci')).type, gzip.mediaType)
      const seen = JSON.parse(await skopeo('inspect', `docker://${on.images}/schema:oci`))
      assert.deepEqual(seen.Layers, [gzip.images[0]!.layers[0]!.digest])
    })

    it('given an index with layers of gzip, when pushed as docker schema 2, then it is a manifest list', async () => {
      const layers = (text: string) => [{ packing: 'gzip', files: [textFile('a', text)] }] as const
      const both = await writeLayout(on.dir.file('both'), 'made', [
        { architecture: 'amd64', layers: layers('amd') },
        { architecture: 'arm64', layers: layers('arm') },
      ])
      await push(both, `${on.images}/list:2`, '--all', '--format', 'v2s2')
      const { type, bytes } = await stored(`${on.images}/list`, '2')
      assert.equal(type, V2_LIST)
      assert.equal(JSON.parse(bytes.toString()).manifests.length, 2)
      assert.equal(
        JSON.parse(await skopeo('inspect', '--config', `docker://${on.images}/list:2`)).architecture,
        'amd64',
      )
    })

    it('given schema 1, when pushed, then it is refused', async () => {
      const layers = [{ packing: 'gzip', files: [textFile('a', 'of old')] }] as const
      const old = await writeLayout(on.dir.file('old'), 'made', [{ architecture: 'amd64', layers }])
      const [from, to] = [`oci:${old.path}:made`, `docker://${on.images}/schema:1`]
      const said = await on.programs.refused('skopeo', 'copy', '--format', 'v2s1', from, to)
      assert.match(said, /manifest invalid/)
      assert.equal((await stored(`${on.images}/schema`, '1')).status, 404)
    })

    it('given a plain layer, when pushed, then the client compresses it, and what it pushed is whole', async () => {
      for (const format of ['gzip', 'zstd']) {
        const files = [textFile('plain', `${format} `.repeat(10_000))]
        const plain = await writeLayout(on.dir.file(`plain-${format}`), 'made', [
          { architecture: 'amd64', layers: [{ packing: 'plain', files }] },
        ])
        await push(plain, `${on.images}/plain:${format}`, '--dest-compress-format', format)
        const seen = JSON.parse(await skopeo('inspect', '--raw', `docker://${on.images}/plain:${format}`))
        assert.match(seen.layers[0].mediaType, new RegExp(`tar\\+${format}$`))
        await skopeo('copy', `docker://${on.images}/plain:${format}`, `dir:${on.dir.file(`back-${format}`)}`)
      }
    })

    it('given many tags, when listed whole and page by page, then all are there', async () => {
      await push(image, `${on.images}/many:0`)
      const put = { method: 'PUT', headers: { 'content-type': image.mediaType }, body: image.bytes.toString() }
      const tags = Array.from({ length: 100 }, (_, at) => `1.${at}`)
      const answers = await Promise.all(tags.map((tag) => on.fetch(`/v2/demo/images/many/manifests/${tag}`, put)))
      assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([201]))
      const all = new Set(['0', ...tags])
      assert.deepEqual(new Set(await tagsOf(`${on.images}/many`)), all)
      await using proxy = await faultyProxy(on.server.url)
      proxy.script(({ path }) =>
        path.endsWith('/tags/list') ? { answer: 307, headers: { location: `${path}?n=30` } } : undefined,
      )
      const name = `${new URL(proxy.url).host}/demo/images/many`
      const said = await skopeo('list-tags', '--tls-verify=false', '--creds', on.admin, `docker://${name}`)
      assert.deepEqual(new Set(JSON.parse(said).Tags), all)
      assert.equal(proxy.seen.filter(({ path }) => path.includes('/tags/list?')).length, 4)
    })

    it('given two tags of one image, when one is deleted by skopeo, then the manifest and both tags are gone', async () => {
      for (const tag of ['1', '2']) await push(image, `${on.images}/deleted:${tag}`)
      await skopeo('delete', `docker://${on.images}/deleted:1`)
      for (const reference of ['1', '2', image.digest]) {
        assert.equal((await stored(`${on.images}/deleted`, reference)).status, 404)
      }
      await push(image, `${on.images}/deleted:3`)
      assert.deepEqual(await tagsOf(`${on.images}/deleted`), ['3'])
    })

    it('given images with several tags, when synchronised to a folder and to another repository, then all tags are there with their digests', async () => {
      await push(index, `${on.images}/synced:all`, '--all')
      await push(image, `${on.images}/synced:one`)
      const folder = on.dir.file('synced')
      await skopeo('sync', '--all', '--src', 'docker', '--dest', 'dir', `${on.images}/synced`, folder)
      assert.deepEqual((await readdir(folder)).toSorted(), ['synced:all', 'synced:one'])
      await skopeo('sync', '--all', '--src', 'docker', '--dest', 'docker', `${on.images}/synced`, on.others)
      await skopeo('sync', '--all', '--src', 'dir', '--dest', 'docker', folder, `${on.others}/from-dir`)
      for (const name of [`${on.others}/synced`, `${on.others}/from-dir/synced`]) {
        assert.deepEqual(await tagsOf(name), ['all', 'one'])
        assert.ok((await stored(name, 'all')).bytes.equals(index.bytes))
        assert.ok((await stored(name, 'one')).bytes.equals(image.bytes))
      }
    })

    it('given a signature as cosign keeps it, when skopeo is told of such and copies the image, then it goes with it', async () => {
      await push(image, `${on.images}/signed:1`)
      const payload = Buffer.from(`{"critical":{"image":{"docker-manifest-digest":"${image.digest}"}},"optional":null}`)
      const config = Buffer.from('{"architecture":"","os":"","rootfs":{"type":"layers","diff_ids":[]},"config":{}}')
      const uploads = '/v2/demo/images/signed/blobs/uploads/?digest='
      for (const blob of [payload, config]) {
        const sent = { method: 'POST', body: blob.toString(), headers: { 'content-type': 'application/octet-stream' } }
        assert.equal((await on.fetch(`${uploads}${digestOf(blob)}`, sent)).status, 201)
      }
      const tag = `${image.digest.replace(':', '-')}.sig`
      const annotations = { 'dev.cosignproject.cosign/signature': 'by nobody' }
      const layer = descriptor(payload, 'application/vnd.dev.cosign.simplesigning.v1+json', { annotations })
      const signature = manifestOf({ mediaType: MANIFEST, config: descriptor(config, CONFIG), layers: [layer] })
      const put = { method: 'PUT', headers: { 'content-type': MANIFEST }, body: signature.bytes.toString() }
      assert.equal((await on.fetch(`/v2/demo/images/signed/manifests/${tag}`, put)).status, 201)
      const { host } = new URL(on.server.url)
      await mkdir(on.dir.file('registries.d'), { recursive: true })
      await writeFile(on.dir.file('registries.d/here.yaml'), `docker: {"${host}": {use-sigstore-attachments: true}}`)
      const [from, to] = [`docker://${on.images}/signed:1`, `docker://${on.others}/signed:1`]
      await skopeo('--registries.d', on.dir.file('registries.d'), 'copy', from, to)
      const copied = JSON.parse((await stored(`${on.others}/signed`, tag)).bytes.toString())
      assert.deepEqual(copied.layers, [layer])
    })

    it('given layers that another repository has, when copied there, then they are mounted and not uploaded', async () => {
      await push(image, `${on.images}/mounted:1`)
      const [from, to] = [`docker://${on.images}/mounted:1`, `docker://${on.open}/mounted:1`]
      const said = await on.programs.debug('skopeo', 'copy', from, to)
      assert.equal(said.match(/POST \S+mount=/g)?.length, 3)
      assert.equal(said.match(/PATCH /g)?.length, 1, 'the config only')
      assert.ok((await stored(`${on.open}/mounted`, '1')).bytes.equals(image.bytes))
    })
  })
})

/** Names and content of the blobs of a layout. */
async function blobsOf(path: string): Promise<readonly string[]> {
  const folder = join(path, 'blobs', 'sha256')
  const names = (await readdir(folder)).toSorted()
  for (const name of names) {
    assert.equal(
      createHash('sha256')
        .update(await readFile(join(folder, name)))
        .digest('hex'),
      name,
    )
  }
  return names
}
