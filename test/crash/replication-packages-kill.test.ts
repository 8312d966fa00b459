import assert from 'node:assert/strict'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Api, connectApi } from '../helpers/api.ts'
import { endOfRun } from '../helpers/complete-run.ts'
import { makePostgres } from '../helpers/databases.ts'
import { faultyProxy } from '../helpers/faulty-proxy.ts'
import { addressOf, eachDialect } from '../helpers/local-cluster.ts'
import type { PackageDetail } from '../helpers/packaged-clusters.ts'
import {
  createTask,
  type Detail,
  overviewOf,
  type Page,
  registerCluster,
  taskOf,
} from '../helpers/replication-calls.ts'
import { type ServerProcess, startServer } from '../helpers/server-process.ts'
import { atFrame, FRAME, type StopPlace } from '../helpers/stop-places.ts'
import { tempDir } from '../helpers/temp.ts'

const REPO = 'proj/packages'
const PROGRAM = fileURLToPath(new URL('../helpers/server-with-rds.ts', import.meta.url))
const VERSIONS = 12
const ENDS_WITHIN_MS = 60_000

const PLACES: readonly { readonly name: string; readonly victim: 'a' | 'b'; readonly place: () => StopPlace }[] = [
  {
    name: 'the source, between contents of a version and the version',
    victim: 'a',
    place: () => atFrame('request', 'before', FRAME.version, 3),
  },
  {
    name: 'the target, in the middle of a version',
    victim: 'b',
    place: () => atFrame('request', 'after', FRAME.version, 5),
  },
  {
    name: 'the source, after the target committed versions, before it knows',
    victim: 'a',
    place: () => atFrame('answer', 'before', FRAME.ack, 1),
  },
]

eachDialect('replication of packages, kill -9', (dialect) => {
  for (const { name, victim, place } of PLACES) {
    it(`given a run of versions, when ${name} is killed, then each version is there whole, once, with one detail`, async (t) => {
      await using dir = await tempDir()
      await using postgres = dialect === 'postgres' ? await makePostgres() : undefined
      const env = { ENTREPOT_REPLICATION_BATCH_FILES: '6', ENTREPOT_REPLICATION_RECONNECT_DELAYS_MS: '5,10,20,50' }
      const database = postgres && { ENTREPOT_DATABASE: addressOf(postgres.config) }
      const alpha = { name: 'alpha', dataDir: dir.file('alpha'), program: PROGRAM, env: { ...env, ...database } }
      const beta = { name: 'beta', dataDir: dir.file('beta'), program: PROGRAM }
      const servers = { a: await startServer(alpha, t.signal), b: await startServer(beta, t.signal) }
      await using stack = new AsyncDisposableStack()
      stack.defer(async () => void (await servers.b.stop()))
      const line = stack.use(await faultyProxy(servers.b.url))
      stack.defer(async () => void (await servers.a.stop()))

      const key = await prepare(servers.a, servers.b, line.url, t.signal)
      const killed = Promise.withResolvers<void>()
      let done = false
      line.script(({ path }) => {
        if (done || !path.includes('/stream')) return undefined
        done = true
        const reached = async () => {
          await servers[victim].kill()
          killed.resolve()
          return 'cut' as const
        }
        return { at: place(), reached }
      })
      await connectApi(servers.a).call('POST', `/replication/api/task/toggle/status/${key}`, undefined, t.signal)
      await killed.promise
      const { port } = servers[victim]
      servers[victim] = await startServer({ ...(victim === 'a' ? alpha : beta), port }, t.signal)

      const a = connectApi(servers.a)
      const record = await endOfRun(a, key, ENDS_WITHIN_MS, t.signal)
      assert.equal(record.status, 'SUCCESS', record.errorReason ?? '')
      const { success, skip, failed } = await overviewOf(a, record.id, t.signal)
      assert.deepEqual({ success, skip, failed }, { success: VERSIONS, skip: 0, failed: 0 })
      const details = await a.call<Page<Detail & PackageDetail>>(
        ...([
          'GET',
          `/replication/api/task/record/detail/page/${record.id}?pageSize=1000`,
          undefined,
          t.signal,
        ] as const),
      )
      assert.deepEqual(details.records.map(({ version }) => version).sort(), names().sort())
      for (const version of names()) {
        assert.deepEqual(await filesAt(servers.b, version), [`main ${version}`, `notes ${version}`])
      }
    })
  }
})

const names = () => Array.from({ length: VERSIONS }, (_, n) => `1.${n}.0`)
const headersOf = (api: Api) => ({ authorization: api.authorization })

async function prepare(a: ServerProcess, b: ServerProcess, address: string, signal: AbortSignal): Promise<string> {
  const api = connectApi(a)
  const project = { name: 'proj', displayName: 'proj', description: '' }
  await api.call('POST', '/repository/api/project/create', project, signal)
  const made = { projectId: 'proj', name: 'packages', type: 'RDS', public: true }
  await api.call('POST', '/repository/api/repo/create', made, signal)
  for (const version of names()) {
    const url = `${a.url}/rds/${REPO}/lib/${version}?notes=${encodeURIComponent(`notes ${version}`)}`
    const answer = await fetch(url, { method: 'PUT', body: `main ${version}`, headers: headersOf(api), signal })
    assert.equal(answer.status, 201)
  }
  const target = { name: 'beta', url: address, user: b.user, password: b.password }
  const clusterId = await registerCluster(api, target, signal)
  const sample = taskOf('task', REPO, [clusterId])
  const object = { localRepoName: 'packages', remoteProjectId: 'proj', remoteRepoName: 'packages', repoType: 'RDS' }
  return createTask(api, { ...sample, replicaTaskObjects: [object], enabled: false } as never, signal)
}

async function filesAt(server: ServerProcess, version: string): Promise<string[]> {
  const headers = headersOf(connectApi(server))
  const read = async (query: string) =>
    (await fetch(`${server.url}/rds/${REPO}/lib/${version}${query}`, { headers })).text()
  return [await read(''), await read('?file=notes')]
}
