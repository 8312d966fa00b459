import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Layout, writeLayout } from '../helpers/image-files.ts'
import { needsAsRoot } from '../helpers/programs.ts'
import { type ServedRegistry, serveRegistry } from '../helpers/served-registry.ts'
import { textFile } from '../helpers/tar-files.ts'

const V2_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'

describe('core.md 15 item 9: podman', needsAsRoot('podman', 'skopeo'), () => {
  let on: ServedRegistry
  let image: Layout
  let index: Layout
  const podman = (...args: readonly string[]) => on.programs.run('podman', ...args)
  const skopeo = (...args: readonly string[]) => on.programs.run('skopeo', ...args)
  const digestIn = async (name: string) => JSON.parse(await podman('image', 'inspect', name))[0].Digest as string
  const forget = () => podman('rmi', '--all', '--force')

  before(async () => {
    on = await serveRegistry()
    const { host } = new URL(on.server.url)
    await podman('login', '--tls-verify=false', '-u', 'admin', '-p', on.server.password, host)
    const layers = [
      { packing: 'gzip', files: [textFile('etc/motd', 'hello')] },
      { packing: 'zstd', files: [textFile('usr/share/zstd', 'zstandard '.repeat(1_000))] },
    ] as const
    image = await writeLayout(on.dir.file('image'), 'made', [
      { architecture: 'amd64', layers, labels: { team: 'tools' } },
    ])
    index = await writeLayout(on.dir.file('index'), 'made', [
      { architecture: 'amd64', layers },
      { architecture: 'arm64', layers: [layers[0]] },
    ])
    const small = await writeLayout(on.dir.file('small'), 'made', [{ architecture: 'amd64', layers: [layers[0]] }])
    await skopeo('copy', `oci:${small.path}:made`, `docker://${on.images}/small:1`)
    await skopeo('copy', `oci:${image.path}:made`, `docker://${on.images}/team/web:1`)
    await skopeo('copy', '--all', `oci:${index.path}:made`, `docker://${on.images}/platforms:1`)
  })
  after(() => on?.[Symbol.asyncDispose]())

  it('given an image with gzip and zstd layers, when pulled, then it has the digest and its files are there', async () => {
    const name = `${on.images}/team/web:1`
    await podman('pull', '--quiet', name)
    assert.equal(await digestIn(name), image.digest)
    const files = (await podman('image', 'mount', name)).trim()
    assert.equal(await readFile(join(files, 'etc/motd'), 'utf8'), 'hello')
    assert.equal(await readFile(join(files, 'usr/share/zstd'), 'utf8'), 'zstandard '.repeat(1_000))
    await podman('image', 'unmount', name)
    await podman('pull', '--quiet', `${on.images}/team/web@${image.digest}`)
    assert.match(await on.programs.refused('podman', 'pull', `${on.images}/team/web:2`), /manifest unknown/)
    assert.match(await on.programs.refused('podman', 'pull', `${on.images}/nobody:1`), /name unknown|manifest unknown/)
  })

  it('given an index, when pulled for a platform, then it is the image of that one', async () => {
    for (const [at, architecture] of (['amd64', 'arm64'] as const).entries()) {
      await podman('pull', '--quiet', '--arch', architecture, `${on.images}/platforms:1`)
      const [seen] = JSON.parse(await podman('image', 'inspect', `${on.images}/platforms:1`))
      assert.equal(seen.Architecture, architecture)
      assert.ok([index.digest, index.images[at]!.digest].includes(seen.Digest))
    }
    await podman('pull', '--quiet', '--all-tags', `${on.images}/platforms`)
    await forget()
  })

  for (const [format, mediaType] of [
    ['oci', 'application/vnd.oci.image.manifest.v1+json'],
    ['v2s2', V2_MANIFEST],
  ] as const) {
    it(`given an image from here under another name, when pushed in the format ${format}, then it can be pulled by tag and digest`, async () => {
      await podman('pull', '--quiet', `${on.images}/small:1`)
      const name = `${on.others}/renamed/${format}:latest`
      await podman('tag', `${on.images}/small:1`, name)
      await podman('push', '--quiet', '--format', format, '--digestfile', on.dir.file('digest'), name)
      const digest = await readFile(on.dir.file('digest'), 'utf8')
      const raw = JSON.parse(await skopeo('inspect', '--raw', `docker://${name}`))
      assert.equal(raw.mediaType, mediaType)
      await forget()
      await podman('pull', '--quiet', `${on.others}/renamed/${format}@${digest}`)
      await podman('pull', '--quiet', name)
      assert.equal(await digestIn(name), digest)
      const files = (await podman('image', 'mount', name)).trim()
      assert.equal(await readFile(join(files, 'etc/motd'), 'utf8'), 'hello')
      await podman('image', 'unmount', name)
    })
  }

  it('given a build of several layers, when pushed, changed and pushed again, then both are there and only the change was new', async () => {
    const name = `${on.images}/build`
    await writeFile(on.dir.file('one'), 'one')
    await writeFile(on.dir.file('Dockerfile'), 'FROM scratch\nCOPY one /one\nLABEL step=1')
    await podman('build', '--quiet', '--layers', '--tag', `${name}:1`, on.dir.path)
    await podman('push', '--quiet', `${name}:1`)
    await writeFile(on.dir.file('two'), 'two')
    await writeFile(on.dir.file('Dockerfile'), `FROM ${name}:1\nCOPY two /two\nLABEL step=2`)
    await podman('build', '--quiet', '--layers', '--tag', `${name}:2`, on.dir.path)
    const said = await on.programs.debug('podman', 'push', `${name}:2`)
    assert.match(said, /already (present|exists)/)
    const layersOf = async (tag: string): Promise<readonly string[]> =>
      JSON.parse(await skopeo('inspect', `docker://${name}:${tag}`)).Layers
    const [first, second] = [await layersOf('1'), await layersOf('2')]
    assert.deepEqual(second.slice(0, first.length), first)
    await forget()
    await podman('pull', '--quiet', `${name}:2`)
  })

  it('given a manifest list made here, when pushed with all, then it and both images are there', async () => {
    const list = `${on.images}/made/list:1`
    await podman('manifest', 'create', list)
    await podman('manifest', 'add', '--all', list, `docker://${on.images}/platforms:1`)
    await podman('manifest', 'push', '--all', list, `docker://${list}`)
    const { manifests } = JSON.parse(await skopeo('inspect', '--raw', `docker://${list}`))
    assert.deepEqual(
      manifests.map(({ digest }: { digest: string }) => digest).toSorted(),
      index.images.map(({ digest }) => digest).toSorted(),
    )
    assert.equal(JSON.parse(await podman('manifest', 'inspect', `${on.images}/platforms:1`)).manifests.length, 2)
  })

  it('given images here, when searched for their tags, then all are listed', async () => {
    await podman('tag', (await podman('pull', '--quiet', `${on.images}/small:1`)).trim(), `${on.images}/searched:2.0`)
    await podman('push', '--quiet', `${on.images}/searched:2.0`)
    assert.match(await podman('search', '--list-tags', `${on.images}/searched`), /demo\/images\/searched +2\.0\n/)
  })
})
