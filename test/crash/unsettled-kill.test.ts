import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Api, connectApi } from '../helpers/api.ts'
import { faultyProxy } from '../helpers/faulty-proxy.ts'
import { allDetails, loseResults } from '../helpers/lost-results.ts'
import {
  createRepository,
  createTask,
  executeTask,
  listFiles,
  registerCluster,
  taskOf,
  waitForRun,
} from '../helpers/replication-calls.ts'
import { startServer } from '../helpers/server-process.ts'
import { tempDir } from '../helpers/temp.ts'

const REPO = 'demo/files'
const FILES = 20
const GIVES_UP_SOON = { ENTREPOT_REPLICATION_LINK_TIMEOUT_MS: '2000', ENTREPOT_REPLICATION_BATCH_FILES: '2' }
const POLL_MS = 20

const pathsAt = async (api: Api, signal: AbortSignal) => {
  const paths: string[] = []
  for await (const { fullPath } of listFiles(api, REPO, signal)) paths.push(fullPath)
  return paths
}

describe('SIGKILL of a source whose results got lost', () => {
  it('given a target that took files and stays away, when the source is killed, gives up and executes again, then each artifact has one detail', async (t) => {
    const { signal } = t
    await using dir = await tempDir()
    const alpha = { name: 'alpha', dataDir: dir.file('alpha'), env: GIVES_UP_SOON }
    await using b = await startServer({ name: 'beta', dataDir: dir.file('beta') }, signal)
    await using line = await faultyProxy(b.url)
    using there = connectApi(b)
    await createRepository(there, REPO, signal)
    const first = await startServer(alpha, signal)
    using before = connectApi(first)
    await createRepository(before, REPO, signal)
    const all = Array.from({ length: FILES }, (_, n) => `/f${String(n).padStart(2, '0')}`)
    for (const path of all) await before.upload(REPO, path, Buffer.from(path), {}, signal)
    const address = { name: 'beta', url: line.url, user: b.user, password: b.password }
    const clusterId = await registerCluster(before, address, signal)
    const { lost } = loseResults({ line }, 0, async () => (await pathsAt(there, signal)).length >= 6, signal)
    const key = await createTask(before, taskOf('task', REPO, [clusterId]), signal)
    await lost
    await first.kill()

    await using second = await startServer({ ...alpha, port: first.port }, signal)
    using after = connectApi(second)
    assert.equal((await waitForRun(after, key, { runs: 1, pollMs: POLL_MS }, signal)).status, 'FAILED')
    line.script(() => undefined)
    await executeTask(after, key, signal)
    assert.equal((await waitForRun(after, key, { runs: 2, pollMs: POLL_MS }, signal)).status, 'SUCCESS')
    const details = await allDetails({ api: after }, key, signal)
    assert.deepEqual(details, Object.fromEntries(all.map((path) => [path, ['SUCCESS']])))
    assert.deepEqual(await pathsAt(there, signal), all)
  })
})
