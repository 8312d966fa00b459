import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ManualClock } from '../../test/helpers/clock.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import type { JobQueue, JobRequest } from './job-queue.ts'

export interface QueueUnderTest extends AsyncDisposable {
  readonly queue: JobQueue
  readonly db: MetadataDatabase
  readonly clock: ManualClock
}

const LEASE_MS = 10_000
const KINDS = ['run', 'other']

function request(dedupeKey: string, more: Partial<JobRequest> = {}): JobRequest {
  return { kind: 'run', dedupeKey, payload: { key: dedupeKey }, ...more }
}

/** What `job-queue.ts` promises, for every adapter. */
export function jobQueueContract(name: string, make: () => Promise<QueueUnderTest>): void {
  describe(`JobQueue contract: ${name}`, () => {
    const enqueue = ({ db, queue }: QueueUnderTest, ...jobs: JobRequest[]) =>
      db.transact(async (trx) => {
        for (const job of jobs) await queue.enqueue(job, trx)
      })
    const claim = ({ queue }: QueueUnderTest, owner = 'i:1') => queue.claim(owner, KINDS, LEASE_MS)
    const claimKey = async (at: QueueUnderTest, owner?: string) => (await claim(at, owner))?.payload.key

    it('given a request in a transaction that rolls back, when claimed, then there is none', async () => {
      await using at = await make()
      const failed = at.db.transact(async (trx) => {
        await at.queue.enqueue(request('a'), trx)
        throw new Error('no')
      })
      await assert.rejects(failed)
      assert.equal(await claim(at), undefined)
    })

    it('given a due job, when two owners claim, then one gets it with its payload, epoch and attempt', async () => {
      await using at = await make()
      await enqueue(at, request('a', { payload: { recordId: 'r1' } }))
      const [one, two] = await Promise.all([claim(at, 'i:1'), claim(at, 'j:1')])
      const got = one ?? two
      assert.equal(one === undefined || two === undefined, true)
      assert.deepEqual({ ...got, id: '' }, { id: '', kind: 'run', payload: { recordId: 'r1' }, epoch: 1, attempts: 1 })
    })

    it('given 20 jobs, when 4 owners claim all at once, then each job goes to one of them', async () => {
      await using at = await make()
      await enqueue(at, ...Array.from({ length: 20 }, (_, n) => request(String(n))))
      const drain = async (owner: string) => {
        const keys: string[] = []
        for (let job = await claim(at, owner); job !== undefined; job = await claim(at, owner)) keys.push(job.id)
        return keys
      }
      const claimed = (await Promise.all(['i:1', 'j:1', 'k:1', 'l:1'].map(drain))).flat()
      assert.deepEqual([claimed.length, new Set(claimed).size], [20, 20])
    })

    it('given jobs due at different times, when claimed, then the one that waits longest comes first and later ones not yet', async () => {
      await using at = await make()
      const now = at.clock.now()
      await enqueue(
        at,
        request('late', { runAt: now + 1 }),
        request('new', { runAt: now }),
        request('old', { runAt: now - 5 }),
      )
      assert.deepEqual([await claimKey(at), await claimKey(at), await claimKey(at)], ['old', 'new', undefined])
      await at.clock.advance(1)
      assert.equal(await claimKey(at), 'late')
    })

    it('given kinds, when claimed, then jobs of other kinds stay', async () => {
      await using at = await make()
      await enqueue(at, request('a', { kind: 'foreign' }))
      assert.equal(await claim(at), undefined)
      assert.equal((await at.queue.claim('i:1', ['foreign'], LEASE_MS))?.kind, 'foreign')
    })

    it('given a waiting job, when requested again, then it is still one job, moved earlier but never later', async () => {
      await using at = await make()
      const now = at.clock.now()
      await enqueue(at, request('a', { runAt: now + 100 }))
      await enqueue(at, request('a', { runAt: now + 200 }))
      assert.equal(await at.queue.nextDue(KINDS), now + 100)
      await enqueue(at, request('a'))
      assert.equal(await claimKey(at), 'a')
      assert.equal(await claim(at), undefined)
    })

    it('given a running job, when requested and then finished, then it runs once more with the new payload', async () => {
      await using at = await make()
      await enqueue(at, request('a'))
      const first = (await claim(at))!
      await enqueue(at, request('a'), request('a', { payload: { key: 'again' } }))
      assert.equal(await claim(at), undefined)
      assert.equal(await at.queue.finish(first, 'i:1'), true)
      const second = (await claim(at))!
      assert.deepEqual([second.payload.key, second.attempts], ['again', 1])
      assert.equal(await at.queue.finish(second, 'i:1'), true)
      assert.equal(await claim(at), undefined)
    })

    it('given a running job, when requested for later and then finished, then it waits until then', async () => {
      await using at = await make()
      const later = at.clock.now() + 60_000
      await enqueue(at, request('a'))
      const first = (await claim(at))!
      await enqueue(at, request('a', { runAt: later }))
      await at.queue.finish(first, 'i:1')
      assert.equal(await at.queue.nextDue(KINDS), later)
    })

    it('given a running job requested for later, when its owner dies, then both the repeat and the later run happen', async () => {
      await using at = await make()
      const later = at.clock.now() + 60_000
      await enqueue(at, request('a'))
      await claim(at)
      await enqueue(at, request('a', { runAt: later }))
      await at.clock.advance(LEASE_MS)
      const repeat = (await claim(at, 'j:1'))!
      assert.equal(await at.queue.finish(repeat, 'j:1'), true)
      assert.equal(await at.queue.nextDue(KINDS), later)
    })

    it('given an owner that died, when its lease ends, then another one gets the job with a higher epoch', async () => {
      await using at = await make()
      await enqueue(at, request('a'))
      const dead = (await claim(at, 'i:1'))!
      await at.clock.advance(LEASE_MS - 1)
      assert.equal(await claim(at, 'j:1'), undefined)
      await at.clock.advance(1)
      const next = (await claim(at, 'j:1'))!
      assert.deepEqual([next.id, next.epoch, next.attempts], [dead.id, 2, 2])
    })

    it('given a stale owner, when it beats, finishes or retries, then it is refused and the new owner keeps the job', async () => {
      await using at = await make()
      await enqueue(at, request('a'))
      const stale = (await claim(at, 'i:1'))!
      await at.clock.advance(LEASE_MS)
      const next = (await claim(at, 'i:1'))! // the same owner: only the epoch tells the claims apart
      assert.equal(await at.queue.heartbeat(stale, 'i:1', LEASE_MS), false)
      assert.equal(await at.queue.finish(stale, 'i:1'), false)
      assert.equal(await at.queue.retryAt(stale, 'i:1', 0), false)
      assert.equal(await at.queue.finish(next, 'j:1'), false)
      assert.equal(await at.queue.finish(next, 'i:1'), true)
    })

    it('given heartbeats, when the first lease would have ended, then the job is not handed out', async () => {
      await using at = await make()
      await enqueue(at, request('a'))
      const job = (await claim(at, 'i:1'))!
      await at.clock.advance(LEASE_MS - 1)
      assert.equal(await at.queue.heartbeat(job, 'i:1', LEASE_MS), true)
      await at.clock.advance(LEASE_MS - 1)
      assert.equal(await claim(at, 'j:1'), undefined)
    })

    it('given a retry for later, when it is due, then it is handed out with one more attempt', async () => {
      await using at = await make()
      await enqueue(at, request('a'))
      const job = (await claim(at))!
      assert.equal(await at.queue.retryAt(job, 'i:1', at.clock.now() + 500), true)
      assert.equal(await claim(at), undefined)
      await at.clock.advance(500)
      assert.deepEqual((await claim(at))?.attempts, 2)
    })

    it('given a job postponed, when it is due, then it is handed out as a first attempt', async () => {
      await using at = await make()
      await enqueue(at, request('a'))
      const first = (await claim(at))!
      await at.queue.retryAt(first, 'i:1', at.clock.now())
      const second = (await claim(at))!
      assert.equal(await at.queue.postpone(second, 'i:1', at.clock.now() + 500), true)
      assert.equal(await at.queue.postpone(second, 'i:1', at.clock.now() + 500), false)
      assert.equal(await claim(at), undefined)
      await at.clock.advance(500)
      assert.deepEqual((await claim(at))?.attempts, 1)
    })

    it('given a retry for later, when it was requested meanwhile or is requested then, then it does not wait', async () => {
      await using at = await make()
      await enqueue(at, request('a'))
      const first = (await claim(at))!
      await enqueue(at, request('a'))
      await at.queue.retryAt(first, 'i:1', at.clock.now() + 500)
      const second = (await claim(at))!
      await at.queue.retryAt(second, 'i:1', at.clock.now() + 500)
      assert.equal(await claim(at), undefined)
      await enqueue(at, request('a'))
      assert.equal(await claimKey(at), 'a')
    })

    it('given leases of earlier lives, when the installation starts again, then they are free at once and no others', async () => {
      await using at = await make()
      await enqueue(at, ...['a', 'b', 'c', 'd'].map((key) => request(key)))
      const owners = ['inst:1', 'inst:2', 'inst2:1', 'ins:1']
      const claims = []
      for (const owner of owners) claims.push((await claim(at, owner))!)
      assert.equal(await at.queue.releaseInstallation('inst', 'inst:2'), 1)
      assert.equal((await claim(at, 'inst:2'))?.id, claims[0]!.id)
      assert.equal(await claim(at, 'inst:2'), undefined)
      assert.equal(await at.queue.finish(claims[0]!, 'inst:1'), false)
      assert.equal(await at.queue.finish(claims[1]!, 'inst:2'), true)
    })

    it('given jobs due, waiting and running, when measured, then the depth counts the due and nextDue tells the next', async () => {
      await using at = await make()
      const now = at.clock.now()
      assert.deepEqual([await at.queue.depth(), await at.queue.nextDue(KINDS)], [0, undefined])
      await enqueue(at, request('a'), request('b'), request('c', { runAt: now + 5 }))
      await claim(at)
      assert.deepEqual([await at.queue.depth(), await at.queue.nextDue(KINDS)], [1, now])
      assert.equal(await at.queue.nextDue(['none']), undefined)
    })
  })
}
