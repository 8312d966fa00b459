import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { manualClock } from '../../test/helpers/clock.ts'
import { systemClock } from './system-clock.ts'
import { createSystemIds } from './system-ids.ts'
import { systemRandom } from './system-random.ts'

describe('system ids', () => {
  it('given many ids in one second and the next, when they are compared, then they ascend and have 24 hex digits', async () => {
    const clock = manualClock()
    const ids = createSystemIds(clock, systemRandom)
    const made = Array.from({ length: 1000 }, ids.id)
    await clock.advance(1000)
    made.push(ids.id())
    assert.deepEqual(made, [...new Set(made)].sort())
    for (const id of made) assert.match(id, /^[0-9a-f]{24}$/)
  })

  it('given a clock that steps back, when ids are made, then they still ascend', () => {
    let now = 5000
    const ids = createSystemIds({ now: () => now }, systemRandom)
    const before = ids.id()
    now = 1000
    assert.ok(ids.id() > before)
  })

  it('given keys, when they are made, then they have 32 hex digits and differ', () => {
    const ids = createSystemIds(manualClock(), systemRandom)
    assert.match(ids.key(), /^[0-9a-f]{32}$/)
    assert.notEqual(ids.key(), ids.key())
  })
})

describe('system clock', () => {
  it('given a sleep, when it is aborted, then it rejects with the reason of the signal', async () => {
    const stop = new AbortController()
    const sleeping = systemClock.sleep(2 ** 40, stop.signal)
    stop.abort(new Error('enough'))
    await assert.rejects(sleeping, /^Error: enough$/)
    await assert.rejects(systemClock.sleep(0, stop.signal), /enough/)
  })

  it('given no delay or a negative one, when it sleeps, then it wakes', async (t) => {
    await systemClock.sleep(0, t.signal)
    await systemClock.sleep(-5, t.signal)
  })
})
