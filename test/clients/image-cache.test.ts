import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { DOCKER_REGISTRY, type DockerRegistry, startDockerRegistry } from '../helpers/docker-registry.ts'
import { type Layout, writeLayout } from '../helpers/image-files.ts'
import { needsAsRoot } from '../helpers/programs.ts'
import { type ServedRegistry, serveRegistry } from '../helpers/served-registry.ts'
import { textFile } from '../helpers/tar-files.ts'
import { type TokenService, tokenService } from '../helpers/token-service.ts'

const LOGIN = { username: 'puller', password: 'p:ss/w+rd' }

describe('a cache of docker-registry', needsAsRoot(DOCKER_REGISTRY, 'skopeo', 'podman'), () => {
  let on: ServedRegistry
  let tokens: TokenService
  let upstream: DockerRegistry
  let index: Layout
  const skopeo = (...args: readonly string[]) => on.programs.run('skopeo', ...args)
  const repository = (name: string) => `${new URL(on.server.url).host}/demo/${name}`
  async function create(name: string, category: string, configuration: object): Promise<void> {
    const body = JSON.stringify({ projectId: 'demo', name, type: 'DOCKER', category, public: true, configuration })
    const headers = { 'content-type': 'application/json' }
    const answer = await on.fetch('/repository/api/repo/create', { method: 'POST', headers, body })
    assert.equal(answer.status, 200, await answer.text())
  }

  before(async () => {
    on = await serveRegistry('sqlite', { ENTREPOT_ALLOW_PRIVATE_TARGETS: 'true' })
    tokens = await tokenService(LOGIN.username, LOGIN.password)
    upstream = await startDockerRegistry({ tokens })
    const layers = (text: string) => [
      { packing: 'gzip' as const, files: [textFile('etc/motd', 'hello')] },
      { packing: 'gzip' as const, files: [textFile('etc/name', text)] },
    ]
    index = await writeLayout(on.dir.file('index'), 'made', [
      { architecture: 'amd64', layers: layers('amd64') },
      { architecture: 'arm64', layers: layers('arm64') },
    ])
    const creds = ['--dest-tls-verify=false', '--dest-creds', `${LOGIN.username}:${LOGIN.password}`]
    for (const name of ['team/web:1', 'team/other:1']) {
      await skopeo('copy', '--all', ...creds, `oci:${index.path}:made`, `docker://${upstream.host}/${name}`)
    }
    await create('hub', 'REMOTE', { url: upstream.url, credentials: LOGIN })
    await create('all', 'VIRTUAL', { repositoryList: [{ name: 'images' }, { name: 'hub' }] })
  })
  after(async () => {
    await on?.[Symbol.asyncDispose]()
    await upstream?.[Symbol.asyncDispose]()
    await tokens?.[Symbol.asyncDispose]()
  })

  it('given an index upstream, when skopeo copies all of it and podman one platform, then later pulls need no upstream', async () => {
    const name = `${repository('hub')}/team/web:1`
    await skopeo('copy', '--all', `docker://${name}`, `oci:${on.dir.file('all')}:made`)
    assert.equal(await skopeo('inspect', '--raw', `docker://${name}`), index.bytes.toString())
    await upstream.kill()
    await on.programs.run('podman', 'pull', '--quiet', '--arch', 'arm64', name)
    const [seen] = JSON.parse(await on.programs.run('podman', 'image', 'inspect', name))
    assert.equal(seen.Architecture, 'arm64')
    await skopeo('copy', '--all', `docker://${name}`, `oci:${on.dir.file('again')}:made`)
    assert.equal(await skopeo('inspect', '--raw', `oci:${on.dir.file('again')}:made`), index.bytes.toString())
    await upstream.start()
  })

  it('given images here and upstream, when asked of the repository that shows both, then both are pulled and none is pushed', async () => {
    const pushed = `${on.images}/team/own:1`
    await skopeo('copy', '--all', '--dest-creds', on.admin, `oci:${index.path}:made`, `docker://${pushed}`)
    const as = ['--creds', on.admin] as const
    for (const name of ['own', 'other']) {
      const raw = await skopeo('inspect', '--raw', ...as, `docker://${repository('all')}/team/${name}:1`)
      assert.equal(raw, index.bytes.toString())
      const { Tags: tags } = JSON.parse(await skopeo('list-tags', ...as, `docker://${repository('all')}/team/${name}`))
      assert.deepEqual(tags, ['1'])
    }
    for (const name of ['all', 'hub']) {
      const to = ['--dest-creds', on.admin, `oci:${index.path}:made`, `docker://${repository(name)}/team/new:1`]
      assert.notEqual(await on.programs.refused('skopeo', 'copy', ...to), '')
    }
  })
})
