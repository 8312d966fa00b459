import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError } from '../helpers/api.ts'
import { seededBytes } from '../helpers/blobs.ts'
import { eachDialect } from '../helpers/local-cluster.ts'
import { executeTask, listRecords } from '../helpers/replication-calls.ts'
import { counts, type TwoClusters, twoClusters } from '../helpers/two-clusters.ts'

const TASKS = '/replication/api/task'
const POLL_MS = 10

interface TaskInfo {
  readonly status: string
  readonly lastExecutionStatus: string | null
  readonly nextExecutionTime: string | null
  readonly executionTimes: number
}

const info = ({ a }: TwoClusters, key: string, signal: AbortSignal): Promise<TaskInfo> =>
  a.api.call('GET', `${TASKS}/info/${key}`, undefined, signal)
const hasWireCode = (code: number) => (error: unknown) => error instanceof ApiError && error.code === code

/** A time of the server as it writes it, so many milliseconds from now. */
const soon = (ms: number) => new Date(Date.now() + ms).toISOString()

eachDialect('control of runs', (dialect) => {
  describe('schedules', () => {
    it('given a specified time, when it comes, then the run starts within a second and the task is COMPLETED after it', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await two.put(two.a, '/x', 'x')
      const executeTime = soon(700)
      const key = await two.create({
        setting: {
          executionStrategy: 'SPECIFIED_TIME',
          executionPlan: { executeImmediately: false, executeTime } as never,
        },
      })
      const planned = await info(two, key, t.signal)
      assert.deepEqual([planned.status, planned.lastExecutionStatus, planned.executionTimes], ['WAITING', null, 0])
      assert.notEqual(planned.nextExecutionTime, null)
      const run = await two.ended(key, 1)
      assert.equal(counts(run), '1/0/0/0')
      const [record] = await two.a.db.read.selectFrom('execution_record').select('started_at').execute()
      const lateMs = record!.started_at - Date.parse(executeTime)
      assert.ok(lateMs >= 0 && lateMs < 1_000, `${lateMs} ms`)
      const done = await info(two, key, t.signal)
      assert.deepEqual([done.status, done.nextExecutionTime, done.executionTimes], ['COMPLETED', null, 1])
    })

    it('case 15: given a cron of every second and a run that takes longer, when it goes on, then never two runs at once', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await two.put(two.a, '/x', 'x')
      const held = two.line.hold(({ path }) => path.includes('/open'))
      const key = await two.create({
        setting: {
          executionStrategy: 'CRON_EXPRESSION',
          executionPlan: { executeImmediately: false, cronExpression: '* * * * * ?' } as never,
        },
      })
      await held.reached
      const first = await info(two, key, t.signal)
      // At least one firing finds the run in progress.
      while ((await info(two, key, t.signal)).nextExecutionTime === first.nextExecutionTime) await sleep(POLL_MS)
      assert.equal((await listRecords(two.a.api, key, t.signal)).length, 1)
      await assert.rejects(executeTask(two.a.api, key, t.signal), hasWireCode(250303))
      held.release()
      await two.ended(key, 1)
      await two.ended(key, 2)
      await two.a.api.call('POST', `${TASKS}/toggle/status/${key}`, undefined, t.signal)
      const off = await info(two, key, t.signal)
      assert.equal(off.nextExecutionTime, null)
      await two.ended(key, off.executionTimes)
      const records = await listRecords(two.a.api, key, t.signal)
      assert.equal(records.length, off.executionTimes)
      for (const [at, { startTime }] of records.entries()) {
        const before = records[at + 1]
        assert.ok(before === undefined || before.endTime! <= startTime, 'two at once')
      }
    })
  })

  describe('stopping', () => {
    it('given a run in the middle of its batches, when stopped, then FAILED, nothing is sent afterwards, and the next run brings the rest', async (t) => {
      const env = { ENTREPOT_REPLICATION_BATCH_FILES: '5', ENTREPOT_REPLICATION_STREAMS: '1' }
      await using two = await twoClusters(dialect, t.signal, env)
      for (let n = 0; n < 40; n++) await two.put(two.a, `/${100 + n}`, seededBytes(n, 100_000))
      const held = two.line.hold(({ path, nth }) => path.includes('/missing') && nth === 4)
      const key = await two.create()
      await held.reached
      await two.a.api.call('POST', `${TASKS}/stop/${key}`, undefined, t.signal)
      const stopped = await two.ended(key, 1)
      assert.deepEqual([stopped.record.status, stopped.record.errorReason], ['FAILED', 'stopped by admin'])
      assert.equal((await info(two, key, t.signal)).status, 'COMPLETED')
      held.release()
      await two.a.idle()
      const sent = two.line.seen.length
      const there = (await two.files(two.b)).length
      assert.ok(there < 40, `${there} files arrived`)
      await assert.rejects(two.a.api.call('POST', `${TASKS}/stop/${key}`, undefined, t.signal), hasWireCode(250303))
      assert.equal(two.line.seen.length, sent)
      assert.deepEqual((await two.ended(key, 1)).details, stopped.details)
      const next = await two.again(key)
      assert.equal(next.record.status, 'SUCCESS')
      assert.equal(next.overview.success + next.overview.skip, 40)
      assert.equal((await two.files(two.b)).length, 40)
    })

    it('given a target that is away, when its run is stopped, then it ends at once and does not come back', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await two.put(two.a, '/x', 'x')
      const key = await two.create({ enabled: false })
      two.line.script(() => ({ cutAfterBytes: 0 }))
      await two.a.api.call('POST', `${TASKS}/toggle/status/${key}`, undefined, t.signal)
      while (two.line.seen.filter(({ path }) => path.includes('/open')).length < 3) await sleep(POLL_MS)
      await two.a.api.call('POST', `${TASKS}/stop/${key}`, undefined, t.signal)
      const { record } = await two.ended(key, 1)
      // After it, why it had waited.
      assert.match(record.errorReason ?? '', /^stopped by admin(\nbeta: .*)?$/)
      const jobs = () => two.a.db.read.selectFrom('job').select('id').where('kind', '=', 'replicate-link').execute()
      while ((await jobs()).length > 0) await sleep(POLL_MS)
      two.line.script(() => undefined)
      await two.a.idle()
      const there = '/repository/api/project/exist/proj'
      assert.equal(await two.b.api.call('GET', there, undefined, t.signal), false)
    })
  })

  it('case 48: given a RUN_ONCE task, when executed twice quickly, then the second is refused with 250303 and one record is there', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    await two.put(two.a, '/x', 'x')
    const key = await two.create({ replicaType: 'RUN_ONCE' })
    assert.deepEqual(await listRecords(two.a.api, key, t.signal), [])
    const held = two.line.hold(({ path }) => path.includes('/open'))
    await executeTask(two.a.api, key, t.signal)
    await assert.rejects(executeTask(two.a.api, key, t.signal), hasWireCode(250303))
    held.release()
    assert.equal(counts(await two.ended(key, 1)), '1/0/0/0')
    assert.equal((await listRecords(two.a.api, key, t.signal)).length, 1)
    assert.equal(counts(await two.again(key)), '0/1/0/0')
  })
})
