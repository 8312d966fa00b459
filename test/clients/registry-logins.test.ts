import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import type { ContainerProgram } from '../helpers/container-programs.ts'
import { type Layout, writeLayout } from '../helpers/image-files.ts'
import { needsAsRoot } from '../helpers/programs.ts'
import { type ServedRegistry, serveRegistry } from '../helpers/served-registry.ts'
import { textFile } from '../helpers/tar-files.ts'

const PROGRAMS: readonly ContainerProgram[] = ['skopeo', 'podman', 'buildah']

describe('logins of skopeo, podman and buildah', needsAsRoot(...PROGRAMS), () => {
  let on: ServedRegistry
  let image: Layout
  const host = () => new URL(on.server.url).host
  const push = (target: string, ...flags: readonly string[]) =>
    ['copy', ...flags, `oci:${image.path}:made`, `docker://${target}`] as const

  before(async () => {
    on = await serveRegistry()
    const layers = [{ packing: 'gzip', files: [textFile('etc/motd', 'hello')] }] as const
    image = await writeLayout(on.dir.file('image'), 'made', [{ architecture: 'amd64', layers }])
    for (const repository of [on.images, on.open]) {
      await on.programs.run('skopeo', ...push(`${repository}/team/web:1`, '--dest-creds', on.admin))
    }
  })
  after(() => on?.[Symbol.asyncDispose]())

  for (const program of PROGRAMS) {
    it(`given a password, when ${program} logs in and out, then images are there in between only`, async () => {
      const look = ['inspect', `docker://${on.images}/team/web:1`] as const
      const [user, password] = on.reader.split(':') as [string, string]
      assert.match(await on.programs.refused('skopeo', ...look), /unauthorized|authentication required/i)
      await on.programs.run(program, 'login', '--tls-verify=false', '-u', user, '-p', password, host())
      assert.equal((await on.programs.run(program, 'login', '--get-login', host())).trim(), user)
      await on.programs.run('skopeo', ...look)
      await on.programs.run(program, 'logout', host())
      assert.match(await on.programs.refused('skopeo', ...look), /unauthorized|authentication required/i)
    })

    it(`given a wrong password, when ${program} logs in, then it is refused and nothing is kept`, async () => {
      const login = ['login', '--tls-verify=false', '-u', 'admin', '-p', 'wrong', host()]
      assert.match(await on.programs.refused(program, ...login), /invalid username\/password/i)
      const kept = await readFile(on.programs.loginsFile, 'utf8').catch(() => '{}')
      assert.equal(kept.includes(host()), false)
    })
  }

  it('given the token of a user, when it is used as the password, then images are pulled', async () => {
    const made = await on.fetch('/auth/api/user/token/reader/ci', { method: 'POST' })
    const { id } = ((await made.json()) as { data: { id: string } }).data
    const said = await on.programs.run(
      'skopeo',
      'inspect',
      '--creds',
      `reader:${id}`,
      `docker://${on.images}/team/web:1`,
    )
    assert.equal(JSON.parse(said).Digest, image.digest)
  })

  it('given nobody, when images are asked for, then those of a public repository are pulled and no other', async () => {
    const inspected = await on.programs.run('skopeo', 'inspect', '--no-creds', `docker://${on.open}/team/web:1`)
    assert.equal(JSON.parse(inspected).Digest, image.digest)
    const copied = on.dir.file('anonymous')
    await on.programs.run('skopeo', 'copy', '--src-no-creds', `docker://${on.open}/team/web:1`, `dir:${copied}`)
    await on.programs.run('podman', 'pull', '--quiet', `${on.open}/team/web:1`)
    await on.programs.run('buildah', 'pull', '--quiet', `${on.open}/team/web:1`)
    const other = `${on.images}/team/web:1`
    assert.match(
      await on.programs.refused('skopeo', 'inspect', '--no-creds', `docker://${other}`),
      /unauthorized|authentication required/i,
    )
    assert.match(await on.programs.refused('podman', 'pull', other), /unauthorized|authentication required/i)
    assert.match(await on.programs.refused('buildah', 'pull', other), /unauthorized|authentication required/i)
  })

  it('given nobody, when an image is pushed to a public repository, then it is refused', async () => {
    const said = await on.programs.refused('skopeo', ...push(`${on.open}/team/web:2`, '--dest-no-creds'))
    assert.match(said, /unauthorized|authentication required|denied/i)
  })

  it('given a user who may read only, when images are pulled, pushed and deleted, then only the pull succeeds', async () => {
    const name = `docker://${on.images}/team/web`
    const look = ['inspect', '--creds', on.reader] as const
    assert.equal(JSON.parse(await on.programs.run('skopeo', ...look, `${name}:1`)).Digest, image.digest)
    const pushed = await on.programs.refused('skopeo', ...push(`${on.images}/team/new:2`, '--dest-creds', on.reader))
    assert.match(pushed, /denied|unauthorized/i)
    const tagged = await on.programs.refused('skopeo', ...push(`${on.images}/team/web:2`, '--dest-creds', on.reader))
    assert.match(tagged, /denied|unauthorized/i)
    assert.match(
      await on.programs.refused('skopeo', 'delete', '--creds', on.reader, `${name}:1`),
      /denied|unauthorized/i,
    )
    const tags = JSON.parse(await on.programs.run('skopeo', 'list-tags', '--creds', on.admin, name)).Tags
    assert.deepEqual(tags, ['1'])
  })
})
