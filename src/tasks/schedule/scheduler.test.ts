import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import {
  makeCluster,
  makeRepositories,
  type ReplicationServices,
  replicationServices,
  sampleTask,
} from '../../../test/helpers/replication-services.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { openDatabase } from '../../metadata/open-database.ts'
import { lockTask } from '../../metadata/replication/tasks.ts'
import { NO_OVERVIEW } from '../record.ts'
import { closeRecord, createRuns } from '../runs.ts'
import type { ReplicationTask } from '../task.ts'
import { createScheduler, type Scheduler } from './scheduler.ts'

const SECOND = 1_000
const HOUR = 3_600_000

interface Bench extends ReplicationServices {
  readonly scheduler: Scheduler
  readonly skipped: string[]
  readonly errors: unknown[]
  create(executionPlan: object, change?: object): Promise<ReplicationTask>
  /** Ends the run in progress. */
  end(key: string): Promise<void>
  runsOf(key: string): Promise<number>
}

async function bench(db: MetadataDatabase, signal: AbortSignal): Promise<Bench> {
  const services = replicationServices(db)
  const { clock, tasks, records, timetable, wakeUp, runs } = services
  await makeRepositories(db, 'generic-local')
  const cluster = await makeCluster(services, 'beijing')
  const skipped: string[] = []
  const errors: unknown[] = []
  const scheduler = createScheduler({
    ...{ db, clock, runs, timetable, wakeUp },
    onSkipped: ({ name }) => skipped.push(name),
    onError: (error) => errors.push(error),
  })
  let made = 0
  return {
    ...services,
    ...{ scheduler, skipped, errors },
    create: (executionPlan, change = {}) => {
      const sample = sampleTask(`task ${++made}`, [cluster], 'generic-local')
      return tasks.create({ ...sample, setting: { executionPlan }, ...change }, 'admin', signal)
    },
    async end(key) {
      const [record] = await records.list(key)
      const about = { errorReason: null, overview: NO_OVERVIEW, replicatedBytes: 0, totalBytes: 0 }
      const result = { recordId: record!.id, status: 'SUCCESS' as const, ...about, now: clock.now() }
      assert.ok(await db.transact((trx) => closeRecord(trx, result)))
    },
    runsOf: async (key) => (await records.list(key)).length,
  }
}

const HOURLY = { cronExpression: '0 0 * * * ?' }
const shown = ({ status, lastExecutionStatus, nextExecutionAt, executionTimes }: ReplicationTask) => [
  status,
  lastExecutionStatus,
  nextExecutionAt,
  executionTimes,
]

eachDatabase('scheduler', (make) => {
  it('given a cron task, when it fires, ends and fires again, then each firing is one run and the next one is told', async (t) => {
    await using db = await make()
    const at = await bench(db, t.signal)
    const start = at.clock.now()
    const { key, ...task } = await at.create(HOURLY)
    assert.deepEqual(shown(task as ReplicationTask), ['WAITING', null, start + HOUR, 0])
    assert.equal(await at.scheduler.fireDue(), start + HOUR)
    await at.clock.advance(HOUR)
    assert.equal(await at.scheduler.fireDue(), start + 2 * HOUR)
    assert.deepEqual(shown(await at.tasks.get(key)), ['REPLICATING', 'RUNNING', start + 2 * HOUR, 1])
    await at.end(key)
    assert.deepEqual(shown(await at.tasks.get(key)), ['WAITING', 'SUCCESS', start + 2 * HOUR, 1])
    await at.scheduler.fireDue()
    assert.equal(await at.runsOf(key), 1)
    await at.clock.advance(HOUR)
    await at.scheduler.fireDue()
    assert.equal(await at.runsOf(key), 2)
  })

  it('given a specified time, when it comes, then one run, COMPLETED after it, and only execute runs it again', async (t) => {
    await using db = await make()
    const at = await bench(db, t.signal)
    const time = at.clock.now() + HOUR
    const { key, ...task } = await at.create({ executeTime: time })
    assert.deepEqual(shown(task as ReplicationTask), ['WAITING', null, time, 0])
    await at.scheduler.fireDue()
    assert.equal(await at.runsOf(key), 0)
    await at.clock.advance(HOUR)
    assert.equal(await at.scheduler.fireDue(), undefined)
    assert.deepEqual(shown(await at.tasks.get(key)), ['REPLICATING', 'RUNNING', null, 1])
    await at.end(key)
    assert.deepEqual(shown(await at.tasks.get(key)), ['COMPLETED', 'SUCCESS', null, 1])
    await at.tasks.toggle(key, 'admin')
    await at.tasks.toggle(key, 'admin')
    await at.scheduler.fireDue()
    assert.equal(await at.runsOf(key), 1)
    await at.tasks.execute(key)
    assert.equal(await at.runsOf(key), 2)
  })

  it('given a specified time and a run by hand before it, when the run ends before or after the time, then the planned run comes too', async (t) => {
    await using db = await make()
    const at = await bench(db, t.signal)
    const time = at.clock.now() + HOUR
    const early = await at.create({ executeTime: time })
    const late = await at.create({ executeTime: time })
    await at.tasks.execute(early.key)
    await at.end(early.key)
    assert.deepEqual(shown(await at.tasks.get(early.key)), ['WAITING', 'SUCCESS', time, 1])
    await at.tasks.execute(late.key)
    await at.clock.advance(HOUR)
    assert.equal(await at.scheduler.fireDue(), undefined)
    assert.deepEqual([await at.runsOf(early.key), await at.runsOf(late.key)], [2, 1])
    assert.equal((await at.tasks.get(late.key)).nextExecutionAt, time)
    await at.end(late.key)
    await at.clock.advance(SECOND)
    await at.scheduler.fireDue()
    assert.equal(await at.runsOf(late.key), 2)
    await at.end(late.key)
    assert.deepEqual(shown(await at.tasks.get(late.key)), ['COMPLETED', 'SUCCESS', null, 2])
  })

  it('given the server was down, when it starts after three firings, then one run makes up for them and the rest is on time', async (t) => {
    await using db = await make()
    const at = await bench(db, t.signal)
    const { key } = await at.create(HOURLY)
    await at.clock.advance(3 * HOUR + 60 * SECOND)
    const next = Math.ceil(at.clock.now() / HOUR) * HOUR
    assert.equal(await at.scheduler.fireDue(), next)
    await at.end(key)
    await at.scheduler.fireDue()
    assert.equal(await at.runsOf(key), 1)
  })

  it('given tasks that are off when their time comes, when switched on, then the specified one runs and the cron waits for its next', async (t) => {
    await using db = await make()
    const at = await bench(db, t.signal)
    const start = at.clock.now()
    const cron = await at.create(HOURLY)
    const once = await at.create({ executeTime: start + HOUR }, { enabled: false })
    assert.equal(once.nextExecutionAt, null)
    await at.tasks.toggle(cron.key, 'admin')
    assert.equal((await at.tasks.get(cron.key)).nextExecutionAt, null)
    await at.clock.advance(3 * HOUR + 1)
    assert.equal(await at.scheduler.fireDue(), undefined)
    await at.tasks.toggle(cron.key, 'admin')
    await at.tasks.toggle(once.key, 'admin')
    assert.equal((await at.tasks.get(cron.key)).nextExecutionAt, start + 4 * HOUR)
    assert.equal((await at.tasks.get(once.key)).nextExecutionAt, start + HOUR)
    await at.scheduler.fireDue()
    assert.deepEqual([await at.runsOf(cron.key), await at.runsOf(once.key)], [0, 1])
  })

  it('case 15: given cron every 2 s and runs of 5 s, when 12 s pass, then never two at once and the skipped firings are told', async (t) => {
    await using db = await make()
    const at = await bench(db, t.signal)
    const { key, name } = await at.create({ cronExpression: '0/2 * * * * ?' })
    let endsAt = Number.POSITIVE_INFINITY
    for (let second = 0; second < 12; second++) {
      await at.clock.advance(SECOND)
      if (at.clock.now() >= endsAt) {
        await at.end(key)
        endsAt = Number.POSITIVE_INFINITY
      }
      const before = await at.runsOf(key)
      await at.scheduler.fireDue()
      if ((await at.runsOf(key)) > before) endsAt = at.clock.now() + 5 * SECOND
      const running = (await at.records.list(key)).filter(({ status }) => status === 'RUNNING')
      assert.ok(running.length <= 1)
      assert.ok((await at.tasks.get(key)).nextExecutionAt! > at.clock.now())
    }
    // At 2 s and 8 s; 4, 6, 10 and 12 found a run in progress.
    assert.equal(await at.runsOf(key), 2)
    assert.equal((await at.tasks.get(key)).executionTimes, 2)
    assert.deepEqual(at.skipped, [name, name, name, name])
  })

  it('given a run that tries failures again, when a cron fires meanwhile, then the firing waits for its end', async (t) => {
    await using db = await make()
    const at = await bench(db, t.signal)
    const { key } = await at.create(HOURLY)
    await at.clock.advance(HOUR)
    await db.transact(async (trx) => at.runs.start(trx, (await lockTask(trx, key))!, { of: 'x', links: {} }))
    await at.scheduler.fireDue()
    assert.deepEqual([await at.runsOf(key), at.skipped], [1, []])
    await at.end(key)
    await at.clock.advance(SECOND)
    await at.scheduler.fireDue()
    assert.equal(await at.runsOf(key), 2)
  })

  it('given several schedulers and processes, when a firing is due for all of them at once, then one run starts', async (t) => {
    await using db = await make()
    const at = await bench(db, t.signal)
    // An SQLite file belongs to one process.
    await using second = db.dialect === 'postgres' ? await openDatabase(db.config) : undefined
    const other = second ?? db
    const { clock, timetable, wakeUp, jobs } = at
    const ids = { id: () => 'f'.repeat(24), key: () => 'f'.repeat(32) }
    const elsewhere = createScheduler({
      ...{ db: other, clock, timetable, wakeUp },
      runs: createRuns({ clock, ids: ids as never, jobs, timetable }),
      onSkipped: ({ name }) => at.skipped.push(name),
      onError: (error) => at.errors.push(error),
    })
    const { key } = await at.create(HOURLY)
    await clock.advance(HOUR)
    await Promise.all([at.scheduler.fireDue(), elsewhere.fireDue(), at.scheduler.fireDue(), elsewhere.fireDue()])
    assert.equal(await at.runsOf(key), 1)
    assert.equal((await at.tasks.get(key)).executionTimes, 1)
    assert.deepEqual([at.skipped, at.errors], [[], []])
  })

  it('given a clock that jumped years ahead, when it is right again, then the schedule goes on', async (t) => {
    await using db = await make()
    const at = await bench(db, t.signal)
    const { key } = await at.create(HOURLY)
    const right = at.clock.now()
    await db.transact((trx) =>
      trx
        .updateTable('replication_task')
        .set({ next_execution_at: right + 800 * 24 * HOUR, fired_at: right + 800 * 24 * HOUR - HOUR })
        .execute(),
    )
    assert.equal(await at.scheduler.realign(), 1)
    assert.equal((await at.tasks.get(key)).nextExecutionAt, right + HOUR)
    assert.equal(await at.scheduler.realign(), 0)
  })

  it('given what is due and what is off, when plans are realigned, then they stay as they are', async (t) => {
    await using db = await make()
    const at = await bench(db, t.signal)
    const due = await at.create(HOURLY)
    const once = await at.create({ executeTime: at.clock.now() + 2 * HOUR })
    const off = await at.create(HOURLY, { enabled: false })
    await at.clock.advance(HOUR)
    assert.equal(await at.scheduler.realign(), 0)
    assert.equal((await at.tasks.get(due.key)).nextExecutionAt, at.clock.now())
    assert.equal((await at.tasks.get(once.key)).nextExecutionAt, at.clock.now() + HOUR)
    assert.equal((await at.tasks.get(off.key)).nextExecutionAt, null)
  })

  it('given a task whose plan cannot be read, when others are due, then they run, and it is left alone for a while', async (t) => {
    await using db = await make()
    const at = await bench(db, t.signal)
    const broken = await at.create(HOURLY)
    const fine = await at.create(HOURLY)
    await db.transact((trx) =>
      trx.updateTable('replication_task').set({ setting: '{' }).where('key', '=', broken.key).execute(),
    )
    await at.clock.advance(HOUR)
    await at.scheduler.fireDue()
    await at.scheduler.fireDue()
    assert.equal(await at.runsOf(fine.key), 1)
    assert.equal(at.errors.length, 1)
  })

  it('given updates of a task that is done, when its time is changed, then it is planned again, and not when the time stays', async (t) => {
    await using db = await make()
    const at = await bench(db, t.signal)
    const start = at.clock.now()
    const { key, name } = await at.create({ executeTime: start + HOUR })
    const update = (executeTime: number) => {
      const body = {
        ...sampleTask(name, ['beijing'], 'generic-local'),
        key,
        setting: { executionPlan: { executeTime } },
      }
      return at.tasks.update(body, 'admin', t.signal)
    }
    await at.clock.advance(HOUR)
    await at.scheduler.fireDue()
    await at.end(key)
    await update(start + HOUR)
    assert.deepEqual(shown(await at.tasks.get(key)), ['COMPLETED', 'SUCCESS', null, 1])
    await assert.rejects(update(start), { code: 'PARAMETER_INVALID' })
    await update(start + 2 * HOUR)
    assert.deepEqual(shown(await at.tasks.get(key)), ['WAITING', 'SUCCESS', start + 2 * HOUR, 1])
    await at.clock.advance(HOUR)
    await at.scheduler.fireDue()
    assert.equal(await at.runsOf(key), 2)
  })

  it('given the loop, when a task is planned for soon, then it starts on time and the loop ends with its signal', async (t) => {
    await using db = await make()
    const at = await bench(db, t.signal)
    const stop = new AbortController()
    const loop = at.scheduler.run(stop.signal)
    await at.clock.untilSleeping()
    const { key } = await at.create({ executeTime: at.clock.now() + 30 })
    while ((await at.runsOf(key)) === 0) {
      await at.clock.untilSleeping()
      await at.clock.advance(10)
      await setImmediate()
    }
    assert.ok((await at.tasks.get(key)).lastExecutionAt! - at.clock.now() <= 100)
    stop.abort()
    await loop
    assert.deepEqual(at.errors, [])
  })
})
