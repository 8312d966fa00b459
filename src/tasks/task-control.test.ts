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
import type { MetadataDatabase } from '../metadata/database.ts'
import { createExecLinks } from '../metadata/replication/exec-links.ts'
import { advanceShard, claimShard, createShards } from '../metadata/replication/exec-shards.ts'
import { NO_OVERVIEW } from './record.ts'
import { closeRecord } from './runs.ts'
import type { ReplicationTask } from './task.ts'

const NO_TASK = { code: 'TASK_NOT_FOUND' }
const WRONG_STATUS = { code: 'TASK_STATUS_INVALID' }
const LINK = 7

interface Bench extends ReplicationServices {
  readonly clusterId: string
  create(change?: object): Promise<ReplicationTask>
  /** Ends the run in progress. */
  end(key: string): Promise<void>
}

async function bench(db: MetadataDatabase, signal: AbortSignal): Promise<Bench> {
  const services = replicationServices(db)
  await makeRepositories(db, 'generic-local')
  const clusterId = await makeCluster(services, 'beijing')
  let made = 0
  return {
    ...services,
    clusterId,
    create: (change = {}) =>
      services.tasks.create(
        { ...sampleTask(`task ${++made}`, [clusterId], 'generic-local'), ...change },
        'admin',
        signal,
      ),
    async end(key) {
      const [record] = await services.records.list(key)
      const about = { errorReason: null, overview: NO_OVERVIEW, replicatedBytes: 30, totalBytes: 40 }
      const result = { recordId: record!.id, status: 'SUCCESS' as const, ...about, now: services.clock.now() }
      assert.ok(await db.transact((trx) => closeRecord(trx, result)))
    },
  }
}

const state = ({ status, lastExecutionStatus, executionTimes }: ReplicationTask) =>
  [status, lastExecutionStatus, executionTimes].join(' ')

/** A link of the run in progress with one shard, which somebody works on. @returns his claim. */
async function copying({ db, clusterId }: Bench, recordId: string) {
  const names = { clusterName: 'beijing', localRepo: 'generic-local', repoType: 'GENERIC' }
  const shard = { shardNo: 1, kind: 'range' as const, lo: '/', hi: null, files: 10, bytes: 1_000 }
  return db.transact(async (trx) => {
    await createExecLinks(trx, [{ recordId, linkId: LINK, clusterId, ...names }])
    await createShards(trx, recordId, LINK, [shard])
    return claimShard(trx, recordId, LINK, { owner: 'i:1', now: 0, leaseMs: 1_000_000_000_000_000 })
  })
}
const STEP = {
  pos: '/m',
  counters: { ok: 3, skipped: 0, unchanged: 0, failed: 0, conflict: 0, fileOk: 3, fileFailed: 0, bytes: 300 },
  leaseUntil: 1_000_000_000_000_000,
}

eachDatabase('control of tasks', (make) => {
  it('case 47: given a RUN_ONCE task, when created, toggled and executed, then only execute starts it, again and again', async (t) => {
    await using db = await make()
    const at = await bench(db, t.signal)
    const { key, ...task } = await at.create({ replicaType: 'RUN_ONCE' })
    assert.equal(state(task as ReplicationTask), 'REPLICATING  0')
    assert.deepEqual([task.totalBytes, task.nextExecutionAt], [0, null])
    await at.tasks.toggle(key, 'admin')
    await at.tasks.toggle(key, 'admin')
    assert.equal((await at.records.list(key)).length, 0)
    for (const times of [1, 2]) {
      await at.clock.advance(1_000)
      await at.tasks.execute(key)
      assert.equal(state(await at.tasks.get(key)), `REPLICATING RUNNING ${times}`)
      await at.end(key)
      const ended = await at.tasks.get(key)
      assert.equal(state(ended), `COMPLETED SUCCESS ${times}`)
      assert.deepEqual([ended.replicatedBytes, ended.totalBytes], [30, 40])
    }
    const records = await at.records.list(key)
    assert.equal(new Set(records.map(({ startedAt }) => startedAt)).size, 2)
  })

  it('case 48: given a RUN_ONCE task, when executed twice at once, then one run, and the other call is told', async (t) => {
    await using db = await make()
    const at = await bench(db, t.signal)
    const { key } = await at.create({ replicaType: 'RUN_ONCE' })
    const [first, second] = await Promise.allSettled([at.tasks.execute(key), at.tasks.execute(key)])
    const failures = [first, second].filter(({ status }) => status === 'rejected')
    assert.equal(failures.length, 1)
    assert.equal((failures[0] as PromiseRejectedResult).reason.code, 'TASK_STATUS_INVALID')
    assert.equal((await at.records.list(key)).length, 1)
  })

  it('given a RUN_ONCE task with an execution plan, when its time comes, then the plan is echoed and starts nothing', async (t) => {
    await using db = await make()
    const at = await bench(db, t.signal)
    const setting = { executionPlan: { cronExpression: '0 0 * * * ?' } }
    const task = await at.create({ replicaType: 'RUN_ONCE', setting })
    assert.equal(task.nextExecutionAt, null)
    assert.equal(task.setting.executionPlan.cronExpression, '0 0 * * * ?')
  })

  it('given a RUN_ONCE task, when copied, then the copy is off and WAITING', async (t) => {
    await using db = await make()
    const at = await bench(db, t.signal)
    const { key } = await at.create({ replicaType: 'RUN_ONCE' })
    await at.tasks.copy({ key, name: 'the copy' }, 'admin')
    const page = { pageNumber: 1, pageSize: 20 }
    const order = { by: 'created_at', direction: 'desc' } as const
    const { records } = await at.tasks.page({ project: 'bkrepo', name: 'the copy' }, order, page)
    assert.deepEqual([records[0]?.status, records[0]?.enabled, records[0]?.replicaType], ['WAITING', false, 'RUN_ONCE'])
    await assert.rejects(at.tasks.execute(records[0]!.key), { code: 'TASK_DISABLED' })
  })

  it('given a REAL_TIME task that is on, when executed or stopped, then 250303; when updated and switched off, then it is', async (t) => {
    await using db = await make()
    const at = await bench(db, t.signal)
    const { key, name } = await at.create({ replicaType: 'REAL_TIME' })
    assert.equal(state(await at.tasks.get(key)), 'REPLICATING RUNNING 1')
    await assert.rejects(at.tasks.execute(key), WRONG_STATUS)
    await assert.rejects(at.tasks.stop(key, 'ann'), WRONG_STATUS)
    const update = { ...sampleTask(name, ['beijing'], 'generic-local'), key, description: 'changed' }
    await at.tasks.update(update, 'admin', t.signal)
    assert.deepEqual(
      [(await at.tasks.get(key)).description, (await at.tasks.get(key)).nextExecutionAt],
      ['changed', null],
    )
    await at.tasks.toggle(key, 'admin')
    const off = await at.tasks.get(key)
    assert.deepEqual([off.status, off.enabled], ['WAITING', false])
    await assert.rejects(at.tasks.execute(key), { code: 'TASK_DISABLED' })
  })

  it('given a run that copies, when stopped, then FAILED with who did it, what was done stays, and its worker writes nothing more', async (t) => {
    await using db = await make()
    const at = await bench(db, t.signal)
    const { key } = await at.create()
    const [record] = await at.records.list(key)
    const claim = await copying(at, record!.id)
    assert.ok(await db.transact((trx) => advanceShard(trx, claim!, STEP)))
    await at.tasks.stop(key, 'ann')
    const { record: stopped } = await at.records.get(record!.id)
    assert.deepEqual(
      [stopped.status, stopped.errorReason, stopped.endedAt],
      ['FAILED', 'stopped by ann', at.clock.now()],
    )
    assert.deepEqual(stopped.overview, { ...NO_OVERVIEW, success: 3, fileSuccess: 3 })
    assert.deepEqual([stopped.replicatedBytes, stopped.totalBytes], [300, 1_000])
    assert.equal(await db.transact((trx) => advanceShard(trx, claim!, STEP)), false)
    assert.equal(
      await db.transact((trx) => claimShard(trx, record!.id, LINK, { owner: 'i:2', now: 1, leaseMs: 1 })),
      undefined,
    )
    assert.equal(state(await at.tasks.get(key)), 'COMPLETED FAILED 1')
    await at.tasks.execute(key)
    assert.equal(state(await at.tasks.get(key)), 'REPLICATING RUNNING 2')
  })

  it('given a run that is not planned yet, when stopped by ten at once, then one does it and nine are told that nothing runs', async (t) => {
    await using db = await make()
    const at = await bench(db, t.signal)
    const { key } = await at.create()
    const tries = await Promise.allSettled(Array.from({ length: 10 }, () => at.tasks.stop(key, 'ann')))
    assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1)
    const [record] = await at.records.list(key)
    assert.deepEqual([record?.status, record?.errorReason, record?.overview], ['FAILED', 'stopped by ann', NO_OVERVIEW])
  })

  it('given nothing to stop, when stopped, then 250310 or 250303', async (t) => {
    await using db = await make()
    const at = await bench(db, t.signal)
    await assert.rejects(at.tasks.stop('f'.repeat(32), 'ann'), NO_TASK)
    const { key } = await at.create({ enabled: false })
    await assert.rejects(at.tasks.stop(key, 'ann'), WRONG_STATUS)
  })

  it('given a cron task whose run is stopped or switched off, when it ends, then it waits for its next firing or for being switched on', async (t) => {
    await using db = await make()
    const at = await bench(db, t.signal)
    const start = at.clock.now()
    const { key } = await at.create({ setting: { executionPlan: { cronExpression: '0 0 * * * ?' } } })
    await at.tasks.execute(key)
    await at.tasks.stop(key, 'ann')
    const stopped = await at.tasks.get(key)
    assert.deepEqual([stopped.status, stopped.nextExecutionAt], ['WAITING', start + 3_600_000])
    await at.tasks.execute(key)
    await at.tasks.toggle(key, 'admin')
    assert.equal((await at.tasks.get(key)).status, 'REPLICATING')
    await at.end(key)
    const off = await at.tasks.get(key)
    assert.deepEqual([off.status, off.enabled, off.nextExecutionAt], ['WAITING', false, null])
  })

  it('given a task with a cron, when updated to IMMEDIATELY before it ever ran, then it runs; when it had run, then not again', async (t) => {
    await using db = await make()
    const at = await bench(db, t.signal)
    const cron = { setting: { executionPlan: { cronExpression: '0 0 * * * ?' } } }
    const { key, name } = await at.create(cron)
    const update = (change: object) =>
      at.tasks.update({ ...sampleTask(name, ['beijing'], 'generic-local'), key, ...change }, 'admin', t.signal)
    await update({})
    const running = await at.tasks.get(key)
    assert.deepEqual([state(running), running.nextExecutionAt], ['REPLICATING RUNNING 1', null])
    await assert.rejects(update(cron), WRONG_STATUS)
    await at.end(key)
    await update(cron)
    assert.equal((await at.tasks.get(key)).status, 'WAITING')
    await update({})
    const idle = await at.tasks.get(key)
    assert.deepEqual([idle.executionTimes, idle.nextExecutionAt], [1, null])
  })

  it('given a cluster that tasks send to, when deleted, then refused while one is on; then they show its id and cannot be switched on', async (t) => {
    await using db = await make()
    const at = await bench(db, t.signal)
    const task = await at.create()
    await at.end(task.key)
    await assert.rejects(at.clusters.delete(at.clusterId), { code: 'PARAMETER_INVALID' })
    await at.tasks.toggle(task.key, 'admin')
    await at.clusters.delete(at.clusterId)
    assert.deepEqual((await at.tasks.get(task.key)).targets, [{ id: at.clusterId, name: at.clusterId }])
    await assert.rejects(at.tasks.toggle(task.key, 'admin'), { code: 'CLUSTER_NOT_FOUND' })
    assert.equal((await at.tasks.get(task.key)).enabled, false)
    await makeCluster(at, 'shanghai')
    const update = { ...sampleTask('task 1', ['shanghai'], 'generic-local'), key: task.key }
    await at.tasks.update(update, 'admin', t.signal)
    await at.tasks.toggle(task.key, 'admin')
    assert.equal((await at.tasks.get(task.key)).enabled, true)
  })
})
