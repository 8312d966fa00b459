import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { connectApi } from '../helpers/api.ts'
import { makePostgres, skipReason } from '../helpers/databases.ts'
import { faultyProxy } from '../helpers/faulty-proxy.ts'
import { addressOf, type TestDialect } from '../helpers/local-cluster.ts'
import {
  createRepository,
  createTask,
  detailsOf,
  executeTask,
  listFiles,
  registerCluster,
  taskOf,
  waitForRun,
} from '../helpers/replication-calls.ts'
import { startServer } from '../helpers/server-process.ts'
import { atFrame, FRAME } from '../helpers/stop-places.ts'
import { tempDir } from '../helpers/temp.ts'

const REPO = 'proj/files'
const FILES = 60
const KEPT = 10

describe('a source that is killed while deletions travel', () => {
  for (const dialect of ['sqlite', 'postgres'] as const) {
    it(
      `given SIGKILL after the target committed them and before the source knows, when started again, then each counts once [${dialect}]`,
      {
        skip: dialect === 'postgres' && skipReason(),
      },
      (t) => killAfterCommit(dialect, t.signal),
    )
  }
})

async function killAfterCommit(dialect: TestDialect, signal: AbortSignal): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const dir = stack.use(await tempDir())
  const env: Record<string, string> = {}
  if (dialect === 'postgres') env.ENTREPOT_DATABASE = addressOf(stack.use(await makePostgres()).config)
  const alpha = { name: 'alpha', dataDir: join(dir.path, 'alpha'), env }
  let a = await startServer(alpha, signal)
  stack.defer(async () => void (await a.stop()))
  const b = await startServer({ name: 'beta', dataDir: join(dir.path, 'beta') }, signal)
  stack.defer(async () => void (await b.stop()))
  const line = stack.use(await faultyProxy(b.url))
  let key = ''
  {
    using api = connectApi(a)
    await createRepository(api, REPO, signal)
    for (let n = 0; n < FILES; n++) await api.upload(REPO, `/gone/${n}`, Buffer.from(`${n}`), {}, signal)
    for (let n = 0; n < KEPT; n++) await api.upload(REPO, `/kept/${n}`, Buffer.from(`${n}`), {}, signal)
    const clusterId = await registerCluster(
      api,
      { name: 'beta', url: line.url, user: b.user, password: b.password },
      signal,
    )
    const sample = taskOf('task', REPO, [clusterId])
    const setting = { ...sample.setting, propagateDelete: true }
    key = await createTask(api, { ...sample, setting }, signal)
    await waitForRun(api, key, { runs: 1, pollMs: 20 }, signal)
    await api.call('DELETE', `/repository/api/node/delete/${REPO}/gone`, undefined, signal)
    const killed = Promise.withResolvers<void>()
    line.script(({ path }) =>
      path.includes('/stream')
        ? {
            at: atFrame('answer', 'before', FRAME.ack, 1),
            reached: async () => {
              await a.kill()
              killed.resolve()
              return 'cut' as const
            },
          }
        : undefined,
    )
    await executeTask(api, key, signal)
    await killed.promise
  }
  line.script(() => undefined)
  a = await startServer({ ...alpha, port: a.port }, signal)
  using api = connectApi(a)
  const record = await waitForRun(api, key, { runs: 2, pollMs: 20 }, signal)
  assert.equal(record.status, 'SUCCESS')
  const overview = `/replication/api/task/record/overview/${record.id}`
  const { success, skip, failed } = await api.call<Record<string, number>>('GET', overview, undefined, signal)
  assert.deepEqual([success, skip, failed], [FILES, KEPT, 0])
  const { records } = await detailsOf(api, record.id, 1_000, signal)
  assert.equal(records.length, FILES)
  assert.ok(records.every(({ status, sha256 }) => status === 'SUCCESS' && sha256 === null))
  using target = connectApi(b)
  const left: string[] = []
  for await (const { fullPath } of listFiles(target, REPO, signal)) left.push(fullPath)
  assert.equal(left.length, KEPT)
}
