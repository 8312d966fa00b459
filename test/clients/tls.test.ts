import assert from 'node:assert/strict'
import { copyFile, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { httpsProxy, ownAuthority } from '../helpers/https-proxy.ts'
import { type Layout, writeLayout } from '../helpers/image-files.ts'
import { needs, needsAsRoot } from '../helpers/programs.ts'
import { type ServedRegistry, serveRegistry } from '../helpers/served-registry.ts'
import { textFile } from '../helpers/tar-files.ts'

describe('a registry behind a proxy with TLS and an authority of its own', needs('skopeo', 'openssl'), () => {
  let on: ServedRegistry
  let image: Layout
  let host = ''
  const held = new AsyncDisposableStack()
  const certificates = () => on.dir.file('certificates')
  const push = (to: string, ...flags: readonly string[]) =>
    ['copy', ...flags, '--dest-creds', on.admin, `oci:${image.path}:made`, `docker://${host}/${to}`] as const

  before(async () => {
    on = held.use(await serveRegistry('sqlite', { ENTREPOT_AUTH_TRUSTED_PROXIES: '127.0.0.1' }))
    await mkdir(certificates())
    const authority = await ownAuthority(on.dir.path)
    await copyFile(authority.caFile, join(certificates(), 'ca.crt'))
    host = held.use(await httpsProxy(on.server.url, authority)).host
    const layers = [
      { packing: 'gzip', files: [textFile('etc/motd', 'hello over TLS')] },
      { packing: 'zstd', files: [textFile('etc/issue', 'more '.repeat(100_000))] },
    ] as const
    image = await writeLayout(on.dir.file('image'), 'made', [{ architecture: 'amd64', layers }])
  })
  after(() => held.disposeAsync())

  it('given no trust in the authority, when skopeo pushes, then it refuses; with --dest-cert-dir it pushes, and pulls the same', async () => {
    assert.match(await on.programs.refused('skopeo', ...push('demo/images/web:1')), /certificate/)
    await on.programs.run('skopeo', ...push('demo/images/web:1', '--dest-cert-dir', certificates()))
    const back = on.dir.file('back')
    const trusting = ['--src-cert-dir', certificates(), '--src-creds', on.admin]
    await on.programs.run('skopeo', 'copy', ...trusting, `docker://${host}/demo/images/web:1`, `oci:${back}:made`)
    const digest = image.digest.replace('sha256:', '')
    assert.ok((await readFile(join(back, 'blobs/sha256', digest))).equals(image.bytes))
  })

  it('given the authority in certs.d, when skopeo logs in, pushes and lists, then nothing else is needed', async () => {
    const trusted = on.dir.file(`.config/containers/certs.d/${host}`)
    await mkdir(trusted, { recursive: true })
    await copyFile(join(certificates(), 'ca.crt'), join(trusted, 'ca.crt'))
    const [user, password] = on.admin.split(':') as [string, string]
    await on.programs.run('skopeo', 'login', '-u', user, '-p', password, host)
    await on.programs.run('skopeo', 'copy', `oci:${image.path}:made`, `docker://${host}/demo/others/web:2`)
    const { Tags } = JSON.parse(await on.programs.run('skopeo', 'list-tags', `docker://${host}/demo/others/web`))
    assert.deepEqual(Tags, ['2'])
  })

  it(
    'given podman and --cert-dir, when an image is pulled and pushed under another name, then it is there',
    needsAsRoot('podman'),
    async () => {
      const trusting = ['--cert-dir', certificates(), '--creds', on.admin]
      await on.programs.run('skopeo', ...push('demo/images/pulled:1', '--dest-cert-dir', certificates()))
      await on.programs.run('podman', 'pull', ...trusting, `${host}/demo/images/pulled:1`)
      await on.programs.run(
        'podman',
        'push',
        ...trusting,
        `${host}/demo/images/pulled:1`,
        `docker://${host}/demo/images/pushed:1`,
      )
      const answer = await on.fetch('/v2/demo/images/pushed/manifests/1')
      assert.equal(answer.status, 200)
      assert.match(
        await on.programs.refused(
          'podman',
          'pull',
          '--creds',
          on.admin,
          `localhost:${host.split(':')[1]}/demo/images/pulled:1`,
        ),
        /certificate/,
      )
    },
  )
})
