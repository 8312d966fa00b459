import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { type ManualClock, manualClock } from '../../test/helpers/clock.ts'
import { eachDatabase, type MakeDatabase } from '../../test/helpers/databases.ts'
import { hasCode } from '../core/errors.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import type { JobQueue, JobRequest } from './job-queue.ts'
import { createLeaseTableQueue } from './lease-table.ts'
import { createWorker, type JobHandler, type Worker } from './worker.ts'

const LEASE_MS = 9_000

interface Bench extends AsyncDisposable {
  readonly db: MetadataDatabase
  readonly clock: ManualClock
  readonly queue: JobQueue
  /** What workers told of. */
  readonly errors: unknown[]
  enqueue(...keys: string[]): Promise<void>
  jobs(): Promise<number>
  /** Resolves when what the workers wrote before is durable, too. */
  written(): Promise<void>
  worker(handler: JobHandler, more?: { owner?: string; concurrency?: number; queue?: JobQueue }): Worker
}

async function bench(make: MakeDatabase): Promise<Bench> {
  const db = await make()
  const clock = manualClock()
  const queue = createLeaseTableQueue({ db, clock })
  const errors: unknown[] = []
  const workers: Worker[] = []
  const request = (dedupeKey: string): JobRequest => ({ kind: 'run', dedupeKey, payload: { key: dedupeKey } })
  const jobs = async () => (await db.read.selectFrom('job').where('kind', '=', 'run').select('id').execute()).length
  const written = () => db.transact((trx) => queue.enqueue({ kind: 'tick', dedupeKey: 'tick', payload: {} }, trx))
  return {
    db,
    clock,
    queue,
    errors,
    jobs,
    written,
    enqueue: (...keys) =>
      db.transact(async (trx) => {
        for (const key of keys) await queue.enqueue(request(key), trx)
      }),
    worker(handler, more = {}) {
      const onError = (error: unknown) => errors.push(error)
      const defaults = { queue, clock, owner: 'i:1', concurrency: 2, leaseMs: LEASE_MS, onError }
      const worker = createWorker({ ...defaults, ...more, handlers: new Map([['run', handler]]) })
      workers.push(worker)
      worker.start()
      return worker
    },
    async [Symbol.asyncDispose]() {
      for (const worker of workers) await passTimeUntil({ clock, written }, worker.stop(0))
      await db[Symbol.asyncDispose]()
    },
  }
}

/** A handler whose calls the test sees and ends one by one. */
function scripted() {
  const calls: {
    key: string
    signal: AbortSignal
    end: (outcome?: { retryAt: number }) => void
    fail: (error: Error) => void
  }[] = []
  let waiters: (() => void)[] = []
  const handler: JobHandler = (job, signal) =>
    new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      calls.push({ key: job.payload.key!, signal, end: resolve, fail: reject })
      for (const wake of waiters) wake()
      waiters = []
    })
  /** Resolves with the calls once there are `count`. */
  const called = async (count: number) => {
    while (calls.length < count) await new Promise<void>((resolve) => waiters.push(resolve))
    return calls
  }
  return { handler, called, calls }
}

eachDatabase('job worker', (make) => {
  it('given a job, when its handler returns, then the job is gone', async () => {
    await using at = await bench(make)
    const script = scripted()
    await at.enqueue('a')
    at.worker(script.handler)
    const [call] = await script.called(1)
    call!.end()
    await until(async () => (await at.jobs()) === 0)
    assert.deepEqual(at.errors, [])
  })

  it('given an idle worker, when it is notified of a job, then the job starts without time passing', async () => {
    await using at = await bench(make)
    const script = scripted()
    const worker = at.worker(script.handler)
    await at.clock.untilSleeping()
    await at.enqueue('a')
    worker.notify()
    assert.equal((await script.called(1))[0]!.key, 'a')
  })

  it('given an idle worker, when a job comes from elsewhere, then it starts within half a second', async () => {
    await using at = await bench(make)
    const script = scripted()
    at.worker(script.handler)
    await at.clock.untilSleeping()
    await at.enqueue('a')
    await at.clock.advance(500)
    await script.called(1)
  })

  it('given places for two, when three jobs are due, then the third starts when one has ended', async () => {
    await using at = await bench(make)
    const script = scripted()
    await at.enqueue('a', 'b', 'c')
    at.worker(script.handler)
    const calls = await script.called(2)
    await at.clock.untilSleeping(3) // two leases and the loop
    assert.equal(calls.length, 2)
    calls[0]!.end()
    assert.equal((await script.called(3))[2]!.key, 'c')
  })

  it('given a job requested while it runs, when it ends, then it runs once more', async () => {
    await using at = await bench(make)
    const script = scripted()
    await at.enqueue('a')
    at.worker(script.handler)
    const calls = await script.called(1)
    await at.enqueue('a')
    calls[0]!.end()
    ;(await script.called(2))[1]!.end()
    await until(async () => (await at.jobs()) === 0)
    assert.equal(calls.length, 2)
  })

  it('given a handler that asks to be called later, when the time comes, then it is called again', async () => {
    await using at = await bench(make)
    const script = scripted()
    await at.enqueue('a')
    at.worker(script.handler)
    const calls = await script.called(1)
    calls[0]!.end({ retryAt: at.clock.now() + 300 })
    await waitingJobs(at, 1)
    assert.equal(calls.length, 1)
    await at.clock.untilSleeping()
    await at.clock.advance(300)
    await passTimeUntil(at, script.called(2))
  })

  it('given a handler that throws, when it is called again, then pauses double and the errors are told', async () => {
    await using at = await bench(make)
    const script = scripted()
    await at.enqueue('a')
    at.worker(script.handler)
    for (const [attempt, pauseMs] of [1_000, 2_000, 4_000].entries()) {
      const calls = await passTimeUntil(at, script.called(attempt + 1))
      const now = at.clock.now()
      calls[attempt]!.fail(new Error(`broken ${attempt}`))
      await waitingJobs(at, 1)
      assert.equal(await at.queue.nextDue(['run']), now + pauseMs)
    }
    assert.deepEqual(
      at.errors.map((error) => (error as Error).message),
      ['broken 0', 'broken 1', 'broken 2'],
    )
  })

  it('given a long job, when time passes, then its lease is renewed and nobody else gets it', async () => {
    await using at = await bench(make)
    const script = scripted()
    await at.enqueue('a')
    at.worker(script.handler)
    const calls = await script.called(1)
    for (let passed = 0; passed < 2 * LEASE_MS; passed += LEASE_MS / 3) {
      await at.clock.untilSleeping(2)
      const before = await at.queue.nextDue(['run'])
      await at.clock.advance(LEASE_MS / 3)
      await until(async () => (await at.queue.nextDue(['run'])) !== before)
    }
    assert.equal(await at.queue.claim('j:1', ['run'], LEASE_MS), undefined)
    assert.equal(calls[0]!.signal.aborted, false)
  })

  it('given a job taken over, when its first owner beats, then its handler is aborted and the new owner keeps the job', async () => {
    await using at = await bench(make)
    const script = scripted()
    await at.enqueue('a')
    at.worker(script.handler)
    const calls = await script.called(1)
    await at.queue.releaseInstallation('i', 'none')
    const taken = (await at.queue.claim('j:1', ['run'], LEASE_MS))!
    const aborted = new Promise((resolve) => calls[0]!.signal.addEventListener('abort', resolve))
    await at.clock.untilSleeping(2)
    await at.clock.advance(LEASE_MS / 3)
    await aborted
    assert.equal(hasCode(calls[0]!.signal.reason, 'FENCED'), true)
    assert.equal(await at.queue.finish(taken, 'j:1'), true)
  })

  it('given a queue that cannot be reached, when the lease would have ended, then the handler is aborted', async () => {
    await using at = await bench(make)
    const script = scripted()
    await at.enqueue('a')
    const deaf: JobQueue = { ...at.queue, heartbeat: () => Promise.reject(new Error('unreachable')) }
    at.worker(script.handler, { queue: deaf })
    const calls = await script.called(1)
    const aborted = new Promise((resolve) => calls[0]!.signal.addEventListener('abort', resolve))
    await passTimeUntil(at, aborted)
    assert.equal(hasCode(calls[0]!.signal.reason, 'FENCED'), true)
    assert.equal(at.errors.length > 2, true)
  })

  it('given a queue that fails for a while, when it is back, then jobs run', async () => {
    await using at = await bench(make)
    const script = scripted()
    let broken = true
    const claim: JobQueue['claim'] = (...given) =>
      broken ? Promise.reject(new Error('down')) : at.queue.claim(...given)
    await at.enqueue('a')
    at.worker(script.handler, { queue: { ...at.queue, claim } })
    await at.clock.untilSleeping()
    broken = false
    await passTimeUntil(at, script.called(1))
    assert.equal((at.errors[0] as Error).message, 'down')
  })

  it('given a worker that died, when its lease ends, then another one runs the job', async () => {
    await using at = await bench(make)
    await at.enqueue('a')
    assert.notEqual(await at.queue.claim('dead:1', ['run'], LEASE_MS), undefined)
    const script = scripted()
    at.worker(script.handler)
    await at.clock.untilSleeping()
    assert.equal(script.calls.length, 0)
    await passTimeUntil(at, script.called(1))
    assert.equal(at.clock.now() >= LEASE_MS, true)
  })

  it('given two workers, when 30 jobs are enqueued, then each runs once', async () => {
    await using at = await bench(make)
    const ran: string[] = []
    const all = Promise.withResolvers<void>()
    const handler: JobHandler = async (job) => {
      if (ran.push(job.payload.key!) === 30) all.resolve()
      return undefined
    }
    await at.enqueue(...Array.from({ length: 30 }, (_, n) => String(n)))
    at.worker(handler)
    at.worker(handler, { owner: 'j:1' })
    await all.promise
    await until(async () => (await at.jobs()) === 0)
    assert.equal(new Set(ran).size, 30)
    assert.equal(ran.length, 30)
  })

  it('given a running job, when stopped, then it may end and nothing new begins', async () => {
    await using at = await bench(make)
    const script = scripted()
    await at.enqueue('a')
    const worker = at.worker(script.handler)
    const calls = await script.called(1)
    const stopped = worker.stop(5_000)
    await at.enqueue('b')
    worker.notify()
    calls[0]!.end()
    await stopped
    assert.deepEqual([calls.length, calls[0]!.signal.aborted, await at.jobs()], [1, false, 1])
  })

  it('given a job that does not end, when the drain time is over, then it is aborted and its lease is given back', async () => {
    await using at = await bench(make)
    const script = scripted()
    await at.enqueue('a')
    const worker = at.worker(script.handler)
    const calls = await script.called(1)
    const stopped = worker.stop(5_000)
    await passTimeUntil(at, stopped)
    assert.equal((calls[0]!.signal.reason as Error).name, 'AbortError')
    assert.deepEqual(at.errors, [])
    const next = await at.queue.claim('i:2', ['run'], LEASE_MS)
    assert.equal(next?.attempts, 1)
  })
})

/** Lets time go by, a tenth of a second each step, until `what` has happened. */
async function passTimeUntil<T>(at: Pick<Bench, 'clock' | 'written'>, what: Promise<T>): Promise<T> {
  let happened = false
  const seen = what.finally(() => {
    happened = true
  })
  await until(async () => {
    if (!happened) await at.clock.advance(100)
    await at.written() // so that time does not outrun the worker's own writes: a lease could end while it is claimed
    return happened
  })
  return seen
}

/** Until that many jobs are in the queue and nobody has them. */
function waitingJobs(at: Bench, count: number): Promise<void> {
  const free = at.db.read.selectFrom('job').where('kind', '=', 'run').where('owner', 'is', null).select('id')
  return until(async () => (await free.execute()).length === count)
}

/** Asks again and again, and lets everything else have its turn in between. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await setImmediate()
}
