import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createLinkSlots, type WaitingLink } from './link-slots.ts'

const link = (linkId: number, taskKey = 'task', clusterId = 'beta'): WaitingLink => ({
  ...{ linkId, taskKey, clusterId },
  recordId: `record of ${taskKey}`,
})

describe('places for links', () => {
  it('given a target with all places taken, when more links come, then they are turned away, and those of other targets are not', () => {
    const slots = createLinkSlots({ most: () => 2, call: () => assert.fail() })
    assert.ok(slots.enter(link(1)) && slots.enter(link(2)))
    assert.equal(slots.enter(link(3)), undefined)
    assert.equal(slots.enter(link(3)), undefined)
    assert.equal(slots.waitingFor('beta'), 1)
    assert.ok(slots.enter(link(4, 'task', 'gamma')))
  })

  it('given links of two tasks that wait, when places become free, then they are called task by task', () => {
    const called: number[] = []
    const slots = createLinkSlots({ most: () => 2, call: ({ linkId }) => called.push(linkId) })
    const [first, second] = [slots.enter(link(1, 'a')), slots.enter(link(2, 'a'))]
    for (const [id, task] of [
      [3, 'a'],
      [4, 'a'],
      [5, 'b'],
    ] as const)
      assert.equal(slots.enter(link(id, task)), undefined)
    first![Symbol.dispose]()
    assert.deepEqual(called, [5])
    assert.ok(slots.enter(link(5, 'b')))
    second![Symbol.dispose]()
    assert.deepEqual(called, [5, 3])
    assert.equal(slots.waitingFor('beta'), 1)
  })

  it('given a target that is known better by then, when one ends, then all that have a place are called', () => {
    let most = 1
    const called: number[] = []
    const slots = createLinkSlots({ most: () => most, call: ({ linkId }) => called.push(linkId) })
    const first = slots.enter(link(1))
    for (const id of [2, 3, 4]) slots.enter(link(id))
    most = 2
    first![Symbol.dispose]()
    assert.deepEqual(called, [2, 3])
  })
})
