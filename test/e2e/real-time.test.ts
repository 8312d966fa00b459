import assert from 'node:assert/strict'
import { it } from 'node:test'
import { seededBytes } from '../helpers/blobs.ts'
import { eachDialect } from '../helpers/local-cluster.ts'
import {
  caughtUp,
  infoOf,
  lagsOf,
  liveTask,
  openRecord,
  overviewOf,
  recordsOf,
  toggle,
  until,
} from '../helpers/real-time.ts'
import { detailsOf } from '../helpers/replication-calls.ts'
import { REPO, twoClusters } from '../helpers/two-clusters.ts'

eachDialect('real time', (dialect) => {
  it('case 28: given a REAL_TIME task, when a file is uploaded, overwritten, gets metadata and is deleted, then all but the deletion arrive', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a, b } = clusters
    await clusters.put(a, '/before.txt', 'was here')
    const key = await liveTask(clusters, {}, t.signal)
    assert.equal(await clusters.text(b, '/before.txt'), 'was here')
    assert.deepEqual(
      await infoOf(a, key, t.signal).then(({ status, lastExecutionStatus, executionTimes }) => [
        status,
        lastExecutionStatus,
        executionTimes,
      ]),
      ['REPLICATING', 'RUNNING', 1],
    )

    await clusters.put(a, '/dir/one.txt', 'first', { colour: 'blue' })
    await until(async () => (await clusters.files(b)).length === 2, t.signal)
    await clusters.put(a, '/dir/one.txt', 'second', { colour: 'blue' })
    await until(async () => (await clusters.text(b, '/dir/one.txt')) === 'second', t.signal)
    const saved = { metadata: { colour: 'red' } }
    await a.api.call('POST', `/repository/api/metadata/${REPO}/dir/one.txt`, saved, t.signal)
    const colour = async () => (await clusters.files(b)).find(({ path }) => path === '/dir/one.txt')?.metadata.colour
    await until(async () => (await colour()) === 'red', t.signal)
    await a.api.call('DELETE', `/repository/api/node/delete/${REPO}/dir/one.txt`, undefined, t.signal)
    await caughtUp(a, key, t.signal)
    assert.equal(await clusters.text(b, '/dir/one.txt'), 'second')

    const record = await openRecord(a, key, t.signal)
    assert.equal(record.endTime, null)
    const overview = await overviewOf(a, record.id, t.signal)
    assert.deepEqual([overview.success, overview.failed, overview.conflict], [2, 0, 0])
    const details = (await detailsOf(a.api, record.id, 100, t.signal)).records
    assert.deepEqual(details.map(({ artifactName, status }) => [artifactName, status]).sort(), [
      ['/before.txt', 'SUCCESS'],
      ['/dir/one.txt', 'SUCCESS'],
    ])
    await assert.rejects(a.api.call('POST', `/replication/api/task/execute/${key}`, undefined, t.signal), /250303/)
  })

  it('case 29: given a REAL_TIME task that is off, when two files are uploaded and it is switched on, then both arrive', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a, b } = clusters
    const key = await clusters.create({ replicaType: 'REAL_TIME', enabled: false })
    const off = await infoOf(a, key, t.signal)
    assert.deepEqual([off.status, off.lastExecutionStatus, off.executionTimes], ['WAITING', null, 0])
    await clusters.put(a, '/1', 'one')
    await clusters.put(a, '/2', 'two')
    await toggle(a, key, t.signal)
    await caughtUp(a, key, t.signal)
    assert.deepEqual(
      (await clusters.files(b)).map(({ path }) => path),
      ['/1', '/2'],
    )

    await toggle(a, key, t.signal)
    const paused = await infoOf(a, key, t.signal)
    assert.deepEqual([paused.status, paused.lastExecutionStatus, paused.enabled], ['WAITING', 'SUCCESS', false])
    assert.deepEqual(
      (await lagsOf(a, key, t.signal)).map(({ state }) => state),
      ['PAUSED'],
    )
    await clusters.put(a, '/3', 'three')
    await clusters.put(a, '/4', 'four')
    assert.deepEqual(
      (await lagsOf(a, key, t.signal)).map(({ changesBehind }) => changesBehind),
      [2],
    )
    await toggle(a, key, t.signal)
    await caughtUp(a, key, t.signal)
    assert.deepEqual(
      (await clusters.files(b)).map(({ path }) => path),
      ['/1', '/2', '/3', '/4'],
    )

    const records = await recordsOf(a, key, t.signal)
    assert.deepEqual(
      records.map(({ status }) => status),
      ['RUNNING', 'SUCCESS'],
    )
    assert.equal((await overviewOf(a, records[0]!.id, t.signal)).success, 2)
    assert.equal((await infoOf(a, key, t.signal)).executionTimes, 2)
  })

  it('case 31: given a REAL_TIME task, when 500 paths are uploaded at once, then the overview equals 500 and nothing is doubled', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a, b } = clusters
    const key = await liveTask(clusters, {}, t.signal)
    const paths = Array.from({ length: 500 }, (_, n) => `/d${n % 7}/f${n}`)
    await Promise.all(paths.map((path) => clusters.put(a, path, `content of ${path}`)))
    await caughtUp(a, key, t.signal)
    assert.equal((await clusters.files(b)).length, 500)
    const record = await openRecord(a, key, t.signal)
    const { success, skip, failed, fileSuccess } = await overviewOf(a, record.id, t.signal)
    assert.deepEqual({ success, skip, failed, fileSuccess }, { success: 500, skip: 0, failed: 0, fileSuccess: 500 })
    const details = (await detailsOf(a.api, record.id, 1000, t.signal)).records
    assert.equal(new Set(details.map(({ artifactName }) => artifactName)).size, 500)
    assert.equal(details.length, 500)
  })

  it('case 31: given one path that is overwritten 50 times, when all is over there, then it is the last one, and counts once', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a, b } = clusters
    const key = await liveTask(clusters, {}, t.signal)
    for (let n = 1; n <= 50; n++) await clusters.put(a, '/same', `version ${n}`)
    await caughtUp(a, key, t.signal)
    assert.equal(await clusters.text(b, '/same'), 'version 50')
    const record = await openRecord(a, key, t.signal)
    assert.equal((await overviewOf(a, record.id, t.signal)).success, 1)
    assert.equal((await detailsOf(a.api, record.id, 10, t.signal)).records.length, 1)
  })

  it('case 32: given changes that were brought over, when the cursor is put back and they come again, then there is one effect', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a, b } = clusters
    const key = await liveTask(clusters, {}, t.signal)
    for (let n = 0; n < 20; n++) await clusters.put(a, `/f${n}`, `content ${n}`)
    await caughtUp(a, key, t.signal)
    const record = await openRecord(a, key, t.signal)
    const before = await overviewOf(a, record.id, t.signal)
    const rows = () =>
      b.db.read
        .selectFrom('change_log')
        .select((eb) => eb.fn.countAll<number>().as('n'))
        .executeTakeFirstOrThrow()
    const written = await rows()

    await a.db.transact(async (trx) => {
      await trx.updateTable('link').set({ acked_seq: 0 }).execute()
      await trx.updateTable('live_link').set({ owner: null, token: 99, state: 'CATCHUP' }).execute()
    })
    await until(async () => (await lagsOf(a, key, t.signal))[0]?.changesBehind !== 0, t.signal)
    await caughtUp(a, key, t.signal)
    assert.deepEqual(await rows(), written)
    const after = await overviewOf(a, record.id, t.signal)
    assert.deepEqual([after.success, after.skip, after.failed], [before.success, before.skip, before.failed])
    assert.equal((await detailsOf(a.api, record.id, 100, t.signal)).records.length, 20)
  })

  it('given a large file under a limit of its rate, when it is on its way, then replicatedBytes tells how far it got', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a, b } = clusters
    const key = await liveTask(clusters, { setting: { rateLimit: 4_000_000 } }, t.signal)
    const content = seededBytes(7, 12_000_000)
    await clusters.put(a, '/large', content)
    const bytesOf = async () => (await openRecord(a, key, t.signal)).replicatedBytes
    await until(async () => (await bytesOf()) > 0, t.signal)
    assert.ok((await bytesOf()) < content.length, 'before it has arrived')
    await caughtUp(a, key, t.signal)
    await until(async () => (await bytesOf()) === content.length, t.signal)
    assert.equal((await clusters.files(b)).length, 1)
  })
})
