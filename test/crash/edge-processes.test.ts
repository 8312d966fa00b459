import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { connectApi } from '../helpers/api.ts'
import { makePostgres, skipReason } from '../helpers/databases.ts'
import { createPull, edgeEnv, edgeInfo, pullTask, registerEdge, until } from '../helpers/edge-calls.ts'
import { addressOf, startCluster } from '../helpers/local-cluster.ts'
import { createRepository, taskOf, waitForRun } from '../helpers/replication-calls.ts'

const REPO = 'proj/files'

describe('edges of a centre of several processes', { skip: skipReason() }, () => {
  it('given two processes of which one holds the connections of an edge, when runs start, then that one does them', async (t) => {
    await using stack = new AsyncDisposableStack()
    const database = addressOf(stack.use(await makePostgres()).config)
    const first = stack.use(
      await startCluster({ name: 'centre', dialect: 'sqlite', env: { ENTREPOT_DATABASE: database } }),
    )
    const blobs = first.blobsDir
    const env = { ENTREPOT_DATABASE: database, ENTREPOT_BLOBS: blobs }
    const second = stack.use(await startCluster({ name: 'centre', dialect: 'sqlite', env }))
    await createRepository(first.api, REPO, t.signal)
    await first.api.upload(REPO, '/a.txt', Buffer.from('a'), {}, t.signal)
    await registerEdge(first.api, 'shop', t.signal)
    const own = { url: first.url, user: 'admin', password: first.password }
    stack.use(await startCluster({ name: 'my shop', dialect: 'sqlite', env: edgeEnv(own, 'shop') }))
    await until(
      () => edgeInfo(second.api, 'shop', t.signal),
      ({ status }) => status === 'HEALTHY',
      t.signal,
    )
    // Started at the process without connections: whichever takes the job, the other one has them.
    for (let run = 1; run <= 3; run++) {
      const body = taskOf(`push ${run}`, REPO, ['shop'])
      const { key } = await second.api.call<{ key: string }>('POST', '/replication/api/task/create', body, t.signal)
      const record = await waitForRun(first.api, key, { runs: 1, pollMs: 20 }, t.signal)
      assert.deepEqual([record.status, record.errorReason], ['SUCCESS', null])
    }
    using other = connectApi({ url: second.url, user: 'admin', password: first.password })
    const key = await createPull(other, 'pull', REPO, ['shop'], t.signal)
    await until(
      () => pullTask(other, key, t.signal),
      ({ status }) => status === 'COMPLETED',
      t.signal,
    )
  })
})
