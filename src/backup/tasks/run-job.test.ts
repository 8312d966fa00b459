import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { type BackupBench, backupBench, DONE } from '../../../test/helpers/backup-tasks.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { AppError } from '../../core/errors.ts'
import { findBackupRun } from '../../metadata/backup/runs.ts'
import { RUN_BACKUP } from './backup-runs.ts'

const outcome = async (at: BackupBench, id: string) => {
  const { state, result, errorReason } = await at.get(id)
  return [state, result, errorReason]
}

/** Starts the run of a new task in a worker that does not come to its end by itself. */
async function began(at: BackupBench, signal?: AbortSignal, change?: object) {
  const id = await at.create(change)
  const runId = await at.tasks.execute(id, 'admin')
  const begun = Promise.withResolvers<void>()
  at.activity.perform = (_run, stop) => {
    begun.resolve()
    return new Promise((_, reject) => stop.addEventListener('abort', () => reject(stop.reason), { once: true }))
  }
  const job = (await at.claim(RUN_BACKUP))!
  const handled = at.handle(job, signal)
  await begun.promise
  return { id, runId, job, handled }
}

eachDatabase('runs of backups', (make) => {
  it('given an activity that succeeds, when its task runs, then task and run tell its outcome and what it counted', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    const id = await at.create()
    at.activity.perform = async ({ progress }) => {
      progress.set({ phase: 'contents', totalBytes: 7 })
      progress.add({ nodes: 2, bytes: 7 })
      return { ...DONE, errorReason: 'nothing was selected', report: { objects: 1 } }
    }
    await at.tasks.execute(id, 'ann')
    await at.work()
    const { task, run } = await at.tasks.get(id)
    assert.deepEqual([task.state, task.result, task.errorReason], ['FINISHED', 'SUCCESS', 'nothing was selected'])
    assert.deepEqual([task.artifactLocation, task.endedAt, run?.report], ['/made', at.clock.now(), { objects: 1 }])
    assert.deepEqual([run?.progress.phase, run?.progress.nodes, run?.progress.bytes], ['contents', 2, 7])
    assert.equal(run?.progress.etaSeconds, 0)
    const [asked] = at.activity.runs
    assert.deepEqual([asked?.by, asked?.place, asked?.startedAt], ['ann', `${at.root}/nightly`, task.startedAt])
    assert.deepEqual(at.told, ['task-1 has begun', 'task-1: SUCCESS, 0 s, 7 bytes, nothing was selected'])
  })

  it('given an activity that throws, when its task runs, then the task is FAILED with the words, and faults of ours are told', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    for (const [error, reason, defects] of [
      [new AppError('STORAGE_UNAVAILABLE', 'disk usage is 85.0 %'), 'disk usage is 85.0 %', 0],
      [Object.assign(new Error('write'), { code: 'ENOSPC' }), /no space left/, 0],
      [new TypeError('a is not b\u0000'), 'a is not b\ufffd', 1],
    ] as const) {
      const id = await at.create()
      at.activity.perform = () => Promise.reject(error)
      await at.tasks.execute(id, 'admin')
      await at.work()
      const { state, result, errorReason } = await at.get(id)
      assert.deepEqual([state, result], ['FINISHED', 'FAILED'])
      if (reason instanceof RegExp) assert.match(errorReason!, reason)
      else assert.equal(errorReason, reason)
      assert.equal(at.defects.length, defects)
    }
  })

  it('given a place that is allowed no more, when the task runs, then it is FAILED and says so', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    const id = await at.create()
    await db.transact((trx) => trx.updateTable('backup_task').set({ store_location: '/etc' }).execute())
    await at.tasks.execute(id, 'admin')
    await at.work()
    assert.match((await at.get(id)).errorReason!, /storeLocation.*allowedRoots/)
    assert.equal(at.activity.runs.length, 0)
  })

  it('given a place that has become a run, when another backup goes there, then it is refused at creation and when it runs', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    const id = await at.create({ storeLocation: 'place' })
    await mkdir(join(at.root, 'place'))
    await writeFile(join(at.root, 'place/manifest.json'), '{}')
    await assert.rejects(at.create({ storeLocation: 'place/deeper' }), /is a run of a backup/)
    await at.tasks.execute(id, 'admin')
    await at.work()
    assert.match((await at.get(id)).errorReason!, /storeLocation.*is a run of a backup/)
    assert.equal(at.activity.runs.length, 0)
  })

  it('given a run that goes on, when it is cancelled, then it is cut at once and ends CANCELLED', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    const { id, handled } = await began(at)
    await at.tasks.cancel(id, 'ann')
    await handled
    assert.deepEqual(await outcome(at, id), ['FINISHED', 'CANCELLED', 'it was cancelled'])
    assert.equal((await at.get(id)).modifiedBy, 'ann')
  })

  it('given a run of another process, when it is cancelled, then it hears of it when it writes its counters', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    const { id, runId, handled } = await began(at)
    await db.transact((trx) => trx.updateTable('backup_run').set({ cancelled: 1 }).where('id', '=', runId).execute())
    await at.clock.untilSleeping()
    await at.clock.advance(2_000)
    await handled
    assert.deepEqual((await outcome(at, id)).slice(0, 2), ['FINISHED', 'CANCELLED'])
  })

  it('given a run that nobody has begun, when it is cancelled, then it has ended and is never begun', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    const id = await at.create()
    await at.tasks.execute(id, 'admin')
    await at.tasks.cancel(id, 'admin')
    assert.deepEqual((await outcome(at, id)).slice(0, 2), ['FINISHED', 'CANCELLED'])
    await at.work()
    assert.equal(at.activity.runs.length, 0)
  })

  it('given a server that stops, when a run is aborted, then it ends FAILED as interrupted', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    const stop = new AbortController()
    const { id, handled } = await began(at, stop.signal)
    stop.abort(new DOMException('The server is stopping', 'AbortError'))
    await handled
    assert.match(String(await outcome(at, id)), /^FINISHED,FAILED,interrupted/)
  })

  it('given a process that was killed in mid-run, when its job is claimed again, then the run is swept and ends FAILED as interrupted', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    const { id, runId, job } = await began(at)
    await at.queue.releaseInstallation('test', 'test:1')
    const again = (await at.claim(RUN_BACKUP))!
    assert.equal(again.epoch, job.epoch + 1)
    await at.handle(again)
    assert.deepEqual(at.activity.swept, [runId])
    assert.match(at.told.join(), /^task-1 has begun,task-1: FAILED, 0 s, 0 bytes, interrupted/)
    assert.match(String(await outcome(at, id)), /^FINISHED,FAILED,interrupted/)
    assert.equal(at.activity.runs.length, 1)
  })

  it('given a cron task whose run was killed, when it is executed again, then it runs, and its next time is as it was', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    const cron = { executionStrategy: 'CRON_EXPRESSION', executionPlan: { cronExpression: '0 0 2 * * ?' } }
    const { id } = await began(at, undefined, { backupSetting: cron })
    const { nextExecutionAt } = await at.get(id)
    await at.queue.releaseInstallation('test', 'test:1')
    await at.handle((await at.claim(RUN_BACKUP))!)
    assert.match(String(await outcome(at, id)), /^PENDING,FAILED,interrupted/)
    at.activity.perform = async () => DONE
    await at.tasks.execute(id, 'admin')
    await at.work()
    assert.deepEqual((await outcome(at, id)).slice(0, 2), ['PENDING', 'SUCCESS'])
    assert.equal((await at.get(id)).nextExecutionAt, nextExecutionAt)
  })

  it('given the first worker still alive, when another has ended its run, then it is cut and writes nothing', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    const { id, handled } = await began(at)
    await at.clock.untilSleeping()
    await at.queue.releaseInstallation('test', 'test:1')
    await at.handle((await at.claim(RUN_BACKUP))!)
    const refused = assert.rejects(handled, { code: 'FENCED' })
    await at.clock.advance(2_000)
    await refused
    assert.match(String(await outcome(at, id)), /^FINISHED,FAILED,interrupted/)
  })

  it('given leftovers that cannot be removed, when they are swept, then the run ends all the same and says so', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    const { id } = await began(at)
    at.activity.clean = () => Promise.reject(new AppError('STORAGE_UNAVAILABLE', 'the share is away'))
    await at.queue.releaseInstallation('test', 'test:1')
    await at.handle((await at.claim(RUN_BACKUP))!)
    assert.match((await at.get(id)).errorReason!, /interrupted.*could not be removed: the share is away/)
  })

  it('given a database that could not take the end, when the job comes again, then that end is told, not an interruption', async () => {
    await using db = await make()
    await using at = await backupBench(db)
    const id = await at.create()
    const runId = await at.tasks.execute(id, 'admin')
    const transact = db.transact
    at.activity.perform = async () => {
      Object.assign(at.db, { transact: () => Promise.reject(new Error('the disk is full')) })
      return DONE
    }
    const job = (await at.claim(RUN_BACKUP))!
    await assert.rejects(at.handle(job), /the disk is full/)
    Object.assign(at.db, { transact })
    assert.equal((await at.get(id)).state, 'RUNNING')
    await at.queue.retryAt(job, 'test:0', at.clock.now())
    await at.work()
    assert.deepEqual((await outcome(at, id)).slice(0, 2), ['FINISHED', 'SUCCESS'])
    assert.deepEqual([at.activity.runs.length, at.activity.swept], [1, []])
    assert.equal((await findBackupRun(db.read, runId))?.result, 'SUCCESS')
  })

  it('given a caller that waits, when the run ends or the time is over, then it goes on', async (t) => {
    await using db = await make()
    await using at = await backupBench(db)
    const { id, runId, handled } = await began(at)
    const over = at.tasks.ended(runId, 5_000, t.signal)
    await at.clock.untilSleeping(2)
    await at.clock.advance(5_000)
    // Its next look finds the time over.
    await at.clock.advance(5_000)
    await over
    const ended = at.tasks.ended(runId, 600_000, t.signal)
    await at.tasks.cancel(id, 'admin')
    await handled
    await ended
    assert.equal((await at.get(id)).state, 'FINISHED')
  })
})
