import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { manualClock } from '../../../test/helpers/clock.ts'
import { type Circuit, createCircuit } from './circuit.ts'

const fail = (circuit: Circuit, times: number) => {
  for (let time = 0; time < times; time++) circuit.failed()
}

describe('circuit', () => {
  it('given failures with successes between, when asked, then everybody may go; given five in a row, then nobody for 5 s', async () => {
    const clock = manualClock()
    const circuit = createCircuit({ clock })
    fail(circuit, 4)
    circuit.succeeded()
    fail(circuit, 4)
    assert.equal(circuit.ask(), 'go')
    circuit.failed()
    assert.equal(circuit.ask(), 5_000)
    await clock.advance(4_000)
    assert.equal(circuit.ask(), 1_000)
  })

  it('given an open circuit whose time is over, when many ask, then one probes, and its success lets all go', async () => {
    const clock = manualClock()
    const circuit = createCircuit({ clock })
    fail(circuit, 5)
    await clock.advance(5_000)
    assert.equal(circuit.ask(), 'probe')
    assert.equal(typeof circuit.ask(), 'number')
    circuit.succeeded()
    assert.equal(circuit.ask(), 'go')
  })

  it('given probes that fail, when each is told, then the pause doubles up to five minutes; a success forgets it', async () => {
    const clock = manualClock()
    const circuit = createCircuit({ clock })
    fail(circuit, 5)
    const pauses: number[] = []
    for (let probe = 0; probe < 9; probe++) {
      const waitMs = circuit.ask()
      assert.ok(typeof waitMs === 'number')
      pauses.push(waitMs)
      await clock.advance(waitMs)
      assert.equal(circuit.ask(), 'probe')
      circuit.failed()
    }
    assert.deepEqual(pauses, [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000])
    circuit.succeeded()
    fail(circuit, 5)
    assert.equal(circuit.ask(), 5_000)
  })

  it('given calls that were under way when it opened, when they fail as well, then the pause stays as it was', () => {
    const circuit = createCircuit({ clock: manualClock() })
    fail(circuit, 16)
    assert.equal(circuit.ask(), 5_000)
  })

  it('given a probe that never says how it went, when its time is over, then another one probes', async () => {
    const clock = manualClock()
    const circuit = createCircuit({ clock })
    fail(circuit, 5)
    await clock.advance(5_000)
    assert.equal(circuit.ask(), 'probe')
    const waitMs = circuit.ask()
    assert.ok(typeof waitMs === 'number')
    await clock.advance(waitMs)
    assert.equal(circuit.ask(), 'probe')
  })
})
