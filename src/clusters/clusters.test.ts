import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase } from '../../test/helpers/databases.ts'
import {
  makeCluster,
  makeRepositories,
  type ReplicationServices,
  replicationServices,
  sampleTask,
} from '../../test/helpers/replication-services.ts'
import { AppError, type ErrorCode } from '../core/errors.ts'
import { pageRequest } from '../core/paging.ts'

const down = (retryable: boolean) => () => {
  throw new AppError('CLUSTER_CONNECT_ERROR', 'connection refused', {}, { retryable })
}
const body = { name: 'beijing', url: 'beijing.example:8040/', type: 'STANDALONE', username: 'admin', password: 'p4ss' }

async function connected(services: ReplicationServices, signal: AbortSignal) {
  return services.clusters.create(body, 'admin', signal)
}

eachDatabase('clusters', (make) => {
  it('given a cluster that answers, when it is created, then it is HEALTHY and its password is kept encrypted', async (t) => {
    await using db = await make()
    const services = replicationServices(db)
    const cluster = await connected(services, t.signal)
    assert.deepEqual(
      [cluster.name, cluster.url, cluster.type, cluster.status, cluster.errorReason, cluster.createdBy],
      ['beijing', 'http://beijing.example:8040/', 'STANDALONE', 'HEALTHY', null, 'admin'],
    )
    assert.ok(!('password' in cluster))
    const [call, ...more] = services.probe.calls
    assert.deepEqual([call?.url, call?.username, call?.password, more], [cluster.url, 'admin', 'p4ss', []])
    const row = await db.read.selectFrom('cluster').selectAll().executeTakeFirstOrThrow()
    assert.ok(row.password !== null && !row.password.includes('p4ss'))
    assert.deepEqual(await services.clusters.getTarget(cluster.id), {
      id: cluster.id,
      name: 'beijing',
      url: cluster.url,
      username: 'admin',
      password: 'p4ss',
      certificate: undefined,
      rateLimit: null,
    })
  })

  it('given a cluster that does not answer, when it is created, then it is tried 3 times 1 s apart, and not stored', async (t) => {
    await using db = await make()
    const services = replicationServices(db)
    services.probe.answer = down(true)
    const creation = assert.rejects(connected(services, t.signal), { code: 'CLUSTER_CONNECT_ERROR' })
    for (const tries of [1, 2]) {
      await services.clock.untilSleeping()
      assert.equal(services.probe.calls.length, tries)
      await services.clock.advance(1_000)
    }
    await creation
    assert.equal(services.probe.calls.length, 3)
    assert.equal(await services.clusters.exists('beijing'), false)
  })

  it('given failures of other kinds, when a cluster is created, then each tells what it is, at once', async (t) => {
    await using db = await make()
    const services = replicationServices(db)
    const failures: [thrown: ErrorCode, told: ErrorCode][] = [
      ['CLUSTER_CONNECT_ERROR', 'CLUSTER_CONNECT_ERROR'],
      ['CLUSTER_SSL_ERROR', 'CLUSTER_SSL_ERROR'],
      ['CLUSTER_VERSION_UNSUPPORTED', 'CLUSTER_VERSION_UNSUPPORTED'],
      ['UNAUTHENTICATED', 'CLUSTER_CONNECT_ERROR'],
      ['PERMISSION_DENIED', 'CLUSTER_CONNECT_ERROR'],
    ]
    for (const [thrown, told] of failures) {
      services.probe.answer = () => {
        throw new AppError(thrown, 'no')
      }
      await assert.rejects(connected(services, t.signal), { code: told })
    }
    assert.equal(services.probe.calls.length, failures.length)
  })

  it('given ping false, when a cluster is created, then nobody is called and it is UNHEALTHY until it was', async (t) => {
    await using db = await make()
    const services = replicationServices(db)
    await makeCluster(services, 'beijing')
    const status = async () => {
      const cluster = await services.clusters.findByName('beijing')
      return [cluster?.status, cluster?.errorReason]
    }
    assert.deepEqual(services.probe.calls, [])
    assert.deepEqual(await status(), ['UNHEALTHY', 'Not connected yet'])
    await services.clusters.tryConnect('beijing', t.signal)
    assert.deepEqual(await status(), ['HEALTHY', null])
    services.probe.answer = down(false)
    await assert.rejects(services.clusters.tryConnect('beijing', t.signal), {
      code: 'CLUSTER_CONNECT_ERROR',
      message: 'remote cluster [beijing] connect error: connection refused',
    })
    assert.equal((await status())[0], 'UNHEALTHY')
    await assert.rejects(services.clusters.tryConnect('nowhere', t.signal), { code: 'CLUSTER_NOT_FOUND' })
  })

  it('given many clusters of which some are down, when health is checked, then each has its own state', async (t) => {
    await using db = await make()
    const services = replicationServices(db)
    for (let n = 10; n < 30; n++) await makeCluster(services, `c${n}`)
    services.probe.answer = ({ url }) => (url.includes('c2') ? down(true)() : { clusterId: url, name: url })
    await services.clusters.checkHealth(t.signal)
    const clusters = await services.clusters.list({})
    assert.equal(services.probe.calls.length, 20)
    for (const { name, status } of clusters) assert.equal(status, name.startsWith('c2') ? 'UNHEALTHY' : 'HEALTHY', name)
  })

  it('given a cluster, when it is updated, then absent and masked fields stay, empty ones go', async (t) => {
    await using db = await make()
    const services = replicationServices(db)
    const { clusters, clock, probe } = services
    const { id } = await connected(services, t.signal)
    await clock.advance(1_000)
    const update = (change: object) => clusters.update({ name: 'beijing', ...change }, 'someone', t.signal)
    const changed = await update({ url: 'https://b.example/replication', password: '******' })
    assert.deepEqual(
      [changed.url, changed.modifiedBy, changed.modifiedAt],
      ['https://b.example/replication', 'someone', clock.now()],
    )
    assert.deepEqual([(await clusters.getTarget(id)).password, probe.calls.at(-1)?.password], ['p4ss', 'p4ss'])
    await update({ username: 'other', password: 'new' })
    assert.deepEqual(await clusters.getTarget(id).then(({ username, password }) => [username, password]), [
      'other',
      'new',
    ])
    await update({ username: '', password: '', ping: false })
    assert.deepEqual(await clusters.getTarget(id).then(({ username, password }) => [username, password]), [
      undefined,
      undefined,
    ])
    await assert.rejects(clusters.update({ name: 'nowhere' }, 'a', t.signal), { code: 'CLUSTER_NOT_FOUND' })
    probe.answer = down(false)
    await assert.rejects(update({ url: 'http://gone.example' }), { code: 'CLUSTER_CONNECT_ERROR' })
    assert.equal((await clusters.findById(id))?.url, 'https://b.example/replication')
  })

  it('given a server whose secret key is another one by now, when health is checked, then it says so, and a new password cures it', async (t) => {
    await using db = await make()
    const { id } = await connected(replicationServices(db), t.signal)
    const services = replicationServices(db, Buffer.alloc(32, 2))
    await services.clusters.checkHealth(t.signal)
    const cluster = await services.clusters.findById(id)
    assert.equal(cluster?.status, 'UNHEALTHY')
    assert.match(cluster?.errorReason ?? '', /password cannot be read/)
    await assert.rejects(services.clusters.getTarget(id), { code: 'CLUSTER_CONNECT_ERROR' })
    await services.clusters.update({ name: 'beijing', password: 'again' }, 'admin', t.signal)
    assert.equal((await services.clusters.getTarget(id)).password, 'again')
  })

  it('given a name that is taken, when a cluster is created, then it is refused, also when two come at once', async (t) => {
    await using db = await make()
    const services = replicationServices(db)
    const tries = await Promise.allSettled([1, 2, 3, 4].map(() => connected(services, t.signal)))
    assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1)
    await assert.rejects(connected(services, t.signal), {
      code: 'CLUSTER_EXISTED',
      message: 'cluster node [beijing] is existed',
    })
  })

  it('given an enabled task, when its cluster is deleted, then it is refused until the task is disabled', async (t) => {
    await using db = await make()
    const services = replicationServices(db)
    await makeRepositories(db, 'generic-local')
    const id = await makeCluster(services, 'beijing')
    const task = await services.tasks.create(sampleTask('plan', [id], 'generic-local'), 'admin', t.signal)
    await assert.rejects(services.clusters.delete(id), { code: 'PARAMETER_INVALID', message: /task \[plan\]/ })
    await services.tasks.toggle(task.key, 'admin')
    await services.clusters.delete(id)
    await assert.rejects(services.clusters.delete(id), { code: 'CLUSTER_NOT_FOUND' })
    assert.equal(await services.clusters.findById(id), undefined)
    assert.deepEqual((await services.tasks.get(task.key)).targets, [{ id, name: id }])
  })

  it('given clusters, when listed and paged, then the name is a literal prefix and the newest comes first', async () => {
    await using db = await make()
    const services = replicationServices(db)
    for (const name of ['a.b', 'axb', 'a%c', 'A.b']) {
      await services.clock.advance(1)
      await makeCluster(services, name)
    }
    const names = async (filter: object) => (await services.clusters.list(filter)).map(({ name }) => name)
    assert.deepEqual(await names({}), ['A.b', 'a%c', 'axb', 'a.b'])
    assert.deepEqual(await names({ name: 'a.' }), ['a.b'])
    assert.deepEqual(await names({ name: 'a%' }), ['a%c'])
    assert.deepEqual(await names({ name: 'a_' }), [])
    assert.deepEqual(await names({ type: 'EDGE' }), [])
    const page = await services.clusters.page({ name: 'a', type: 'STANDALONE' }, pageRequest(2, 2))
    assert.deepEqual([page.totalRecords, page.records.map(({ name }) => name)], [3, ['a.b']])
  })
})
