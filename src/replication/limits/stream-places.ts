/** Places at one target, which serves a limited number of streams: who needs one gets it from who rests. Memory only. */
export interface StreamPlaces {
  /**
   * Waits for a place, in order. @param close ends what holds it, when that rests and somebody else waits. Must not reject.
   * @throws the signal's reason.
   */
  enter(close: () => Promise<void>, signal: AbortSignal): Promise<StreamPlace>
}
export interface StreamPlace {
  /** Nothing is on its way: the place goes to somebody else when one waits. */
  rests(): void
  works(): void
  /** More than once is fine. */
  leave(): void
}

interface Holder extends StreamPlace {
  readonly close: () => Promise<void>
}

export function createStreamPlaces(most: number): StreamPlaces {
  const taken = new Set<Holder>()
  /** In the order in which they came to rest. */
  const resting = new Set<Holder>()
  const waiting = new Set<() => void>()
  /** Places that are on their way to those that wait. */
  let closing = 0

  function reclaim(): void {
    for (const holder of resting) {
      if (closing >= waiting.size) return
      resting.delete(holder)
      closing++
      void holder.close().finally(() => {
        closing--
        holder.leave()
      })
    }
  }
  function serve(): void {
    for (const go of waiting) {
      if (taken.size >= most) return
      waiting.delete(go)
      go()
    }
  }
  function take(close: () => Promise<void>): StreamPlace {
    const holder: Holder = {
      close,
      rests() {
        if (!taken.has(holder)) return
        resting.add(holder)
        reclaim()
      },
      works() {
        resting.delete(holder)
      },
      leave() {
        resting.delete(holder)
        if (taken.delete(holder)) serve()
      },
    }
    taken.add(holder)
    return holder
  }

  return {
    enter: (close, signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason)
        const give = () => {
          waiting.delete(go)
          reject(signal.reason)
        }
        const go = () => {
          signal.removeEventListener('abort', give)
          resolve(take(close))
        }
        signal.addEventListener('abort', give, { once: true })
        waiting.add(go)
        serve()
        reclaim()
      }),
  }
}
