import assert from 'node:assert/strict'
import { it } from 'node:test'
import { systemClock } from '../../src/app/system-clock.ts'
import { createSystemIds } from '../../src/app/system-ids.ts'
import { systemRandom } from '../../src/app/system-random.ts'
import { mapConcurrent } from '../../src/core/concurrency.ts'
import { createLiveRollOver } from '../../src/tasks/live-roll-over.ts'
import { createLiveTasks } from '../../src/tasks/live-tasks.ts'
import { eachDialect, type LocalCluster } from '../helpers/local-cluster.ts'
import { poisonedLine } from '../helpers/poisoned-line.ts'
import { caughtUp, lagsOf, liveTask, openRecord, overviewOf, recordsOf, until } from '../helpers/real-time.ts'
import { createRepository, detailsOf, listFiles, taskOf } from '../helpers/replication-calls.ts'
import { REPO, type TwoClusters, twoClusters } from '../helpers/two-clusters.ts'

const pathsAt = async (clusters: TwoClusters, where: LocalCluster) =>
  (await clusters.files(where)).map(({ path }) => path)
const objectOf = (repository: string) => taskOf('', repository, []).replicaTaskObjects[0]!
const update = (clusters: TwoClusters, key: string, changes: object, signal: AbortSignal) =>
  clusters.a.api.call(
    'POST',
    '/replication/api/task/update',
    { ...taskOf('task 1', REPO, [clusters.clusterId]), key, ...changes },
    signal,
  )
const isStream = ({ path }: { readonly path: string }) => path.endsWith('/stream')

eachDialect('real time, lost followers', (dialect) => {
  it('given a claim whose answer was lost, when a file is uploaded, then the link is followed all the same', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a, b } = clusters
    const key = await liveTask(clusters, {}, t.signal)
    await a.db.transact((trx) =>
      trx
        .updateTable('live_link')
        .set((eb) => ({ token: eb('token', '+', 1) }))
        .execute(),
    )
    await clusters.put(a, '/one', 'one')
    await caughtUp(a, key, t.signal)
    assert.deepEqual(await pathsAt(clusters, b), ['/one'])
  })

  it('given a repository that leaves a task and comes back, when files are uploaded, then the target takes them from the new link', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a, b } = clusters
    await createRepository(a.api, 'proj/other', t.signal)
    const both = { replicaTaskObjects: [objectOf(REPO), objectOf('proj/other')] }
    const key = await liveTask(clusters, both, t.signal)
    // As after a long life.
    await a.db.transact((trx) =>
      trx
        .updateTable('live_link')
        .set((eb) => ({ token: eb('token', '+', 2000), owner: null, lease_until: 0 }))
        .execute(),
    )
    await clusters.put(a, '/one', 'one')
    await caughtUp(a, key, t.signal)
    await update(clusters, key, { replicaTaskObjects: [objectOf('proj/other')] }, t.signal)
    await until(async () => (await lagsOf(a, key, t.signal)).length === 1, t.signal)
    await clusters.put(a, '/two', 'two')
    await update(clusters, key, both, t.signal)
    await until(async () => (await lagsOf(a, key, t.signal)).length === 2, t.signal)
    await caughtUp(a, key, t.signal)
    await clusters.put(a, '/three', 'three')
    await caughtUp(a, key, t.signal)
    assert.deepEqual(await pathsAt(clusters, b), ['/one', '/three', '/two'])
    assert.equal(
      (await lagsOf(a, key, t.signal)).find(({ lastError }) => lastError !== null),
      undefined,
    )
  })

  it('given 70 links to one target, when a file comes in each, and again, then all arrive and none waits for others to be idle', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a, b } = clusters
    const repositories = Array.from({ length: 70 }, (_, n) => `proj/many${n}`)
    const put = async (repository: string, path: string) => {
      await a.api.upload(repository, path, Buffer.from(`${path} of ${repository}`), {}, t.signal)
    }
    const make = async (repository: string) => {
      await createRepository(a.api, repository, t.signal)
      await put(repository, '/before')
    }
    await mapConcurrent(repositories, 8, make, t.signal)
    const key = await liveTask(clusters, { replicaTaskObjects: repositories.map(objectOf) }, t.signal)
    for (const name of ['/one', '/two']) {
      for (const repository of repositories) await put(repository, name)
      await caughtUp(a, key, t.signal)
    }
    const lags = await lagsOf(a, key, t.signal)
    assert.deepEqual(
      lags.filter(({ lastError }) => lastError !== null),
      [],
    )
    const refused = clusters.line.seen.filter(
      (seen) => isStream(seen) && seen.status !== undefined && seen.status !== 200,
    )
    assert.deepEqual(refused, [])
    for (const repository of repositories) {
      const found: string[] = []
      for await (const { fullPath } of listFiles(b.api, repository, t.signal)) found.push(fullPath)
      assert.deepEqual(found, ['/before', '/one', '/two'], repository)
    }
  })
})

eachDialect('real time, records that close while links are filled', (dialect) => {
  it('given a back-fill that lasts longer than a day, when the record closes, then nothing counts as brought over that was not', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal, { ENTREPOT_REPLICATION_LEASE_MS: '1000' })
    const { a, b, line } = clusters
    const paths = Array.from({ length: 30 }, (_, n) => `/f${String(n).padStart(2, '0')}`)
    for (const path of paths) await clusters.put(a, path, `content of ${path}`)
    const held = line.hold(isStream)
    const key = await clusters.create({ replicaType: 'REAL_TIME' })
    await held.reached
    const later = { ...systemClock, now: () => systemClock.now() + 2 * 86_400_000 }
    const jobs = { enqueue: async () => undefined }
    const live = createLiveTasks({ clock: systemClock, ids: createSystemIds(systemClock, systemRandom), jobs })
    await createLiveRollOver({ db: a.db, clock: later, live, timeZone: 'UTC' }).run(t.signal)
    await caughtUp(a, key, t.signal)
    held.release()
    assert.deepEqual(await pathsAt(clusters, b), paths)
    const records = await recordsOf(a, key, t.signal)
    assert.deepEqual(
      records.map(({ status }) => status),
      ['RUNNING', 'SUCCESS'],
    )
    const counted: number[] = []
    for (const { id } of records) {
      const details = (await detailsOf(a.api, id, 1000, t.signal)).records.length
      const { success } = await overviewOf(a, id, t.signal)
      assert.equal(success, details)
      counted.push(success)
    }
    assert.deepEqual(counted, [30, 0])
    const open = await a.db.read
      .selectFrom('exec_link')
      .select('state')
      .where('state', 'in', ['PENDING', 'COPYING'])
      .execute()
    assert.deepEqual(open, [])
  })
})

eachDialect('real time, hard items', (dialect) => {
  it('given a file that breaks the connection each time it is sent, when others follow it, then they arrive and it alone fails', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a, b } = clusters
    await using line = await poisonedLine(b.url, 'm-poison')
    const poisoned = { name: 'poisoned', url: line.url, type: 'STANDALONE', username: 'admin', password: b.password }
    await a.api.call('POST', '/replication/api/cluster/create', poisoned, t.signal)
    const key = await liveTask(clusters, { remoteClusterIds: ['poisoned'] }, t.signal)
    for (const path of ['/a', '/m-poison', '/z']) await clusters.put(a, path, path)
    await until(async () => {
      await clusters.put(a, '/later', String(systemClock.now()))
      return (await pathsAt(clusters, b)).length === 3
    }, t.signal)
    await caughtUp(a, key, t.signal)
    assert.deepEqual(await pathsAt(clusters, b), ['/a', '/later', '/z'])
    const record = await openRecord(a, key, t.signal)
    const { success, failed } = await overviewOf(a, record.id, t.signal)
    assert.deepEqual({ success, failed }, { success: 3, failed: 1 })
    const details = (await detailsOf(a.api, record.id, 10, t.signal)).records
    const [bad] = details.filter(({ status }) => status === 'FAILED')
    assert.equal(bad?.artifactName, '/m-poison')
    assert.match(bad?.errorReason ?? '', /the connection broke each/)
  })

  it('given a file that failed and a task that is narrowed, when failures are tried again, then a file outside stays away', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a, b } = clusters
    const key = await liveTask(clusters, { setting: { conflictStrategy: 'FAST_FAIL' } }, t.signal)
    await clusters.put(b, '/out/1', 'theirs')
    await clusters.put(a, '/out/1', 'ours')
    await caughtUp(a, key, t.signal)
    const setting = { ...taskOf('', REPO, []).setting, conflictStrategy: 'FAST_FAIL' }
    const inside = { ...objectOf(REPO), pathConstraints: [{ path: '/in' }] }
    await update(clusters, key, { setting, replicaObjectType: 'PATH', replicaTaskObjects: [inside] }, t.signal)
    await caughtUp(a, key, t.signal)
    await b.api.call('DELETE', `/repository/api/node/delete/${REPO}/out/1`, undefined, t.signal)
    await a.db.transact((trx) => trx.updateTable('link_divergence').set({ due_at: 0 }).execute())
    await until(
      async () =>
        (await a.db.read.selectFrom('link_divergence').selectAll().where('due_at', '=', 0).execute()).length === 0,
      t.signal,
    )
    await clusters.put(a, '/in/1', 'one')
    await caughtUp(a, key, t.signal)
    assert.deepEqual(await pathsAt(clusters, b), ['/in/1'])
  })

  it('given an empty local repository that is deleted and made again while the link is live, when a file is uploaded, then it arrives', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a, b } = clusters
    const key = await liveTask(clusters, {}, t.signal)
    await a.api.call('DELETE', '/repository/api/repo/delete/proj/files?forced=true', undefined, t.signal)
    await createRepository(a.api, REPO, t.signal)
    await clusters.put(a, '/one', 'one')
    await until(async () => (await pathsAt(clusters, b)).length === 1, t.signal)
    await caughtUp(a, key, t.signal)
  })
})
