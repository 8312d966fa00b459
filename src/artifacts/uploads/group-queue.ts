import { setImmediate } from 'node:timers/promises'

/** What became of one item. */
export type Answer<R> = { readonly value: R } | { readonly error: unknown }

/**
 * Work that is done for many at the price of one: one group is under way, whoever comes meanwhile waits for the next one. An idle
 * queue starts at once, with what came in the same turn of the event loop; there is no timer.
 */
export interface GroupQueue<T, R> {
  /** @throws what `run` says of this item; the signal's reason when it aborts before the item's group begins. */
  add(item: T, signal: AbortSignal): Promise<R>
}

export interface GroupRules<T, R> {
  readonly mostItems: number
  readonly mostBytes: number
  bytesOf(item: T): number
  /** Items of one key are never in one group; they keep their order. */
  keyOf(item: T): string
  /** An answer for each, in their order. A throw is everybody's. */
  run(items: readonly T[]): Promise<readonly Answer<R>[]>
}

interface Waiting<T, R> {
  readonly item: T
  readonly key: string
  readonly signal: AbortSignal
  readonly resolve: (value: R) => void
  readonly reject: (error: unknown) => void
}

export function createGroupQueue<T, R>(rules: GroupRules<T, R>): GroupQueue<T, R> {
  let waiting: Waiting<T, R>[] = []
  let working = false

  /** Takes out what may go together. What has to wait keeps its place. */
  function nextGroup(): Waiting<T, R>[] {
    const group: Waiting<T, R>[] = []
    const left: Waiting<T, R>[] = []
    const keys = new Set<string>()
    let bytes = 0
    let full = false
    for (const one of waiting) {
      if (one.signal.aborted) {
        one.reject(one.signal.reason)
        continue
      }
      const size = rules.bytesOf(one.item)
      full ||= group.length === rules.mostItems || (group.length > 0 && bytes + size > rules.mostBytes)
      if (full || keys.has(one.key)) left.push(one)
      else {
        group.push(one)
        bytes += size
      }
      keys.add(one.key)
    }
    waiting = left
    return group
  }

  async function answerAll(group: readonly Waiting<T, R>[]): Promise<void> {
    try {
      const answers = await rules.run(group.map(({ item }) => item))
      for (const [index, { resolve, reject }] of group.entries()) {
        const answer = answers[index]!
        if ('value' in answer) resolve(answer.value)
        else reject(answer.error)
      }
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
  }

  async function work(): Promise<void> {
    working = true
    for (;;) {
      await setImmediate()
      const group = nextGroup()
      if (group.length === 0) break
      await answerAll(group)
    }
    working = false
  }

  return {
    add: (item, signal) =>
      new Promise((resolve, reject) => {
        waiting.push({ item, key: rules.keyOf(item), signal, resolve, reject })
        if (!working) void work()
      }),
  }
}
