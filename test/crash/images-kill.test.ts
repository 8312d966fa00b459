import assert from 'node:assert/strict'
import { createCipheriv, createHash } from 'node:crypto'
import { it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectApi } from '../helpers/api.ts'
import { makePostgres } from '../helpers/databases.ts'
import { faultyProxy } from '../helpers/faulty-proxy.ts'
import { IMAGES, imageCalls } from '../helpers/imaged-clusters.ts'
import { addressOf, eachDialect, type LocalCluster } from '../helpers/local-cluster.ts'
import type { PackageDetail } from '../helpers/packaged-clusters.ts'
import { caughtUp, overviewOf, recordsOf } from '../helpers/real-time.ts'
import { basic, CONFIG, descriptor, LAYER, MANIFEST, manifestOf, type PushedManifest } from '../helpers/registry.ts'
import { detailsOf, registerCluster, taskOf } from '../helpers/replication-calls.ts'
import { type ServerProcess, startServer } from '../helpers/server-process.ts'
import { tempDir } from '../helpers/temp.ts'

const TAGS = 30
const LARGE_CHUNKS = 300
const CHUNK_BYTES = 1024 * 1024

eachDialect('replication of images in real time, kill -9', (dialect) => {
  it('given images that share layers, and a large one, when both sides are killed while they travel, then each is there, with its bytes, and counts once', async (t) => {
    await using dir = await tempDir()
    await using postgres = dialect === 'postgres' ? await makePostgres() : undefined
    const env = {
      ENTREPOT_REPLICATION_RECONNECT_DELAYS_MS: '5,10,20,50',
      ...(postgres && { ENTREPOT_DATABASE: addressOf(postgres.config) }),
    }
    const options = {
      a: { name: 'alpha', dataDir: dir.file('alpha'), env },
      b: { name: 'beta', dataDir: dir.file('beta') },
    }
    const servers = { a: await startServer(options.a, t.signal), b: await startServer(options.b, t.signal) }
    await using stack = new AsyncDisposableStack()
    stack.defer(async () => void (await servers.b.stop()))
    const line = stack.use(await faultyProxy(servers.b.url))
    stack.defer(async () => void (await servers.a.stop()))
    const killAndStart = async (victim: 'a' | 'b') => {
      const { port } = servers[victim]
      await servers[victim].kill()
      servers[victim] = await startServer({ ...options[victim], port }, t.signal)
    }
    const at = (side: 'a' | 'b') =>
      ({ url: servers[side].url, api: connectApi(servers[side]) }) as never as LocalCluster
    const images = imageCalls(t.signal)
    const key = await prepare(servers.a, servers.b, line.url, t.signal)
    await caughtUp(at('a'), key, t.signal)

    // Bytes of the large layer on their way, since the last kill.
    let large = 0
    line.watch(({ path }, bytes) => {
      if (path.includes('/parts/')) large += bytes
      return undefined
    })
    const layers = [Buffer.from('a layer of all'), Buffer.alloc(200_000, 'another')]
    const digests = new Map<string, string>()
    async function push(tag: string): Promise<void> {
      for (;;) {
        try {
          const own = [...layers, Buffer.from(`own layer of ${tag}`)]
          digests.set(tag, (await images.push(at('a'), 'app', tag, { layers: own })).digest)
          return
        } catch (error) {
          // The server is away: a client tries again.
          t.signal.throwIfAborted()
          if (error instanceof assert.AssertionError && !/50\d/.test(error.message)) throw error
          await sleep(50, undefined, { signal: t.signal })
        }
      }
    }
    const tags = Array.from({ length: TAGS }, (_, n) => `1.${n}`)
    digests.set('large', (await pushLarge(servers.a, images, at('a'), t.signal)).digest)
    const pushes = Promise.all(tags.slice(0, TAGS / 2).map(push))
    for (const victim of ['b', 'a'] as const) {
      const before = large
      while (large < before + 20 * CHUNK_BYTES) await sleep(1, undefined, { signal: t.signal })
      await killAndStart(victim)
    }
    await pushes
    const more = Promise.all(tags.slice(TAGS / 2).map(push))
    for (const victim of ['a', 'b'] as const) {
      await sleep(30, undefined, { signal: t.signal })
      await killAndStart(victim)
    }
    await more
    await caughtUp(at('a'), key, t.signal)

    assert.deepEqual(await images.tags(at('b'), 'app'), [...digests.keys()].sort())
    for (const [tag, digest] of digests) {
      assert.equal(await images.digestAt(at('b'), 'app', tag), digest)
      if (tag !== 'large') await images.pull(at('b'), 'app', tag)
    }
    assert.equal(await digestOfLarge(servers.b, t.signal), largeDescriptor().digest)
    const records = await recordsOf(at('a'), key, t.signal)
    assert.equal(records.length, 1)
    const { records: details } = await detailsOf(at('a').api, records[0]!.id, 1000, t.signal)
    const versions = (details as readonly PackageDetail[]).map(({ version }) => version)
    assert.deepEqual(versions.sort(), [...digests.keys()].sort())
    const { success, skip, failed, conflict } = await overviewOf(at('a'), records[0]!.id, t.signal)
    assert.deepEqual({ success, skip, failed, conflict }, { success: TAGS + 1, skip: 0, failed: 0, conflict: 0 })
  })
})

async function prepare(a: ServerProcess, b: ServerProcess, address: string, signal: AbortSignal): Promise<string> {
  const api = connectApi(a)
  const project = { name: 'proj', displayName: 'proj', description: '' }
  await api.call('POST', '/repository/api/project/create', project, signal)
  const made = { projectId: 'proj', name: 'images', type: 'DOCKER', public: false }
  await api.call('POST', '/repository/api/repo/create', made, signal)
  const target = { name: 'beta', url: address, user: b.user, password: b.password }
  const clusterId = await registerCluster(api, target, signal)
  const object = { localRepoName: 'images', remoteProjectId: 'proj', remoteRepoName: 'images', repoType: 'DOCKER' }
  const body = { ...taskOf('task', IMAGES, [clusterId]), replicaType: 'REAL_TIME', replicaTaskObjects: [object] }
  return (await api.call<{ key: string }>('POST', '/replication/api/task/create', body, signal)).key
}

/** The same each time, and nothing that could be packed. */
function* largeChunks(): Generator<Buffer> {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16, 2))
  const zeros = Buffer.alloc(CHUNK_BYTES)
  for (let n = 0; n < LARGE_CHUNKS; n++) yield cipher.update(zeros)
}
let known: { readonly mediaType: string; readonly digest: string; readonly size: number } | undefined
function largeDescriptor() {
  if (known !== undefined) return known
  const hash = createHash('sha256')
  for (const chunk of largeChunks()) hash.update(chunk)
  known = { mediaType: LAYER, digest: `sha256:${hash.digest('hex')}`, size: LARGE_CHUNKS * CHUNK_BYTES }
  return known
}

async function pushLarge(
  { url }: ServerProcess,
  images: ReturnType<typeof imageCalls>,
  where: LocalCluster,
  signal: AbortSignal,
): Promise<PushedManifest> {
  const layer = largeDescriptor()
  const begun = await images.send(where, 'POST', `/v2/${IMAGES}/app/blobs/uploads/`)
  const target = new URL(begun.headers.get('location')!, url)
  target.searchParams.set('digest', layer.digest)
  const headers = { authorization: basic('admin'), 'content-type': 'application/octet-stream' }
  const body = ReadableStream.from(largeChunks())
  const put = await fetch(target, { method: 'PUT', headers, body, duplex: 'half', signal } as RequestInit)
  assert.equal(put.status, 201, await put.text())
  const config = Buffer.from(JSON.stringify({ os: 'linux', architecture: 'amd64', of: 'large' }))
  await images.pushBlob(where, 'app', config)
  const manifest = manifestOf({ mediaType: MANIFEST, config: descriptor(config, CONFIG), layers: [layer] })
  await images.pushManifest(where, 'app', 'large', manifest)
  return manifest
}

async function digestOfLarge({ url }: ServerProcess, signal: AbortSignal): Promise<string> {
  const path = `/v2/${IMAGES}/app/blobs/${largeDescriptor().digest}`
  const answer = await fetch(new URL(path, url), { headers: { authorization: basic('admin') }, signal })
  assert.equal(answer.status, 200)
  const hash = createHash('sha256')
  for await (const chunk of answer.body!) hash.update(chunk)
  return `sha256:${hash.digest('hex')}`
}
