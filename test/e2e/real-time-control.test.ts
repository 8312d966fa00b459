import assert from 'node:assert/strict'
import { it } from 'node:test'
import { systemClock } from '../../src/app/system-clock.ts'
import { createSystemIds } from '../../src/app/system-ids.ts'
import { systemRandom } from '../../src/app/system-random.ts'
import { createLiveRollOver } from '../../src/tasks/live-roll-over.ts'
import { createLiveTasks } from '../../src/tasks/live-tasks.ts'
import { eachDialect, type LocalCluster } from '../helpers/local-cluster.ts'
import { caughtUp, lagsOf, liveTask, openRecord, overviewOf, recordsOf, toggle, until } from '../helpers/real-time.ts'
import { createRepository, detailsOf, registerCluster, taskOf } from '../helpers/replication-calls.ts'
import { REPO, type TwoClusters, twoClusters } from '../helpers/two-clusters.ts'

const pathsAt = async (clusters: TwoClusters, where: LocalCluster) =>
  (await clusters.files(where)).map(({ path }) => path)
/** Rows of the change log: what was written there. */
const changesAt = async ({ db }: LocalCluster) => {
  const query = db.read.selectFrom('change_log').select((eb) => eb.fn.countAll<number>().as('n'))
  return Number((await query.executeTakeFirstOrThrow()).n)
}

eachDialect('real time, two ways', (dialect) => {
  it('case 60: given mutual REAL_TIME tasks that overwrite, when a file is uploaded on one side, then there is one transfer and silence', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a, b } = clusters
    const overwrite = { setting: { conflictStrategy: 'OVERWRITE' } }
    const there = await liveTask(clusters, overwrite, t.signal)
    await registerCluster(b.api, { name: 'alpha', url: a.url, user: 'admin', password: a.password }, t.signal)
    const sample = taskOf('back', REPO, ['alpha'])
    const body = { ...sample, replicaType: 'REAL_TIME', setting: { ...sample.setting, ...overwrite.setting } }
    const { key: back } = await b.api.call<{ key: string }>('POST', '/replication/api/task/create', body, t.signal)
    await caughtUp(b, back, t.signal)

    await clusters.put(a, '/ping', 'pong')
    await until(async () => (await pathsAt(clusters, b)).length === 1, t.signal)
    await caughtUp(a, there, t.signal)
    await caughtUp(b, back, t.signal)
    assert.deepEqual([await changesAt(a), await changesAt(b)], [1, 1])
    const record = await openRecord(b, back, t.signal)
    const { success, skip, failed } = await overviewOf(b, record.id, t.signal)
    assert.deepEqual({ success, skip, failed }, { success: 0, skip: 0, failed: 0 })

    await clusters.put(b, '/ping', 'changed over there')
    await until(async () => (await clusters.text(a, '/ping')) === 'changed over there', t.signal)
    await caughtUp(b, back, t.signal)
    await caughtUp(a, there, t.signal)
    assert.deepEqual([await changesAt(a), await changesAt(b)], [2, 2])
  })
})

eachDialect('real time, records', (dialect) => {
  it('given a task that is updated while it is live, when its record is looked at, then it closed as it was, and the next one has the new scope', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a, b } = clusters
    const key = await liveTask(clusters, {}, t.signal)
    await clusters.put(a, '/in/1', 'one')
    await caughtUp(a, key, t.signal)
    const sample = taskOf('task 1', REPO, [clusters.clusterId])
    const [object] = sample.replicaTaskObjects
    const body = {
      ...sample,
      key,
      replicaObjectType: 'PATH',
      replicaTaskObjects: [{ ...object, pathConstraints: [{ path: '/in' }] }],
    }
    await a.api.call('POST', '/replication/api/task/update', body, t.signal)
    await clusters.put(a, '/in/2', 'two')
    await clusters.put(a, '/out/3', 'three')
    await caughtUp(a, key, t.signal)
    assert.deepEqual(await pathsAt(clusters, b), ['/in/1', '/in/2'])
    const records = await recordsOf(a, key, t.signal)
    assert.deepEqual(
      records.map(({ status }) => status),
      ['RUNNING', 'SUCCESS'],
    )
    assert.deepEqual(
      await Promise.all(records.map(async ({ id }) => (await overviewOf(a, id, t.signal)).success)),
      [1, 1],
    )
  })

  it('given uploads that go on, when the day changes, then each artifact counts in one of the two records, and none is missing', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a, b } = clusters
    const key = await liveTask(clusters, {}, t.signal)
    const tomorrow = { ...systemClock, now: () => systemClock.now() + 86_400_000 }
    const jobs = { enqueue: async () => undefined }
    const live = createLiveTasks({ clock: systemClock, ids: createSystemIds(systemClock, systemRandom), jobs })
    const rollOver = createLiveRollOver({ db: a.db, clock: tomorrow, live, timeZone: 'UTC' })
    const uploads = Array.from({ length: 60 }, (_, n) => n)
    await Promise.all([...uploads.map((n) => clusters.put(a, `/f${n}`, `content ${n}`)), rollOver.run(t.signal)])
    await clusters.put(a, '/last', 'after it')
    await caughtUp(a, key, t.signal)
    assert.equal((await pathsAt(clusters, b)).length, 61)
    const records = await recordsOf(a, key, t.signal)
    assert.deepEqual(
      records.map(({ status }) => status),
      ['RUNNING', 'SUCCESS'],
    )
    const names = await Promise.all(
      records.map(async ({ id }) =>
        (await detailsOf(a.api, id, 1000, t.signal)).records.map((one) => one.artifactName),
      ),
    )
    assert.deepEqual(names.flat().sort(), [...uploads.map((n) => `/f${n}`), '/last'].sort())
    const successes = await Promise.all(records.map(async ({ id }) => (await overviewOf(a, id, t.signal)).success))
    assert.deepEqual(
      successes,
      names.map(({ length }) => length),
    )
  })

  it('given a task that is deleted while it is live, when files are uploaded, then nothing of it is left and nothing arrives', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a, b } = clusters
    const key = await liveTask(clusters, {}, t.signal)
    await clusters.put(a, '/1', 'one')
    await caughtUp(a, key, t.signal)
    await a.api.call('DELETE', `/replication/api/task/delete/${key}`, undefined, t.signal)
    await clusters.put(a, '/2', 'two')
    const other = await liveTask(
      clusters,
      { name: 'another', replicaObjectType: 'PATH', replicaTaskObjects: onlyPath('/3') },
      t.signal,
    )
    await clusters.put(a, '/3', 'three')
    await caughtUp(a, other, t.signal)
    await until(async () => (await pathsAt(clusters, b)).includes('/3'), t.signal)
    assert.deepEqual(await pathsAt(clusters, b), ['/1', '/3'])
    for (const table of ['live_link', 'exec_link', 'execution_record'] as const) {
      const rows = await a.db.read.selectFrom(table).selectAll().execute()
      assert.equal(rows.length, 1, table)
    }
  })
})

const onlyPath = (path: string) => {
  const [object] = taskOf('', REPO, []).replicaTaskObjects
  return [{ ...object!, pathConstraints: [{ path }] }] as never
}

eachDialect('real time, outages', (dialect) => {
  it('given a target that does not answer, when files are uploaded, then the link tries again, others do not wait, and all arrives', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a, b, line } = clusters
    const key = await liveTask(clusters, {}, t.signal)
    line.script(() => ({ answer: 503 }))
    await a.api
      .call(
        'POST',
        '/replication/api/cluster/update',
        { name: 'beta', url: line.url, username: 'admin', password: b.password, ping: false },
        t.signal,
      )
      .catch(() => undefined)
    const direct = await registerCluster(
      a.api,
      { name: 'gamma', url: b.url, user: 'admin', password: b.password },
      t.signal,
    )
    await toggle(a, key, t.signal)
    await toggle(a, key, t.signal)
    await until(async () => (await lagsOf(a, key, t.signal))[0]?.state === 'RETRY', t.signal)
    await createRepository(a.api, 'proj/other', t.signal)
    const sample = taskOf('other', 'proj/other', [direct])
    const { key: other } = await a.api.call<{ key: string }>(
      'POST',
      '/replication/api/task/create',
      { ...sample, replicaType: 'REAL_TIME' },
      t.signal,
    )
    await clusters.put(a, '/1', 'one')
    await caughtUp(a, other, t.signal)
    const [lag] = await lagsOf(a, key, t.signal)
    assert.equal(lag?.changesBehind, 1)
    await until(async () => (await lagsOf(a, key, t.signal))[0]?.lastError !== null, t.signal)

    line.script(() => undefined)
    await caughtUp(a, key, t.signal)
    assert.deepEqual(await pathsAt(clusters, b), ['/1'])
    assert.equal((await lagsOf(a, key, t.signal))[0]?.lastError, null)
  })

  it('given a target repository that is replaced while the link is off, when it is switched on, then everything is there again', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a, b } = clusters
    await clusters.put(a, '/old', 'old')
    const key = await liveTask(clusters, {}, t.signal)
    await toggle(a, key, t.signal)
    await b.api.call('DELETE', '/repository/api/repo/delete/proj/files?forced=true', undefined, t.signal)
    await clusters.put(a, '/new', 'new')
    await toggle(a, key, t.signal)
    await caughtUp(a, key, t.signal)
    assert.deepEqual(await pathsAt(clusters, b), ['/new', '/old'])
  })

  it('given somebody who changes the target while the link is off, when it is switched on, then what is missing there comes back', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a, b } = clusters
    await clusters.put(a, '/one', 'one')
    await clusters.put(a, '/two', 'two')
    const key = await liveTask(clusters, {}, t.signal)
    await toggle(a, key, t.signal)
    await b.api.call('DELETE', `/repository/api/node/delete/${REPO}/one`, undefined, t.signal)
    await toggle(a, key, t.signal)
    await caughtUp(a, key, t.signal)
    assert.deepEqual(await pathsAt(clusters, b), ['/one', '/two'])
    const record = await openRecord(a, key, t.signal)
    assert.equal((await overviewOf(a, record.id, t.signal)).success, 1)
  })

  it('given a task without backfill, when it is made and files are uploaded, then only these arrive', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a, b } = clusters
    await clusters.put(a, '/before', 'before')
    // Numbered, so that it is known to come before the task.
    await until(
      async () =>
        (await a.db.read.selectFrom('change_log').select('id').where('seq', 'is', null).execute()).length === 0,
      t.signal,
    )
    const key = await liveTask(clusters, { setting: { backfill: false } }, t.signal)
    await clusters.put(a, '/after', 'after')
    await caughtUp(a, key, t.signal)
    await toggle(a, key, t.signal)
    await clusters.put(a, '/while-off', 'too')
    await toggle(a, key, t.signal)
    await caughtUp(a, key, t.signal)
    assert.deepEqual(await pathsAt(clusters, b), ['/after', '/while-off'])
  })

  it('given a local repository that is deleted and made again, when files are uploaded, then the link goes on with it', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a, b } = clusters
    await clusters.put(a, '/one', 'one')
    const key = await liveTask(clusters, {}, t.signal)
    await a.api.call('DELETE', '/repository/api/repo/delete/proj/files?forced=true', undefined, t.signal)
    await createRepository(a.api, REPO, t.signal)
    await clusters.put(a, '/two', 'two')
    await toggle(a, key, t.signal)
    await toggle(a, key, t.signal)
    await caughtUp(a, key, t.signal)
    assert.deepEqual(await pathsAt(clusters, b), ['/one', '/two'])
  })

  it('given FAST_FAIL and a file that the target refuses, when it changes, then the link stops and says why, until it is switched', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a, b } = clusters
    const setting = { errorStrategy: 'FAST_FAIL', conflictStrategy: 'FAST_FAIL' }
    const key = await liveTask(clusters, { setting }, t.signal)
    await clusters.put(b, '/taken', 'theirs')
    await clusters.put(a, '/taken', 'ours')
    await until(async () => (await lagsOf(a, key, t.signal))[0]?.state === 'STOPPED', t.signal)
    assert.match((await lagsOf(a, key, t.signal))[0]?.lastError ?? '', /taken/)
    await clusters.put(a, '/later', 'later')
    const record = await openRecord(a, key, t.signal)
    assert.equal((await overviewOf(a, record.id, t.signal)).failed, 1)
    await toggle(a, key, t.signal)
    const [closed] = await recordsOf(a, key, t.signal)
    assert.equal(closed?.status, 'FAILED')
    assert.match(closed?.errorReason ?? '', /^beta: .*taken/)
    await b.api.call('DELETE', `/repository/api/node/delete/${REPO}/taken`, undefined, t.signal)
    await toggle(a, key, t.signal)
    await caughtUp(a, key, t.signal)
    assert.deepEqual(await pathsAt(clusters, b), ['/later', '/taken'])
  })

  it('given FAST_FAIL and a conflict among what exists, when it is switched on, then the link stops in its back-fill, until it is switched', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a, b } = clusters
    await createRepository(b.api, REPO, t.signal)
    await clusters.put(b, '/taken', 'theirs')
    for (const path of ['/before', '/taken']) await clusters.put(a, path, 'ours')
    const setting = { errorStrategy: 'FAST_FAIL', conflictStrategy: 'FAST_FAIL' }
    const key = await clusters.create({ replicaType: 'REAL_TIME', setting })
    await until(async () => (await lagsOf(a, key, t.signal))[0]?.state === 'STOPPED', t.signal)
    const [lag] = await lagsOf(a, key, t.signal)
    assert.match(lag?.lastError ?? '', /taken.*Delete or rename it there/)
    await b.api.call('DELETE', `/repository/api/node/delete/${REPO}/taken`, undefined, t.signal)
    await toggle(a, key, t.signal)
    await toggle(a, key, t.signal)
    await caughtUp(a, key, t.signal)
    assert.deepEqual(await pathsAt(clusters, b), ['/before', '/taken'])
  })
})
