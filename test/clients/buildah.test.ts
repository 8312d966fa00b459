import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { writeLayout } from '../helpers/image-files.ts'
import { needsAsRoot } from '../helpers/programs.ts'
import { shellFiles } from '../helpers/root-filesystem.ts'
import { type ServedRegistry, serveRegistry } from '../helpers/served-registry.ts'

describe('core.md 15 item 9: buildah', needsAsRoot('buildah', 'skopeo', 'ldd'), () => {
  let on: ServedRegistry
  const buildah = (...args: readonly string[]) => on.programs.run('buildah', ...args)
  const skopeo = (...args: readonly string[]) => on.programs.run('skopeo', ...args)

  before(async () => {
    on = await serveRegistry()
    const { host } = new URL(on.server.url)
    await buildah('login', '--tls-verify=false', '-u', 'admin', '-p', on.server.password, host)
    const layers = [{ packing: 'gzip', files: shellFiles() }] as const
    const base = await writeLayout(on.dir.file('base'), 'made', [{ architecture: 'amd64', layers }])
    await skopeo('copy', `oci:${base.path}:made`, `docker://${on.images}/base:1`)
    await writeFile(
      on.dir.file('Dockerfile'),
      [
        `FROM ${on.images}/base:1`,
        ...['RUN echo built >/built', 'COPY Dockerfile /recipe', 'RUN echo again >>/built', 'LABEL team=tools'],
      ].join('\n'),
    )
  })
  after(() => on?.[Symbol.asyncDispose]())

  for (const format of ['oci', 'docker']) {
    it(`given a base that is pulled from here, when an image is built in the format ${format} and pushed, then what was built is pulled again`, async () => {
      const name = `${on.others}/built/${format}:1`
      await buildah('build', '--layers', '--format', format, '--tag', name, on.dir.path)
      await buildah('push', '--digestfile', on.dir.file('digest'), name)
      const seen = JSON.parse(await skopeo('inspect', `docker://${name}`))
      assert.equal(seen.Digest, await readFile(on.dir.file('digest'), 'utf8'))
      assert.equal(seen.Labels.team, 'tools')
      assert.equal(seen.Layers.length, 4)
      await buildah('rmi', '--force', name)
      const container = (await buildah('from', '--pull-always', name)).trim()
      assert.equal(await buildah('run', container, '--', '/bin/sh', '-c', 'read a </built; echo $a'), 'built\n')
      const files = (await buildah('mount', container)).trim()
      assert.equal(await readFile(join(files, 'built'), 'utf8'), 'built\nagain\n')
      await buildah('rm', container)
    })
  }

  it('given an image that was changed by hand, when committed straight to the registry, then it is there', async () => {
    const container = (await buildah('from', 'scratch')).trim()
    await buildah('copy', container, on.dir.file('Dockerfile'), '/recipe')
    await buildah('config', '--label', 'by=hand', container)
    const name = `docker://${on.images}/by/hand:1`
    await buildah('commit', '--rm', container, name)
    assert.equal(JSON.parse(await skopeo('inspect', name)).Labels.by, 'hand')
  })

  it('given images of two platforms, when pushed as one manifest with all, then each platform pulls its own', async () => {
    const list = `${on.images}/platforms`
    await writeFile(on.dir.file('Plain'), 'FROM scratch\nCOPY Dockerfile /recipe\nLABEL both=yes')
    for (const platform of ['linux/amd64', 'linux/arm64']) {
      await buildah('build', '--platform', platform, '--manifest', list, '--file', on.dir.file('Plain'), on.dir.path)
    }
    await buildah('manifest', 'push', '--all', list, `docker://${list}:1`)
    const { manifests } = JSON.parse(await skopeo('inspect', '--raw', `docker://${list}:1`))
    assert.deepEqual(
      manifests.map(({ platform }: { platform: { architecture: string } }) => platform.architecture).toSorted(),
      ['amd64', 'arm64'],
    )
    for (const architecture of ['amd64', 'arm64']) {
      const config = await skopeo('--override-arch', architecture, 'inspect', '--config', `docker://${list}:1`)
      assert.equal(JSON.parse(config).architecture, architecture)
    }
  })

  it('given a build that wants zstd, when pushed, then its layers are zstd and come back whole', async () => {
    const name = `${on.images}/zstd:1`
    await writeFile(on.dir.file('Zstd'), 'FROM scratch\nCOPY Zstd /recipe')
    await buildah('build', '--tag', name, '--file', on.dir.file('Zstd'), on.dir.path)
    await buildah('push', '--compression-format', 'zstd', name)
    const { layers } = JSON.parse(await skopeo('inspect', '--raw', `docker://${name}`))
    assert.match(layers[0].mediaType, /\+zstd$/)
    await buildah('rmi', '--all', '--force')
    await buildah('pull', '--quiet', name)
  })
})
