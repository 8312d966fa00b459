import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createPushWindows } from './push-windows.ts'

describe('windows of versions on their way', () => {
  it('given two windows, when the second ends first, then nothing is taken before the first has ended', () => {
    const windows = createPushWindows(10)
    const first = windows.open(20, ['a'], 2)
    const second = windows.open(30, ['b', 'c'], 1)
    second.endedOne()
    first.endedOne()
    assert.deepEqual([windows.hasEnded, windows.count], [false, 2])
    assert.deepEqual(windows.take(), { others: [], upTo: 10 })
    first.endedOne()
    assert.equal(windows.hasEnded, true)
    assert.deepEqual(windows.take(), { others: ['a', 'b', 'c'], upTo: 30 })
    assert.equal(windows.count, 0)
  })

  it('given a step with nothing in it, when something is under way before it, then it is taken with that', () => {
    const windows = createPushWindows(10)
    windows.pass(11)
    assert.deepEqual(windows.take(), { others: [], upTo: 11 })
    const window = windows.open(12, [], 1)
    windows.pass(13)
    assert.equal(windows.take().upTo, 11)
    window.endedOne()
    assert.equal(windows.take().upTo, 13)
  })

  it('given what is no step of the log, when it ends, then its paths are taken and the number stays', () => {
    const windows = createPushWindows(10)
    const window = windows.open(undefined, ['gone'], 1)
    window.endedOne()
    assert.deepEqual(windows.take(), { others: ['gone'], upTo: 10 })
  })

  it('given a push under way, when its path is asked for, then it is waited for, and is not idle until then', async () => {
    const windows = createPushWindows(0)
    const push = Promise.withResolvers<void>()
    windows.begun('a', push.promise)
    assert.deepEqual(windows.idle(['a', 'b']), ['b'])
    const ended = windows.ended(['a', 'b'])
    push.resolve()
    await ended
    await windows.allEnded()
    assert.deepEqual(windows.idle(['a']), ['a'])
  })
})
