import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type BackupBench, backupBench, DONE } from '../../../test/helpers/backup-tasks.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { hasCode } from '../../core/errors.ts'
import { FIRE_BACKUP, RUN_BACKUP } from './backup-runs.ts'

const MINUTE = 60_000
const EVERY_MINUTE = {
  backupSetting: { executionStrategy: 'CRON_EXPRESSION', executionPlan: { cronExpression: '0 * * * * ?' } },
}
const at = (ms: number) => ({
  backupSetting: { executionStrategy: 'SPECIFIED_TIME', executionPlan: { executeTime: ms } },
})

const runsOf = async (bench: BackupBench, id: string) =>
  (await bench.tasks.pageRuns(id, { pageNumber: 1, pageSize: 100 })).totalRecords

/** Claims the job of a run and leaves it. */
async function leaveRunning(bench: BackupBench): Promise<void> {
  assert.ok((await bench.claim(RUN_BACKUP)) !== undefined)
}

eachDatabase('planned backups', (make) => {
  it('case 36: given a cron of every minute, when minutes pass, then each is one run, never two at once, PENDING between', async () => {
    await using db = await make()
    await using bench = await backupBench(db)
    const id = await bench.create(EVERY_MINUTE)
    const start = bench.clock.now()
    assert.equal((await bench.get(id)).nextExecutionAt, start + MINUTE)
    await bench.work()
    assert.equal(await runsOf(bench, id), 0)
    for (let minute = 1; minute <= 3; minute++) {
      await bench.clock.advance(MINUTE)
      bench.activity.perform = async () => {
        assert.equal((await bench.get(id)).state, 'RUNNING')
        return { ...DONE, artifactLocation: `/made/${minute}` }
      }
      await bench.work()
      const { state, result, artifactLocation, endedAt, nextExecutionAt } = await bench.get(id)
      assert.deepEqual([state, result, artifactLocation], ['PENDING', 'SUCCESS', `/made/${minute}`])
      assert.deepEqual([endedAt, nextExecutionAt], [bench.clock.now(), start + (minute + 1) * MINUTE])
      assert.equal(await runsOf(bench, id), minute)
    }
    assert.equal(bench.activity.runs[0]?.by, 'admin')
    const rows = await db.read.selectFrom('audit_log').selectAll().orderBy('id').execute()
    const ids = bench.activity.runs.map((run) => run.id)
    assert.deepEqual(
      rows.map(({ user_id, action, resource, outcome, at, trace_id }) => [
        user_id,
        action,
        resource,
        outcome,
        at,
        trace_id,
      ]),
      ids.map((runId, minute) => [
        ...['admin', 'FIRE /job/api/job/backup/execute/:taskId', `name=task-1 taskId=${id}`, 'SUCCESS'],
        ...[start + (minute + 1) * MINUTE, runId],
      ]),
    )
  })

  it('given a run longer than its cron, when firings come meanwhile, then they are skipped and told', async () => {
    await using db = await make()
    await using bench = await backupBench(db)
    const id = await bench.create(EVERY_MINUTE)
    await bench.clock.advance(MINUTE)
    await bench.handle((await bench.claim(FIRE_BACKUP))!)
    await leaveRunning(bench)
    for (let minute = 0; minute < 2; minute++) {
      await bench.clock.advance(MINUTE)
      await bench.handle((await bench.claim(FIRE_BACKUP))!)
    }
    assert.equal(await runsOf(bench, id), 1)
    assert.deepEqual(bench.skipped, ['task-1', 'task-1'])
    assert.equal((await bench.get(id)).nextExecutionAt, bench.clock.now() + MINUTE)
  })

  it('given a cron task between its times, when it is executed, then it runs at once and its times stay', async () => {
    await using db = await make()
    await using bench = await backupBench(db)
    const id = await bench.create(EVERY_MINUTE)
    const next = bench.clock.now() + MINUTE
    await bench.clock.advance(MINUTE / 2)
    await bench.tasks.execute(id, 'ann')
    await bench.work()
    assert.deepEqual([(await bench.get(id)).state, (await bench.get(id)).nextExecutionAt], ['PENDING', next])
    await bench.clock.advance(MINUTE / 2)
    await bench.work()
    assert.equal(await runsOf(bench, id), 2)
  })

  it('given a specified time, when it comes, then one run, and the task is FINISHED for good', async () => {
    await using db = await make()
    await using bench = await backupBench(db)
    const id = await bench.create(at(bench.clock.now() + MINUTE))
    await bench.clock.advance(5 * MINUTE)
    await bench.work()
    const { state, result, nextExecutionAt } = await bench.get(id)
    assert.deepEqual([state, result, nextExecutionAt], ['FINISHED', 'SUCCESS', null])
    assert.equal(await runsOf(bench, id), 1)
  })

  it('given a specified time and a run by hand before it, when the time comes, then nothing runs', async () => {
    await using db = await make()
    await using bench = await backupBench(db)
    const id = await bench.create(at(bench.clock.now() + MINUTE))
    await bench.tasks.execute(id, 'admin')
    await bench.work()
    await bench.clock.advance(2 * MINUTE)
    await bench.work()
    assert.equal(await runsOf(bench, id), 1)
  })

  it('given two tasks of one place, when both are due, then the second waits for a specified time and is skipped for a cron', async () => {
    await using db = await make()
    await using bench = await backupBench(db)
    const first = await bench.create({ name: 'same' })
    const once = await bench.create({ name: 'same', ...at(bench.clock.now() + MINUTE) })
    const cron = await bench.create({ name: 'same', ...EVERY_MINUTE })
    await bench.tasks.execute(first, 'admin')
    const held = (await bench.claim(RUN_BACKUP))!
    await bench.clock.advance(MINUTE)
    for (let fired = 0; fired < 2; fired++) await bench.handle((await bench.claim(FIRE_BACKUP))!)
    assert.deepEqual([(await bench.get(once)).state, (await bench.get(cron)).state], ['PENDING', 'PENDING'])
    assert.deepEqual(bench.skipped, ['same'])
    await bench.handle(held).catch((error) => assert.ok(hasCode(error, 'FENCED')))
    await bench.clock.advance(10_000)
    await bench.work()
    assert.equal((await bench.get(once)).state, 'FINISHED')
  })

  it('given a server that was down, when it starts, then one run makes up for what was missed, and runs without a job get theirs', async () => {
    await using db = await make()
    await using bench = await backupBench(db)
    const cron = await bench.create(EVERY_MINUTE)
    const running = await bench.create()
    await bench.tasks.execute(running, 'admin')
    await db.transact((trx) => trx.deleteFrom('job').execute())
    await bench.clock.advance(10 * MINUTE + 1)
    await bench.fire.recover()
    await bench.work()
    assert.deepEqual([await runsOf(bench, cron), await runsOf(bench, running)], [1, 1])
    assert.equal((await bench.get(running)).state, 'FINISHED')
    assert.equal((await bench.get(cron)).nextExecutionAt, bench.clock.now() - 1 + MINUTE)
  })

  it('given a clock that jumped years ahead, when the server starts with the right one, then the schedule goes on', async () => {
    await using db = await make()
    await using bench = await backupBench(db)
    const id = await bench.create(EVERY_MINUTE)
    const far = bench.clock.now() + 10_000 * MINUTE
    await db.transact(async (trx) => {
      await trx.updateTable('backup_task').set({ next_execution_at: far }).execute()
      await trx.updateTable('job').set({ due_at: far }).execute()
    })
    await bench.fire.recover()
    assert.equal((await bench.get(id)).nextExecutionAt, bench.clock.now() + MINUTE)
    await bench.clock.advance(MINUTE)
    await bench.work()
    assert.equal(await runsOf(bench, id), 1)
  })

  it('given a task that is deleted, when its time comes, then nothing happens', async () => {
    await using db = await make()
    await using bench = await backupBench(db)
    const id = await bench.create(EVERY_MINUTE)
    await bench.tasks.delete(id)
    await bench.clock.advance(MINUTE)
    await bench.work()
    assert.equal(bench.activity.runs.length, 0)
    assert.equal(await db.read.selectFrom('job').select('id').executeTakeFirst(), undefined)
  })
})
