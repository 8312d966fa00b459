import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RecordInfo } from '../../src/cli/run-progress.ts'
import { connectApi } from '../helpers/api.ts'
import { makePostgres } from '../helpers/databases.ts'
import { DOCKER_REGISTRY, startDockerRegistry } from '../helpers/docker-registry.ts'
import { faultyProxy } from '../helpers/faulty-proxy.ts'
import { blobCalls, createImageRepository } from '../helpers/image-blobs.ts'
import { addressOf, eachDialect, type TestDialect } from '../helpers/local-cluster.ts'
import { needs } from '../helpers/programs.ts'
import { until } from '../helpers/real-time.ts'
import { digestOf, imageOf } from '../helpers/registry.ts'
import type { Detail, Page } from '../helpers/replication-calls.ts'
import { startServer } from '../helpers/server-process.ts'
import { tempDir } from '../helpers/temp.ts'

const REPO = 'demo/images'
const MIB = 1024 * 1024
const LAYER_BYTES = Number(process.env.DISTRIBUTION_KILL_MIB ?? 160) * MIB
const TAGS = 50

/** A server that dies, a real registry, and a line between them that is looked at. */
async function pair(dialect: TestDialect, signal: AbortSignal) {
  await using started = new AsyncDisposableStack()
  const dir = started.use(await tempDir())
  const postgres = dialect === 'postgres' ? started.use(await makePostgres()) : undefined
  const there = started.use(await startDockerRegistry())
  const line = started.use(await faultyProxy(there.url))
  const env = {
    ENTREPOT_ALLOW_PRIVATE_TARGETS: 'true',
    ...(postgres !== undefined && { ENTREPOT_DATABASE: addressOf(postgres.config) }),
  }
  const options = { name: 'alpha', dataDir: dir.file('alpha'), env }
  let server = await startServer(options, signal)
  started.defer(async () => void (await server.stop()))
  const api = started.use(connectApi(server))
  await createImageRepository(api, REPO)
  const image = blobCalls(api, `${REPO}/nginx`)
  const call = <T = null>(method: string, path: string, body?: unknown): Promise<T> =>
    api.call<T>(method, `/replication/api/remote/distribution/${path}`, body, signal)
  const status = () => call<RecordInfo | null>('GET', `get/runOnceTaskStatus/${REPO}?name=once`)
  const authorization = `Basic ${Buffer.from(`${server.user}:${server.password}`).toString('base64')}`
  const held = started.move()
  return {
    ...{ there, line, call, status },
    async pushBlob(bytes: Buffer) {
      const answer = await image.send('PUT', `${await image.begin()}?digest=${digestOf(bytes)}`, bytes)
      assert.equal(answer.status, 201)
    },
    async pushManifest(tag: string, { bytes, mediaType }: ReturnType<typeof imageOf>) {
      const init = { method: 'PUT', headers: { authorization, 'content-type': mediaType }, body: new Uint8Array(bytes) }
      assert.equal((await fetch(`${server.url}/v2/${REPO}/nginx/manifests/${tag}`, init)).status, 201)
    },
    async killAndStart() {
      await server.kill()
      server = await startServer({ ...options, port: server.port }, signal)
    },
    async begin(versions: readonly string[]) {
      const body = { name: 'once', registry: `${line.url}/team`, packageName: 'nginx', versions }
      await call('POST', `create/runOnceTask/${REPO}`, body)
      await call('POST', `execute/runOnceTask/${REPO}?name=once`)
    },
    async follow() {
      await call('POST', `create/${REPO}`, { configs: [{ name: 'once', registry: `${line.url}/team` }] })
    },
    async ended(): Promise<RecordInfo> {
      await until(async () => (await status())?.status !== 'RUNNING', signal)
      return (await status())!
    },
    details: async ({ id }: RecordInfo) =>
      (
        await api.call<Page<Detail>>(
          'GET',
          `/replication/api/task/record/detail/page/${id}?pageNumber=1&pageSize=1000`,
          undefined,
          signal,
        )
      ).records,
    digestThere: async (tag: string) => {
      const headers = { accept: 'application/vnd.oci.image.manifest.v1+json' }
      const answer = await fetch(`${there.url}/v2/team/nginx/manifests/${tag}`, { method: 'HEAD', headers })
      return answer.headers.get('docker-content-digest')
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

eachDialect('kill -9 during a distribution to a registry', (dialect) => {
  it(
    'given it dies in the middle of a large layer, when started again, then the push goes on, and one detail says so',
    needs(DOCKER_REGISTRY),
    async (t) => {
      await using on = await pair(dialect, t.signal)
      const layer = randomBytes(LAYER_BYTES)
      const config = Buffer.from('{}')
      for (const blob of [layer, config]) await on.pushBlob(blob)
      const manifest = imageOf(config, [layer])
      await on.pushManifest('1.1', manifest)
      const before = on.line.bodyBytes()
      await on.begin(['1.1'])
      // The first part is there, and the second under way.
      await until(async () => on.line.bodyBytes() - before > 100 * MIB, t.signal)
      await on.killAndStart()
      const record = await on.ended()
      assert.deepEqual([record.status, record.errorReason], ['SUCCESS', null])
      const { success, skip, failed } = record.replicaOverview!
      assert.deepEqual([success, skip, failed, (await on.details(record)).length], [1, 0, 0, 1])
      assert.equal(await on.digestThere('1.1'), manifest.digest)
      const sent = on.line.bodyBytes() - before
      assert.ok(sent < 2 * LAYER_BYTES, `${Math.round(sent / MIB)} MiB were sent of ${LAYER_BYTES / MIB}`)
    },
  )

  it(
    'given it dies again and again among 50 tags, when it has ended, then each is there, each has one detail, and the counters are exact',
    needs(DOCKER_REGISTRY),
    async (t) => {
      await using on = await pair(dialect, t.signal)
      const digests = new Map<string, string>()
      for (let n = 0; n < TAGS; n++) {
        const [config, layer] = [Buffer.from(`{"n":${n}}`), randomBytes(64 * 1024)]
        for (const blob of [layer, config]) await on.pushBlob(blob)
        const manifest = imageOf(config, [layer])
        digests.set(`v${n}`, manifest.digest)
        await on.pushManifest(`v${n}`, manifest)
      }
      await on.begin([...digests.keys()])
      for (let kills = 0; kills < 3 && (await on.status())?.status === 'RUNNING'; kills++) {
        await sleep(60 * kills)
        await on.killAndStart()
      }
      const record = await on.ended()
      assert.deepEqual([record.status, record.errorReason], ['SUCCESS', null])
      const { success, skip, failed, conflict } = record.replicaOverview!
      // One that was put there and not counted before the kill is found there.
      assert.deepEqual([success + skip, failed, conflict], [TAGS, 0, 0])
      for (const [tag, digest] of digests) assert.equal(await on.digestThere(tag), digest, tag)
      const details = await on.details(record)
      assert.deepEqual([details.length, details.every(({ status }) => status === 'SUCCESS')], [success, true])
    },
  )

  it(
    'given it follows, when it dies again and again while tags are pushed, then each is there and counts once, and nothing older',
    needs(DOCKER_REGISTRY),
    async (t) => {
      await using on = await pair(dialect, t.signal)
      const push = async (tag: string) => {
        const [config, layer] = [Buffer.from(`{"tag":"${tag}"}`), randomBytes(64 * 1024)]
        for (const blob of [layer, config]) await on.pushBlob(blob)
        const manifest = imageOf(config, [layer])
        await on.pushManifest(tag, manifest)
        return manifest.digest
      }
      await push('old')
      await on.follow()
      const digests = new Map<string, string>()
      for (let n = 0; n < TAGS; n++) {
        digests.set(`v${n}`, await push(`v${n}`))
        if (n % 15 === 14 || n === TAGS - 1) await on.killAndStart()
      }
      for (const [tag, digest] of digests) {
        await until(async () => (await on.digestThere(tag)) === digest, t.signal)
      }
      const counted = async () => {
        const { success = 0, skip = 0 } = (await on.status())?.replicaOverview ?? {}
        return success + skip
      }
      await until(async () => (await counted()) >= TAGS, t.signal)
      const record = (await on.status())!
      const { success, failed, conflict } = record.replicaOverview!
      assert.deepEqual([await counted(), failed, conflict, record.status], [TAGS, 0, 0, 'RUNNING'])
      assert.equal(await on.digestThere('old'), null)
      const details = await on.details(record)
      assert.deepEqual([details.length, details.every(({ status }) => status === 'SUCCESS')], [success, true])
    },
  )
})
