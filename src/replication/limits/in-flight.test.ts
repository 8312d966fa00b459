import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOf } from '../../../test/helpers/blobs.ts'
import { createInFlight } from './in-flight.ts'

describe('contents in flight', () => {
  it('given a content that somebody sends, when others claim it, then they hear how it went, and it is free again', async () => {
    const flights = createInFlight()
    assert.equal(flights.claim(digestOf('a')), 'mine')
    const others = [flights.claim(digestOf('a')), flights.claim(digestOf('a'))]
    assert.equal(flights.claim(digestOf('b')), 'mine')
    flights.settle(digestOf('a'), 'arrived')
    assert.deepEqual(await Promise.all(others), ['arrived', 'arrived'])
    assert.equal(flights.claim(digestOf('a')), 'mine')
  })

  it('given a sender that failed, when the others hear of it, then one of them is next', async () => {
    const flights = createInFlight()
    flights.claim(digestOf('a'))
    const waiting = [1, 2, 3].map(async () => {
      assert.equal(await flights.claim(digestOf('a')), 'failed')
      return flights.claim(digestOf('a')) === 'mine' ? 'mine' : 'waits'
    })
    flights.settle(digestOf('a'), 'failed')
    assert.deepEqual((await Promise.all(waiting)).sort(), ['mine', 'waits', 'waits'])
  })

  it("given more than are kept in mind, when claimed, then all are the claimant's and nothing is kept", () => {
    const flights = createInFlight(2)
    for (const text of ['a', 'b', 'c', 'c']) assert.equal(flights.claim(digestOf(text)), 'mine')
    assert.equal(flights.size, 2)
    flights.settle(digestOf('c'), 'arrived')
    assert.equal(flights.size, 2)
    flights.settle(digestOf('a'), 'arrived')
    assert.equal(flights.size, 1)
  })
})
