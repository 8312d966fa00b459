import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { createGroupQueue, type GroupRules } from './group-queue.ts'

/** Items are texts: the first letter is the key, the length is the size. Each group waits until it is let go. */
function held(rules: Partial<GroupRules<string, string>> = {}) {
  const groups: { readonly items: readonly string[]; readonly go: () => void }[] = []
  const queue = createGroupQueue<string, string>({
    mostItems: 100,
    mostBytes: 1_000,
    bytesOf: (item) => item.length,
    keyOf: (item) => item[0]!,
    async run(items) {
      const { promise, resolve } = Promise.withResolvers<void>()
      groups.push({ items, go: resolve })
      await promise
      return items.map((item) => ({ value: item.toUpperCase() }))
    },
    ...rules,
  })
  const next = async (count: number) => {
    while (groups.length < count) await setImmediate()
    return groups[count - 1]!
  }
  return { queue, groups, next }
}

describe('group queue', () => {
  it('given an idle queue, when items come in one turn, then they are one group, and whoever comes meanwhile is the next', async (t) => {
    const { queue, next, groups } = held()
    const first = ['a', 'b'].map((item) => queue.add(item, t.signal))
    const one = await next(1)
    const second = ['c', 'd'].map((item) => queue.add(item, t.signal))
    await setImmediate()
    assert.equal(groups.length, 1)
    one.go()
    const two = await next(2)
    two.go()
    assert.deepEqual(await Promise.all([...first, ...second]), ['A', 'B', 'C', 'D'])
    assert.deepEqual(
      [one.items, two.items],
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
    )
  })

  it('given more than fits a group, when it fills, then the rest waits in its order, and one that is too large goes alone', async (t) => {
    const { queue, next } = held({ mostItems: 2, mostBytes: 4 })
    const all = ['a', 'b', 'c', 'ddddddd', 'eee', 'ff'].map((item) => queue.add(item, t.signal))
    const groups: (readonly string[])[] = []
    for (let number = 1; number <= 5; number++) {
      const { items, go } = await next(number)
      groups.push(items)
      go()
    }
    await Promise.all(all)
    assert.deepEqual(groups, [['a', 'b'], ['c'], ['ddddddd'], ['eee'], ['ff']])
  })

  it('given several of one key, when groups are made, then each is in a group of its own, in their order', async (t) => {
    const { queue, next } = held()
    const all = ['a1', 'a2', 'b1', 'a3', 'b2'].map((item) => queue.add(item, t.signal))
    const groups: (readonly string[])[] = []
    for (let number = 1; number <= 3; number++) {
      const { items, go } = await next(number)
      groups.push(items)
      go()
    }
    await Promise.all(all)
    assert.deepEqual(groups, [['a1', 'b1'], ['a2', 'b2'], ['a3']])
  })

  it('given one that went away before its group begins, when the group is made, then it is left out', async (t) => {
    const { queue, next } = held()
    const gone = new AbortController()
    const stays = queue.add('a', t.signal)
    const leaves = assert.rejects(queue.add('b', gone.signal), /gone/)
    gone.abort(new Error('gone'))
    const { items, go } = await next(1)
    assert.deepEqual(items, ['a'])
    go()
    await leaves
    assert.equal(await stays, 'A')
  })

  it('given a group that fails as a whole, when it throws, then all of it hear so and the queue goes on', async (t) => {
    let broken = true
    const { queue } = held({
      run: async (items) => {
        if (broken) throw new Error('disk')
        return items.map((item) => (item === 'c' ? { error: new Error('not you') } : { value: item }))
      },
    })
    const lost = await Promise.allSettled(['a', 'b'].map((item) => queue.add(item, t.signal)))
    assert.deepEqual(
      lost.map(({ status }) => status),
      ['rejected', 'rejected'],
    )
    broken = false
    const [c, d] = await Promise.allSettled(['c', 'd'].map((item) => queue.add(item, t.signal)))
    assert.equal(c!.status, 'rejected')
    assert.deepEqual(d, { status: 'fulfilled', value: 'd' })
  })
})
