import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createReadAhead } from './read-ahead.ts'

describe('memory for contents under way to one remote', () => {
  it('given room, when taken, then it is gone until it is given back', () => {
    const ahead = createReadAhead(10)
    assert.deepEqual([ahead.tryTake(6), ahead.tryTake(6), ahead.tryTake(4)], [true, false, true])
    ahead.giveBack(6)
    assert.equal(ahead.tryTake(6), true)
  })

  it('given none, when a stream takes its first batch, then it has it, and others have less', () => {
    const ahead = createReadAhead(10)
    ahead.take(20)
    assert.equal(ahead.tryTake(1), false)
    ahead.giveBack(20)
    assert.equal(ahead.tryTake(10), true)
  })
})
