import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { createStreamPlaces } from './stream-places.ts'

const never = new AbortController().signal
const unused = async () => assert.fail('it works')

describe('places of streams', () => {
  it('given all places are at work, when one comes to rest, then it is closed for the first that waits, and not before', async () => {
    const places = createStreamPlaces(1)
    const closed: string[] = []
    const first = await places.enter(async () => void closed.push('first'), never)
    const came: string[] = []
    const second = places.enter(async () => void closed.push('second'), never)
    void second.then((place) => {
      came.push('second')
      place.rests()
    })
    void places.enter(unused, never).then(() => came.push('third'))
    await setImmediate()
    assert.deepEqual([closed, came], [[], []])
    first.rests()
    await setImmediate()
    assert.deepEqual(
      [closed, came],
      [
        ['first', 'second'],
        ['second', 'third'],
      ],
    )
  })

  it('given nobody waits, when one rests, then it keeps its place', async () => {
    const places = createStreamPlaces(1)
    const first = await places.enter(unused, never)
    first.rests()
    first.works()
    first.leave()
    first.leave()
    await places.enter(unused, never)
  })

  it('given one that waits and gives up, when a place is free, then it goes to the next', async () => {
    const places = createStreamPlaces(1)
    const first = await places.enter(unused, never)
    const stop = new AbortController()
    const second = places.enter(unused, stop.signal)
    const third = places.enter(unused, never)
    stop.abort(new Error('enough'))
    await assert.rejects(second, /enough/)
    first.leave()
    await third
  })
})
