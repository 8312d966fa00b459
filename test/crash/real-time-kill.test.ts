import assert from 'node:assert/strict'
import { it } from 'node:test'
import { connectApi } from '../helpers/api.ts'
import { makePostgres } from '../helpers/databases.ts'
import { addressOf, eachDialect, startCluster } from '../helpers/local-cluster.ts'
import { caughtUp, openRecord, overviewOf, recordsOf } from '../helpers/real-time.ts'
import { createRepository, detailsOf, listFiles, registerCluster, taskOf } from '../helpers/replication-calls.ts'
import { startServer } from '../helpers/server-process.ts'
import { tempDir } from '../helpers/temp.ts'

const REPO = 'proj/files'
const KILLS = 3
const FILES_PER_LIFE = 150

eachDialect('real time, kill -9', (dialect) => {
  it('given a source that is killed again and again while files are uploaded, when it is back, then each is over there and counts once', async (t) => {
    await using dir = await tempDir()
    await using postgres = dialect === 'postgres' ? await makePostgres() : undefined
    await using b = await startCluster({ name: 'beta', dialect })
    const env = {
      ENTREPOT_REPLICATION_RECONNECT_DELAYS_MS: '5,10,20',
      ...(postgres && { ENTREPOT_DATABASE: addressOf(postgres.config) }),
    }
    const options = { name: 'alpha', dataDir: dir.file('alpha'), env }
    let server = await startServer(options, t.signal)
    await using stack = new AsyncDisposableStack()
    stack.defer(async () => void (await server.stop()))
    const at = () => ({ api: connectApi(server) }) as never as typeof b
    await createRepository(at().api, REPO, t.signal)
    const target = { name: 'beta', url: b.url, user: 'admin', password: b.password }
    const clusterId = await registerCluster(at().api, target, t.signal)
    const task = { ...taskOf('live', REPO, [clusterId]), replicaType: 'REAL_TIME' }
    const { key } = await at().api.call<{ key: string }>('POST', '/replication/api/task/create', task, t.signal)
    await caughtUp(at(), key, t.signal)

    const stored = new Set<string>()
    for (let life = 0; life <= KILLS; life++) {
      const { api } = at()
      const upload = async (path: string) => {
        await api.upload(REPO, path, Buffer.from(`content of ${path}`), {}, t.signal)
        stored.add(path)
      }
      const paths = Array.from({ length: FILES_PER_LIFE }, (_, n) => `/life${life}/f${n}`)
      const before = stored.size
      const uploads = Promise.allSettled(paths.map(upload))
      if (life === KILLS) {
        await uploads
        break
      }
      // Somewhere within what is uploaded, sent, acknowledged and checkpointed.
      while (stored.size < before + 20 + 30 * life) await new Promise(setImmediate)
      await server.kill()
      await uploads
      server = await startServer({ ...options, port: server.port }, t.signal)
    }
    await caughtUp(at(), key, t.signal)

    const found = new Set<string>()
    for await (const { fullPath } of listFiles(b.api, REPO, t.signal)) found.add(fullPath)
    for (const path of stored) assert.ok(found.has(path), path)
    assert.equal((await recordsOf(at(), key, t.signal)).length, 1)
    const record = await openRecord(at(), key, t.signal)
    const details = (await detailsOf(at().api, record.id, 1000, t.signal)).records
    assert.deepEqual(new Set(details.map(({ artifactName }) => artifactName)), found)
    assert.equal(details.length, found.size)
    const { success, skip, failed } = await overviewOf(at(), record.id, t.signal)
    assert.deepEqual({ success, skip, failed }, { success: found.size, skip: 0, failed: 0 })
  })
})
