import type { Clock } from '../../core/clock.ts'

/** What came: values, or nothing for a while (`idle`), or what was waited for besides (`meanwhile`), or the end. */
export type Fed<T> = readonly T[] | 'idle' | 'meanwhile' | 'end'

export interface FrameFeed<T> {
  /** @param meanwhile ends the waiting as well; when it throws, this throws. @param idleMs undefined: waits for ever. */
  next(meanwhile: Promise<unknown> | undefined, idleMs: number | undefined): Promise<Fed<T>>
  /** Nothing more is wanted. */
  close(): void
}

/** An asynchronous sequence that can be waited for among other things without losing what comes. */
export function createFrameFeed<T>(source: AsyncIterable<readonly T[]>, clock: Pick<Clock, 'sleep'>): FrameFeed<T> {
  const iterator = source[Symbol.asyncIterator]()
  let pending: Promise<Fed<T>> | undefined
  const pull = async (): Promise<Fed<T>> => {
    const { done, value } = await iterator.next()
    return done === true ? 'end' : value
  }
  /** The one after `pending` is only asked for when that was taken. */
  const taken = <V>(fed: V): V => {
    if (fed !== 'idle' && fed !== 'meanwhile') pending = undefined
    return fed
  }

  return {
    async next(meanwhile, idleMs) {
      if (pending === undefined) {
        pending = pull()
        pending.catch(() => undefined)
      }
      if (meanwhile !== undefined)
        return taken(await Promise.race([pending, meanwhile.then(() => 'meanwhile' as const)]))
      if (idleMs === undefined) return taken(await pending)
      const timer = new AbortController()
      try {
        return taken(await Promise.race([pending, clock.sleep(idleMs, timer.signal).then(() => 'idle' as const)]))
      } finally {
        timer.abort()
      }
    },
    close() {
      void iterator.return?.().catch(() => undefined)
    },
  }
}
