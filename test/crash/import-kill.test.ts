import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RecordInfo } from '../../src/cli/run-progress.ts'
import { connectApi } from '../helpers/api.ts'
import { makePostgres } from '../helpers/databases.ts'
import { createImageRepository } from '../helpers/image-blobs.ts'
import { seedImage } from '../helpers/image-proxies.ts'
import { addressOf, eachDialect, type TestDialect } from '../helpers/local-cluster.ts'
import { until } from '../helpers/real-time.ts'
import { digestOf } from '../helpers/registry.ts'
import { scriptedRegistry } from '../helpers/scripted-registry.ts'
import { startServer } from '../helpers/server-process.ts'
import { tempDir } from '../helpers/temp.ts'

const REPO = 'demo/images'
const IMAGE = 'team/app'
const TAGS = 40
const KILLS = 3
const PATH = '/replication/api/remote/import'

/** A server that dies, and a registry of somebody else. */
async function pair(dialect: TestDialect, signal: AbortSignal) {
  await using started = new AsyncDisposableStack()
  const dir = started.use(await tempDir())
  const postgres = dialect === 'postgres' ? started.use(await makePostgres()) : undefined
  const there = started.use(await scriptedRegistry())
  const env = {
    ENTREPOT_ALLOW_PRIVATE_TARGETS: 'true',
    ...(postgres !== undefined && { ENTREPOT_DATABASE: addressOf(postgres.config) }),
  }
  const options = { name: 'alpha', dataDir: dir.file('alpha'), env }
  let server = await startServer(options, signal)
  started.defer(async () => void (await server.stop()))
  const api = started.use(connectApi(server))
  await createImageRepository(api, REPO)
  const authorization = `Basic ${Buffer.from(`${server.user}:${server.password}`).toString('base64')}`
  const held = started.move()
  return {
    there,
    call: <T = null>(method: string, path: string, body?: unknown): Promise<T> =>
      api.call<T>(method, path, body, signal),
    status: () => api.call<RecordInfo | null>('GET', `${PATH}/status/${REPO}?name=once`, undefined, signal),
    get: async (path: string, repo = REPO) =>
      Buffer.from(
        await (await fetch(`${server.url}/v2/${repo}/${IMAGE}/${path}`, { headers: { authorization } })).arrayBuffer(),
      ),
    async killAndStart() {
      await server.kill()
      server = await startServer({ ...options, port: server.port }, signal)
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

eachDialect('kill -9 while images come from another registry', (dialect) => {
  it('given it dies again and again during an import, when it has ended, then all is here, counted once, and hardly anything came twice', async (t) => {
    await using on = await pair(dialect, t.signal)
    const { there } = on
    const images = Array.from({ length: TAGS }, (_, n) =>
      seedImage(there, IMAGE, `v${n}`, { layers: [randomBytes(64 * 1024)] }),
    )
    const blobsAsked = () => there.asked.filter((asked) => asked.startsWith(`GET /v2/${IMAGE}/blobs/`)).length
    const body = { name: 'once', registry: there.url, packageName: IMAGE }
    await on.call('POST', `${PATH}/create/${REPO}`, body)
    await on.call('POST', `${PATH}/execute/${REPO}?name=once`)
    for (let kill = 1; kill <= KILLS; kill++) {
      await until(async () => blobsAsked() >= kill * 20, t.signal)
      await on.killAndStart()
    }
    await until(async () => (await on.status())?.status !== 'RUNNING', t.signal)
    const record = (await on.status())!
    assert.deepEqual([record.status, record.errorReason], ['SUCCESS', null])
    const { success, skip, failed } = record.replicaOverview!
    assert.deepEqual([success + skip, failed], [TAGS, 0])
    for (const [n, image] of images.entries()) {
      assert.deepEqual(await on.get(`manifests/v${n}`), image.bytes)
      for (const blob of [image.config, ...image.layers])
        assert.deepEqual(await on.get(`blobs/${digestOf(blob)}`), blob)
    }
    // What was on the way when it died: four versions of two contents each.
    assert.ok(blobsAsked() <= TAGS * 2 + KILLS * 8, `${blobsAsked()} blobs were asked for`)
  })

  it('given it dies after blobs of a REMOTE repository came, when an image is pulled again, then its version claims them', async (t) => {
    await using on = await pair(dialect, t.signal)
    const { there } = on
    const configuration = { url: there.url }
    const hub = { projectId: 'demo', name: 'hub', type: 'DOCKER', category: 'REMOTE', configuration }
    await on.call('POST', '/repository/api/repo/create', hub)
    const image = seedImage(there, IMAGE, '1', { layers: [randomBytes(100_000), randomBytes(3_000_000)] })
    await on.get('manifests/1', 'demo/hub')
    for (const blob of [image.config, ...image.layers]) await on.get(`blobs/${digestOf(blob)}`, 'demo/hub')
    await on.killAndStart()
    const asked = there.asked.length
    assert.deepEqual(await on.get('manifests/1', 'demo/hub'), image.bytes)
    for (const blob of [image.config, ...image.layers]) {
      assert.deepEqual(await on.get(`blobs/${digestOf(blob)}`, 'demo/hub'), blob)
    }
    assert.equal(there.asked.length, asked)
    const sizeOf = async () => {
      const query = `packageKey=docker://${IMAGE}`
      const page = await on.call<{ records: { size: number }[] }>(
        'GET',
        `/repository/api/version/page/demo/hub?${query}`,
      )
      return page.records[0]!.size
    }
    const whole = image.config.length + 3_100_000
    for (let tries = 0; (await sizeOf()) < whole; tries++) {
      assert.ok(tries < 200, `it claims ${await sizeOf()} bytes`)
      await sleep(20)
    }
  })
})
