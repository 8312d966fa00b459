import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import * as fc from 'fast-check'
import { type ManualClock, manualClock } from '../../../test/helpers/clock.ts'
import { createRateLimiter, type RateLimit } from './rate-limiter.ts'

const MIB = 1024 * 1024
const SECONDS = 1_000

/** Takes pieces of this size again and again; tells what it got. */
function keepTaking(limit: RateLimit, pieceBytes: number, signal: AbortSignal): () => number {
  let taken = 0
  const go = async () => {
    while (!signal.aborted) {
      await limit.take(pieceBytes, signal)
      taken += pieceBytes
    }
  }
  go().catch(() => {})
  return () => taken
}
async function pass(clock: ManualClock, ms: number): Promise<void> {
  for (let at = 0; at < ms; at += 10) {
    await clock.advance(10)
    await setImmediate()
  }
}
const within = (actual: number, expected: number, share: number) =>
  assert.ok(Math.abs(actual - expected) <= expected * share, `${actual} instead of ${expected}`)

function started(bytesPerSecond?: number) {
  const clock = manualClock()
  const stop = new AbortController()
  return { clock, limiter: createRateLimiter({ clock, bytesPerSecond }), stop, signal: stop.signal }
}

describe('rate limiter', () => {
  it('given no limit at any level, when taken from, then there is nothing to wait for', () => {
    const { limiter, clock, signal } = started()
    const stream = limiter.nested('remote', undefined).nested('task', undefined).nested('stream', undefined)
    assert.equal(stream.take(100 * MIB, signal), undefined)
    assert.equal(clock.sleeping, 0)
  })

  it('given a limit and takers of any size, when four seconds pass, then it is kept within 3 %', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 50_000, max: 50 * MIB }),
        fc.array(fc.integer({ min: 8_192, max: 4 * MIB }), { minLength: 1, maxLength: 4 }),
        async (rate, sizes) => {
          const { limiter, clock, stop, signal } = started()
          const task = limiter.nested('task', rate)
          // Larger pieces than come in four seconds could only be all or nothing.
          const pieces = sizes.map((size) => Math.min(size, Math.ceil(rate / 100)))
          const takers = pieces.map((size, number) => keepTaking(task.nested(`${number}`, undefined), size, signal))
          await pass(clock, 4 * SECONDS)
          stop.abort()
          within(
            takers.reduce((sum, taken) => sum + taken(), 0),
            rate * 4,
            0.03,
          )
        },
      ),
      { numRuns: 8 },
    )
  })

  it('given a take that is larger than the limit, when it is let go, then that took as long as its bytes', async () => {
    const { limiter, clock, signal } = started(1 * MIB)
    let done = false
    const taking = limiter.take(2 * MIB, signal)!.then(() => {
      done = true
    })
    await pass(clock, 1.9 * SECONDS)
    assert.equal(done, false)
    await pass(clock, 0.1 * SECONDS)
    await taking
  })

  it('given streams of one task with pieces of different size, when they wait for it, then each gets the same share', async () => {
    const { limiter, clock, stop, signal } = started()
    const task = limiter.nested('remote', undefined).nested('task', 4 * MIB)
    const takers = [4_096, 50_000, MIB].map((size, number) =>
      keepTaking(task.nested(`${number}`, undefined), size, signal),
    )
    await pass(clock, 12 * SECONDS)
    stop.abort()
    for (const taken of takers) within(taken(), 16 * MIB, 0.08)
  })

  it('given a task with one stream and one with three, when the remote is the limit, then tasks share it, not streams', async () => {
    const { limiter, clock, stop, signal } = started()
    const remote = limiter.nested('remote', 8 * MIB)
    const [one, three] = [remote.nested('one', undefined), remote.nested('three', undefined)]
    const alone = keepTaking(one.nested('0', undefined), 64 * 1024, signal)
    const many = ['0', '1', '2'].map((name) => keepTaking(three.nested(name, undefined), 64 * 1024, signal))
    await pass(clock, 4 * SECONDS)
    stop.abort()
    within(alone(), 16 * MIB, 0.05)
    within(
      many.reduce((sum, taken) => sum + taken(), 0),
      16 * MIB,
      0.05,
    )
  })

  it('given a task with a low limit of its own, when another one is there, then that one gets the rest', async () => {
    const { limiter, clock, stop, signal } = started(10 * MIB)
    const slow = keepTaking(limiter.nested('slow', 1 * MIB), 8_192, signal)
    const fast = keepTaking(limiter.nested('fast', undefined), 8_192, signal)
    await pass(clock, 4 * SECONDS)
    stop.abort()
    within(slow(), 4 * MIB, 0.03)
    within(fast(), 36 * MIB, 0.03)
  })

  it('given one that comes late, when it joins, then it is not owed what it did not use', async () => {
    const { limiter, clock, stop, signal } = started(4 * MIB)
    const early = keepTaking(limiter.nested('early', undefined), 16_384, signal)
    await pass(clock, 4 * SECONDS)
    const before = early()
    const late = keepTaking(limiter.nested('late', undefined), 16_384, signal)
    await pass(clock, 4 * SECONDS)
    stop.abort()
    within(early() - before, 8 * MIB, 0.05)
    within(late(), 8 * MIB, 0.05)
  })

  it('given a pause, when taking begins again, then what was not used has lapsed', async () => {
    const { limiter, clock, stop, signal } = started(1 * MIB)
    await clock.advance(60 * SECONDS)
    const taken = keepTaking(limiter, 4_096, signal)
    await pass(clock, 4 * SECONDS)
    stop.abort()
    within(taken(), 4 * MIB, 0.03)
  })

  it('given one that goes away while it waits, when it aborts, then it hears so and the others go on', async () => {
    const { limiter, clock, stop, signal } = started(100_000)
    const gone = new AbortController()
    const leaving = assert.rejects(limiter.nested('a', undefined).take(50_000, gone.signal)!, /gone/)
    const staying = keepTaking(limiter.nested('b', undefined), 1_000, signal)
    await pass(clock, 20)
    gone.abort(new Error('gone'))
    await leaving
    await pass(clock, 4 * SECONDS)
    stop.abort()
    within(staying(), 400_000, 0.04)
    assert.equal(clock.sleeping, 0)
  })

  it('given a limit that is changed or lifted while some wait, when it is set, then it holds from there on', async () => {
    const { limiter, clock, stop, signal } = started(1 * MIB)
    const taken = keepTaking(limiter, 4_096, signal)
    await pass(clock, 2 * SECONDS)
    within(taken(), 2 * MIB, 0.03)
    limiter.setRate(4 * MIB)
    const before = taken()
    await pass(clock, 2 * SECONDS)
    stop.abort()
    within(taken() - before, 8 * MIB, 0.04)
    const waiting = limiter.take(10 * MIB, new AbortController().signal)
    limiter.setRate(undefined)
    await waiting
  })

  it('given a bucket of one name, when several name it, then they share it until the last one closes it', async () => {
    const { limiter, clock, stop, signal } = started()
    const [first, second] = [limiter.nested('task', MIB), limiter.nested('task', MIB)]
    const takers = [first, second].map((limit) => keepTaking(limit, 4_096, signal))
    await pass(clock, 4 * SECONDS)
    stop.abort()
    within(takers[0]!() + takers[1]!(), 4 * MIB, 0.03)
    first.close()
    limiter.nested('task', undefined)
    assert.equal(second.take(100 * MIB, new AbortController().signal), undefined)
  })
})
