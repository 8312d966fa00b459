import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createStreamShares, type StreamSeat } from './stream-shares.ts'

/** Opens as many as each may, in turns. @returns how many each has. */
function fill(...seats: StreamSeat[]): number[] {
  const open = seats.map(() => 0)
  for (let grew = true; grew; ) {
    grew = false
    for (const [n, seat] of seats.entries()) {
      if (!seat.mayBegin()) continue
      seat.begin()
      open[n]!++
      grew = true
    }
  }
  return open
}

describe('streams to one target', () => {
  it('given one link, when it grows, then it has all that are welcome', () => {
    const shares = createStreamShares(() => 8)
    assert.deepEqual(fill(shares.join('a')), [8])
    assert.equal(shares.open, 8)
  })

  it('given tasks with different numbers of links, when they grow, then tasks share, then the links of each', () => {
    const shares = createStreamShares(() => 8)
    const [a, ...b] = ['a', 'b', 'b'].map((key) => shares.join(key))
    assert.deepEqual(fill(a!, ...b), [4, 2, 2])
  })

  it('given fewer than links, when they grow, then each has one of its own accord and none more', () => {
    const shares = createStreamShares(() => 2)
    const seats = ['a', 'b', 'c'].map((key) => shares.join(key))
    for (const seat of seats) seat.begin()
    assert.ok(seats.every((seat) => !seat.mayBegin() && seat.mayGoOn()))
  })

  it('given one that has all, when another joins, then what is too much does not go on, and the other gets it', () => {
    const shares = createStreamShares(() => 6)
    const first = shares.join('a')
    fill(first)
    const second = shares.join('b')
    second.begin()
    assert.equal(first.mayGoOn(), false)
    for (let n = 0; n < 3; n++) first.end()
    assert.equal(first.mayGoOn(), true)
    assert.deepEqual(fill(second), [2])
    assert.equal(first.mayBegin(), false)
    second.leave()
    for (let n = 0; n < 3; n++) second.end()
    assert.equal(first.mayBegin(), true)
  })

  it('given one that has enough, when the others grow, then they have what it leaves', () => {
    const shares = createStreamShares(() => 8)
    const [small, large] = [shares.join('a'), shares.join('b')]
    small.begin()
    small.hasEnough()
    assert.deepEqual(fill(large), [7])
  })
})
