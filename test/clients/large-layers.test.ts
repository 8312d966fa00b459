import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { after, before, describe, it } from 'node:test'
import { seededChunks, seededDigest } from '../helpers/blobs.ts'
import { until } from '../helpers/edge-calls.ts'
import { type Layout, writeLayout } from '../helpers/image-files.ts'
import { needsAsRoot } from '../helpers/programs.ts'
import { withDigest } from '../helpers/registry.ts'
import { type ServedRegistry, serveRegistry } from '../helpers/served-registry.ts'
import { textFile } from '../helpers/tar-files.ts'

const MIB = 1024 * 1024
const SIZE = 500 * MIB

describe('images with a layer of 500 MB', needsAsRoot('skopeo', 'podman'), () => {
  let on: ServedRegistry
  let image: Layout
  const pushing = (name: string) =>
    ['copy', '--dest-creds', on.admin, `oci:${image.path}:made`, `docker://${on.images}/${name}`] as const
  /** Bytes of uploads that have not ended. */
  const uploading = () => longestFile(join(on.server.dataDir, 'blobs', '.pushes'))

  before(async () => {
    on = await serveRegistry()
    const random = { name: 'random', sizeBytes: SIZE, content: () => seededChunks(500, SIZE) }
    const layers = [
      { packing: 'gzip', files: [textFile('small', 'small')] },
      { packing: 'stored', files: [random] },
    ] as const
    image = await writeLayout(on.dir.file('large'), 'made', [{ architecture: 'amd64', layers }])
  })
  after(() => on?.[Symbol.asyncDispose]())

  it('given a push, when the server is killed in the middle and starts again, then the next push sends what is missing', async (t) => {
    const pushed = on.programs.begin('skopeo', ...pushing('killed:1'))
    await until(uploading, (bytes) => bytes > 50 * MIB, t.signal)
    await on.kill()
    await assert.rejects(pushed.ended)
    await on.start()
    const said = await on.programs.debug('skopeo', ...pushing('killed:1'))
    assert.match(said, /Skipping blob sha256:[0-9a-f]{64} \(already present\)/)
    assert.equal((await on.fetch(`/v2/demo/images/killed/manifests/${image.digest}`)).status, 200)
  })

  it('given a chunk that was acknowledged, when the server is killed, then the upload goes on after it', async () => {
    const { digest, size } = image.images[0]!.layers[1]!
    const layer = await open(join(image.path, 'blobs', digest.replace(':', '/')))
    const [target, half] = ['/v2/demo/images/resumed/blobs', 250 * MIB]
    const chunk = (start: number, end: number) => ({
      method: 'PATCH',
      headers: {
        'content-type': 'application/octet-stream',
        'content-length': String(end - start),
        'content-range': `${start}-${end - 1}`,
      },
      body: layer.createReadStream({ start, end: end - 1, autoClose: false }),
      duplex: 'half' as const,
    })
    const begun = await on.fetch(`${target}/uploads/`, { method: 'POST' })
    const first = await on.fetch(begun.headers.get('location')!, chunk(0, half))
    assert.deepEqual([first.status, first.headers.get('range')], [202, `0-${half - 1}`])
    await on.kill()
    await on.start()
    const asked = await on.fetch(first.headers.get('location')!)
    assert.deepEqual([asked.status, asked.headers.get('range')], [204, `0-${half - 1}`])
    const second = await on.fetch(asked.headers.get('location')!, chunk(half, size))
    assert.equal(second.status, 202)
    const ended = await on.fetch(withDigest(second.headers.get('location')!, digest), { method: 'PUT' })
    assert.equal(ended.status, 201)
    await layer.close()
    const { headers } = await on.fetch(`${target}/${digest}`, { method: 'HEAD' })
    assert.equal(headers.get('content-length'), String(size))
  })

  it('given a pull that has begun, when the manifest is deleted, then the pull ends well with the same bytes', async (t) => {
    await on.programs.run('skopeo', ...pushing('deleted:1'))
    const folder = on.dir.file('pulled')
    const pulled = on.programs.begin(
      'skopeo',
      'copy',
      '--src-creds',
      on.admin,
      `docker://${on.images}/deleted:1`,
      `dir:${folder}`,
    )
    await until(
      () => longestFile(folder),
      (bytes) => bytes > 50 * MIB,
      t.signal,
    )
    pulled.halt()
    const { status } = await on.fetch(`/v2/demo/images/deleted/manifests/${image.digest}`, { method: 'DELETE' })
    assert.equal(status, 202)
    assert.equal((await on.fetch('/v2/demo/images/deleted/manifests/1')).status, 404)
    assert.equal(pulled.hasEnded(), false)
    pulled.goOn()
    await pulled.ended
    const { digest } = image.images[0]!.layers[1]!
    assert.equal(await digestOfFile(join(folder, digest.replace('sha256:', ''))), digest)
    await rm(folder, { recursive: true })
  })

  it('given the image, when podman pulls it, pushes it elsewhere and pulls that, then its bytes are the same', async () => {
    await on.programs.run('skopeo', ...pushing('podman:1'))
    const podman = (...args: readonly string[]) => on.programs.run('podman', ...args)
    await podman('pull', '--quiet', '--creds', on.admin, `${on.images}/podman:1`)
    await podman('push', '--quiet', '--creds', on.admin, `${on.images}/podman:1`, `docker://${on.others}/podman:2`)
    await podman('rmi', '--all', '--force')
    await podman('pull', '--quiet', '--creds', on.admin, `${on.others}/podman:2`)
    const files = (await podman('image', 'mount', `${on.others}/podman:2`)).trim()
    assert.equal(await digestOfFile(join(files, 'random')), seededDigest(500, SIZE))
    await podman('image', 'unmount', '--all')
    await podman('rmi', '--all', '--force')
  })
})

async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return `sha256:${hash.digest('hex')}`
}
/** 0 without any. */
async function longestFile(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => [])
  const sizes = names.map((name) =>
    stat(join(folder, name)).then(
      ({ size }) => size,
      () => 0,
    ),
  )
  return Math.max(0, ...(await Promise.all(sizes)))
}
