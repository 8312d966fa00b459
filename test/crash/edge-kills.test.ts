import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { it } from 'node:test'
import { connectApi } from '../helpers/api.ts'
import { makePostgres } from '../helpers/databases.ts'
import { createPull, edgeEnv, pullTask, registerEdge, until } from '../helpers/edge-calls.ts'
import { addressOf, eachDialect } from '../helpers/local-cluster.ts'
import { createRepository, detailsOf, listFiles, waitForRun } from '../helpers/replication-calls.ts'
import { startServer } from '../helpers/server-process.ts'
import { tempDir } from '../helpers/temp.ts'
import { sha256 } from '../helpers/two-clusters.ts'

const REPO = 'proj/files'
const MIB = 1024 * 1024
const SMALL_FILES = 60

eachDialect('edge pull through kills', (dialect) => {
  it('given a pull in progress, when the edge and then the centre is killed and started again, then it goes on as one run', async (t) => {
    await using stack = new AsyncDisposableStack()
    const dir = stack.use(await tempDir())
    const optionsOf = async (name: string, env: Record<string, string>) => {
      const database = dialect === 'postgres' ? addressOf(stack.use(await makePostgres()).config) : 'sqlite'
      const more = { ENTREPOT_DATABASE: database, ENTREPOT_REPLICATION_PART_SIZE_BYTES: String(MIB), ...env }
      return { name, dataDir: dir.file(name), env: more }
    }
    const ofCentre = await optionsOf('centre', {})
    let centre = await startServer(ofCentre, t.signal)
    stack.defer(async () => void (await centre.stop()))
    const { url, user, password, port } = centre
    using api = connectApi({ url, user, password })
    await createRepository(api, REPO, t.signal)
    const files = new Map<string, Buffer>([['/large.bin', randomBytes(12 * MIB)]])
    for (let n = 0; n < SMALL_FILES; n++) files.set(`/small/${n}.bin`, randomBytes(20_000 + n))
    for (const [path, content] of files) await api.upload(REPO, path, content, {}, t.signal)
    await registerEdge(api, 'shop', t.signal)

    const ofEdge = await optionsOf('shop', edgeEnv({ url, user, password }, 'shop'))
    let edge = await startServer(ofEdge, t.signal)
    stack.defer(async () => void (await edge.stop()))
    const key = await createPull(api, 'to the shop', REPO, ['shop'], t.signal, { rateLimit: 4 * MIB })
    const task = () => pullTask(api, key, t.signal)
    await until(task, ({ replicatedBytes }) => replicatedBytes > 0, t.signal)
    await edge.kill()
    edge = await startServer({ ...ofEdge, port: edge.port }, t.signal)
    await centre.kill()
    centre = await startServer({ ...ofCentre, port }, t.signal)

    const done = await until(task, ({ status }) => status === 'COMPLETED', t.signal)
    assert.deepEqual([done.lastExecutionStatus, done.remoteClusters, done.executionTimes], ['SUCCESS', [], 1])
    const record = await waitForRun(api, key, { runs: 1, pollMs: 20 }, t.signal)
    assert.deepEqual([record.status, record.errorReason], ['SUCCESS', null])
    const details = await detailsOf(api, record.id, 200, t.signal)
    const names = details.records.map(({ artifactName }) => artifactName)
    assert.deepEqual([names.length, new Set(names).size], [files.size, files.size], 'none missing, none twice')
    using far = connectApi(edge)
    const arrived = new Map<string, string | null | undefined>()
    for await (const node of listFiles(far, REPO, t.signal)) arrived.set(node.fullPath, node.sha256)
    assert.deepEqual(arrived, new Map([...files].map(([path, content]) => [path, sha256(content)] as const).sort()))
  })
})
