import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { manualClock } from '../../../test/helpers/clock.ts'
import { createCircuit } from './circuit.ts'

const FOR_EVER = Number.POSITIVE_INFINITY
const start = () => {
  const clock = manualClock()
  const circuit = createCircuit({ clock, reasonOf: ({ reason }) => new Error(reason) })
  const fail = (times: number) => {
    for (let n = 1; n <= times; n++) circuit.failed(`failure ${n}`)
  }
  return { clock, circuit, fail }
}

describe('circuit', () => {
  it('given five failures in a row, when asked, then nobody goes for 5 s, and the reason says since when', async () => {
    const { clock, circuit, fail } = start()
    const begunAt = clock.now()
    const { broken } = circuit
    fail(4)
    assert.equal(circuit.ask(FOR_EVER), 'go')
    await clock.advance(100)
    fail(1)
    const now = clock.now()
    const outage = { since: begunAt, nextTryAt: now + 5_000, failedAt: now, reason: 'failure 1' }
    assert.deepEqual(circuit.ask(FOR_EVER), outage)
    assert.ok(broken.aborted)
    assert.equal(circuit.broken.aborted, false)
  })

  it('given an answer between failures, when they are told, then they are not in a row', () => {
    const { circuit, fail } = start()
    fail(4)
    assert.equal(circuit.isTrusted, false)
    circuit.succeeded()
    assert.equal(circuit.isTrusted, true)
    fail(4)
    assert.equal(circuit.ask(FOR_EVER), 'go')
  })

  it('given the pause is over, when several ask, then one goes; after its failure the pause is twice as long, up to 5 minutes', async () => {
    const { clock, circuit, fail } = start()
    fail(5)
    for (const pauseMs of [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]) {
      await clock.advance(pauseMs - 1)
      assert.equal(typeof circuit.ask(FOR_EVER), 'object')
      await clock.advance(1)
      assert.equal(circuit.ask(FOR_EVER), 'probe')
      assert.equal(typeof circuit.ask(FOR_EVER), 'object')
      circuit.failed('still')
    }
    await clock.advance(300_000)
    assert.equal(circuit.ask(FOR_EVER), 'probe')
    circuit.succeeded()
    assert.equal(circuit.ask(FOR_EVER), 'go')
    fail(5)
    const now = clock.now()
    const outage = { since: now, nextTryAt: now + 5_000, failedAt: now, reason: 'failure 5' }
    assert.deepEqual(circuit.ask(FOR_EVER), outage)
  })

  it('given calls that were under way when it opened, when they fail too, then that says nothing new', async () => {
    const { clock, circuit, fail } = start()
    fail(12)
    const { nextTryAt, reason } = circuit.ask(FOR_EVER) as { nextTryAt: number; reason: string }
    assert.deepEqual([nextTryAt, reason], [clock.now() + 5_000, 'failure 5'])
  })

  it('given a probe that never tells, when the pause is over again, then another one probes', async () => {
    const { clock, circuit, fail } = start()
    fail(5)
    await clock.advance(5_000)
    assert.equal(circuit.ask(FOR_EVER), 'probe')
    await clock.advance(10_000)
    assert.equal(circuit.ask(FOR_EVER), 'probe')
  })

  it('given somebody who waits for a minute, when the target stays away, then pauses are a quarter of what is left of it, and 5 s at least', async () => {
    const { clock, circuit, fail } = start()
    const until = clock.now() + 60_000
    const left: number[] = []
    for (fail(5); clock.now() < until; circuit.failed('still')) {
      const asked = circuit.ask(until)
      assert.ok(typeof asked === 'object')
      await clock.advance(asked.nextTryAt - clock.now())
      assert.equal(circuit.ask(until), 'probe')
      left.push(Math.round((until - clock.now()) / 1000))
    }
    assert.deepEqual(left, [55, 45, 34, 25, 19, 14, 9, 4, -1])
    assert.equal((circuit.ask(FOR_EVER) as { nextTryAt: number }).nextTryAt, clock.now() + 300_000)
  })
})
