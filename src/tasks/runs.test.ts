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
import type { Transaction } from '../metadata/database.ts'
import type { Schema } from '../metadata/schema.ts'
import { createRecordRetention } from './record-retention.ts'
import { closeRecord, type RunResult } from './runs.ts'
import type { ReplicationTask } from './task.ts'

const DAY_MS = 86_400_000

interface Running extends ReplicationServices {
  readonly task: ReplicationTask
  readonly recordId: string
}

/** A task with two targets whose first run has started. */
async function runningTask(services: ReplicationServices, signal: AbortSignal): Promise<Running> {
  await makeRepositories(services.db, 'generic-local')
  const ids = [await makeCluster(services, 'shanghai'), await makeCluster(services, 'beijing')]
  const task = await services.tasks.create(sampleTask('plan', ids, 'generic-local'), 'admin', signal)
  const [record] = await services.records.list(task.key)
  return { ...services, task, recordId: record!.id }
}

const resultOf = ({ clock, recordId }: Running, change: Partial<RunResult> = {}): RunResult => ({
  recordId,
  status: 'SUCCESS',
  errorReason: null,
  overview: { success: 2, skip: 1, failed: 0, conflict: 0, fileSuccess: 2, fileFailed: 0 },
  replicatedBytes: 100,
  totalBytes: 120,
  now: clock.now(),
  ...change,
})

const shard = (recordId: string, shardNo: number, change: Partial<Schema['exec_shard']> = {}) => ({
  record_id: recordId,
  link_id: 1,
  shard_no: shardNo,
  kind: 'range' as const,
  lo: '/',
  hi: null,
  pos: null,
  state: 'LEASED' as const,
  est_files: 10,
  est_bytes: 1_000,
  owner: null,
  lease_until: 0,
  token: 1,
  ok: 0,
  skipped: 0,
  unchanged: 0,
  failed: 0,
  conflict: 0,
  file_ok: 0,
  file_failed: 0,
  bytes: 0,
  in_flight_bytes: 0,
  ...change,
})

/** One row of everything that a run and its links leave behind. */
async function leaveTraces(trx: Transaction, { task, recordId }: Running): Promise<void> {
  const { id: linkId } = await trx
    .insertInto('link')
    .values({
      key: 'k',
      task_key: task.key,
      cluster_id: task.targets[0]!.id,
      repo_id: 1,
      remote_project: 'bkrepo',
      remote_repo: 'generic-local',
      scope_hash: 'h',
      repo_epoch: null,
      acked_seq: null,
      remote_epoch: null,
      remote_seq: null,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  await trx.insertInto('link_divergence').values({ link_id: linkId, path: '/a', reason: 'failed', since: 1 }).execute()
  await trx
    .insertInto('exec_link')
    .values({
      record_id: recordId,
      link_id: linkId,
      cluster_id: task.targets[0]!.id,
      cluster_name: 'shanghai',
      local_repo: 'generic-local',
      repo_type: 'GENERIC',
      state: 'COPYING',
      mode: 'listing',
      to_seq: 1,
      remote_epoch: null,
      remote_seq: null,
      error_reason: null,
      down_since: null,
      attempts: 0,
      ended_at: null,
    })
    .execute()
  await trx
    .insertInto('exec_shard')
    .values({ ...shard(recordId, 0), link_id: linkId })
    .execute()
  await trx
    .insertInto('record_detail')
    .values({
      id: 'd'.repeat(24),
      record_id: recordId,
      link_id: linkId,
      path: '/a',
      package_key: null,
      version: null,
      sha256: null,
      size: 1,
      status: 'SUCCESS',
      conflict_strategy: null,
      error_reason: null,
      execute_type: 'FULL',
      started_at: 1,
      ended_at: 2,
      attempts: 1,
    })
    .execute()
}

const TRACES = ['execution_record', 'exec_link', 'exec_shard', 'record_detail'] as const
const LINKS = ['link', 'link_divergence', 'replication_task', 'task_object', 'task_target'] as const

async function countRows({ db }: ReplicationServices, tables: readonly (keyof Schema)[]): Promise<number[]> {
  const counts = tables.map((table) =>
    db.read
      .selectFrom(table)
      .select((eb) => eb.fn.countAll<number>().as('n'))
      .executeTakeFirstOrThrow(),
  )
  return (await Promise.all(counts)).map(({ n }) => n)
}

eachDatabase('runs of tasks', (make) => {
  it('given an enabled task, when it is created, then record, counters and job come to be together, with a snapshot', async (t) => {
    await using db = await make()
    const { task, recordId, jobs, records, clock } = await runningTask(replicationServices(db), t.signal)
    assert.deepEqual(
      [task.status, task.lastExecutionStatus, task.lastExecutionAt, task.executionTimes, task.nextExecutionAt],
      ['REPLICATING', 'RUNNING', clock.now(), 1, null],
    )
    assert.deepEqual(jobs.requests, [{ kind: 'replicate', dedupeKey: recordId, payload: { recordId } }])
    const { record, snapshot } = await records.get(recordId)
    assert.deepEqual([record.status, record.startedAt, record.endedAt], ['RUNNING', clock.now(), null])
    assert.deepEqual(snapshot.task, JSON.parse(JSON.stringify(task)))
    assert.deepEqual(
      snapshot.task.targets.map(({ name }) => name),
      ['shanghai', 'beijing'],
    )
    assert.deepEqual(
      snapshot.objects.map(({ localRepo }) => localRepo),
      ['generic-local'],
    )
  })

  it('given a run in progress, when ten more are asked for at once, then none starts and the counters stay', async (t) => {
    await using db = await make()
    const { task, tasks, records } = await runningTask(replicationServices(db), t.signal)
    const tries = await Promise.allSettled(Array.from({ length: 10 }, () => tasks.execute(task.key)))
    for (const { status } of tries) assert.equal(status, 'rejected')
    assert.equal((await tasks.get(task.key)).executionTimes, 1)
    assert.equal((await records.list(task.key)).length, 1)
  })

  it('given an idle task, when ten runs are asked for at once, then exactly one starts', async (t) => {
    await using db = await make()
    const running = await runningTask(replicationServices(db), t.signal)
    await db.transact((trx) => closeRecord(trx, resultOf(running)))
    const tries = await Promise.allSettled(Array.from({ length: 10 }, () => running.tasks.execute(running.task.key)))
    assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1)
    assert.equal((await running.tasks.get(running.task.key)).executionTimes, 2)
  })

  it('given a run in progress, when its record is closed, then the task is COMPLETED and a second word changes nothing', async (t) => {
    await using db = await make()
    const running = await runningTask(replicationServices(db), t.signal)
    const { task, tasks, records, recordId, clock } = running
    await clock.advance(5_000)
    const failed = resultOf(running, { status: 'FAILED', errorReason: 'beijing: connection refused' })
    assert.equal(await db.transact((trx) => closeRecord(trx, failed)), true)
    assert.equal(await db.transact((trx) => closeRecord(trx, resultOf(running))), false)
    const { record } = await records.get(recordId)
    assert.deepEqual(
      [record.status, record.errorReason, record.endedAt, record.replicatedBytes, record.totalBytes],
      ['FAILED', 'beijing: connection refused', clock.now(), 100, 120],
    )
    assert.deepEqual(record.overview, failed.overview)
    const closed = await tasks.get(task.key)
    assert.deepEqual([closed.status, closed.lastExecutionStatus, closed.enabled], ['COMPLETED', 'FAILED', true])
    assert.equal(closed.replicatedBytes, 100)
  })

  it('given a run in progress, when its record is read, then overview and bytes are summed from its shards', async (t) => {
    await using db = await make()
    const { records, recordId, task, tasks } = await runningTask(replicationServices(db), t.signal)
    const none = { success: 0, skip: 0, failed: 0, conflict: 0, fileSuccess: 0, fileFailed: 0 }
    assert.deepEqual(await records.findOverview(recordId), none)
    await db.transact((trx) =>
      trx
        .insertInto('exec_shard')
        .values([
          shard(recordId, 0, { ok: 3, skipped: 2, unchanged: 1, conflict: 1, file_ok: 2, bytes: 300 }),
          shard(recordId, 1, { ok: 1, failed: 1, file_failed: 1, bytes: 50, in_flight_bytes: 25 }),
        ])
        .execute(),
    )
    const overview = { success: 4, skip: 2, failed: 1, conflict: 1, fileSuccess: 2, fileFailed: 1 }
    assert.deepEqual(await records.findOverview(recordId), overview)
    const [record] = await records.list(task.key)
    assert.deepEqual([record?.overview, record?.replicatedBytes, record?.totalBytes], [overview, 375, 2_000])
    assert.equal((await tasks.get(task.key)).replicatedBytes, 375)
  })

  it('case 18: given a running task, when it is deleted, then nothing of it is left and a late end changes nothing', async (t) => {
    await using db = await make()
    const running = await runningTask(replicationServices(db), t.signal)
    await db.transact((trx) => leaveTraces(trx, running))
    await running.tasks.delete(running.task.key)
    assert.deepEqual(await countRows(running, [...TRACES, ...LINKS]), [0, 0, 0, 0, 0, 0, 0, 0, 0])
    assert.equal(await db.transact((trx) => closeRecord(trx, resultOf(running))), false)
    await running.tasks.delete(running.task.key)
  })

  it('given deletions and ends of one run at the same moment, when they race, then neither fails and nothing is left', async (t) => {
    await using db = await make()
    const running = await runningTask(replicationServices(db), t.signal)
    await db.transact((trx) => leaveTraces(trx, running))
    const end = () => db.transact((trx) => closeRecord(trx, resultOf(running)))
    await Promise.all([end(), running.tasks.delete(running.task.key), end(), running.tasks.delete(running.task.key)])
    assert.deepEqual(await countRows(running, TRACES), [0, 0, 0, 0])
  })

  it('given a task that has run, when its targets are changed, then only the links it still has keep their place', async (t) => {
    await using db = await make()
    const running = await runningTask(replicationServices(db), t.signal)
    const { task, tasks } = running
    await db.transact(async (trx) => {
      await leaveTraces(trx, running)
      await closeRecord(trx, resultOf(running))
    })
    const update = (targets: string[]) =>
      tasks.update({ ...sampleTask('plan', targets, 'generic-local'), key: task.key }, 'admin', t.signal)
    await update(['shanghai'])
    assert.deepEqual(await countRows(running, ['link', 'link_divergence']), [1, 1])
    await update(['beijing'])
    assert.deepEqual(await countRows(running, ['link', 'link_divergence']), [0, 0])
  })

  it('given two tasks that are renamed to one name at once, when they race, then one gets it and the other is told', async (t) => {
    await using db = await make()
    const services = replicationServices(db)
    await makeRepositories(db, 'generic-local')
    await makeCluster(services, 'beijing')
    const disabled = (name: string) => ({ ...sampleTask(name, ['beijing'], 'generic-local'), enabled: false })
    const keys: string[] = []
    for (const name of ['one', 'two']) keys.push((await services.tasks.create(disabled(name), 'admin', t.signal)).key)
    const renamed = keys.map((key) => services.tasks.update({ ...disabled('same'), key }, 'admin', t.signal))
    const [failure, ...more] = (await Promise.allSettled(renamed)).filter(({ status }) => status === 'rejected')
    assert.equal((failure as PromiseRejectedResult).reason.code, 'RESOURCE_EXISTED')
    assert.deepEqual(more, [])
  })

  it('case 53: given records that ended 2 days ago and 1 day is reserved, when swept, then they go and the running one stays', async (t) => {
    await using db = await make()
    const running = await runningTask(replicationServices(db), t.signal)
    const { task, tasks, clock } = running
    await db.transact(async (trx) => {
      await leaveTraces(trx, running)
      await closeRecord(trx, resultOf(running))
    })
    const update = { ...sampleTask('plan', ['beijing'], 'generic-local'), key: task.key, recordReserveDays: 1 }
    await tasks.update(update, 'admin', t.signal)
    await clock.advance(DAY_MS)
    await tasks.execute(task.key)
    const retention = createRecordRetention({ db, clock })
    assert.equal(await retention.sweep(t.signal), 0)
    await clock.advance(1)
    assert.equal(await retention.sweep(t.signal), 1)
    assert.deepEqual(await countRows(running, TRACES), [1, 0, 0, 0])
    await clock.advance(100 * DAY_MS)
    assert.equal(await retention.sweep(t.signal), 0)
  })
})
