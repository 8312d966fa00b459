import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../../src/core/clock.ts'

export interface ManualClock extends Clock {
  /** Moves time on and wakes sleepers in the order they are due; each may go to sleep again before the next one wakes. */
  advance(ms: number): Promise<void>
  /** Resolves once at least `count` (default 1) are asleep. */
  untilSleeping(count?: number): Promise<void>
  readonly sleeping: number
}

interface Sleeper {
  readonly dueMs: number
  readonly wake: () => void
}

/** A clock that stands still until it is told to move. `startMs`: UTC epoch milliseconds. */
export function manualClock(startMs = Date.UTC(2026, 0, 1)): ManualClock {
  let nowMs = startMs
  const sleepers: Sleeper[] = []
  const remove = (sleeper: Sleeper) => sleepers.splice(sleepers.indexOf(sleeper), 1)
  return {
    now: () => nowMs,
    sleep: (delayMs, signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason)
        const give = () => {
          remove(sleeper)
          reject(signal.reason)
        }
        const sleeper: Sleeper = {
          dueMs: nowMs + Math.max(0, delayMs),
          wake: () => {
            remove(sleeper)
            signal.removeEventListener('abort', give)
            resolve()
          },
        }
        signal.addEventListener('abort', give, { once: true })
        sleepers.push(sleeper)
      }),
    async advance(ms) {
      const endMs = nowMs + ms
      for (;;) {
        const next = sleepers.filter(({ dueMs }) => dueMs <= endMs).sort((a, b) => a.dueMs - b.dueMs)[0]
        if (next === undefined) break
        nowMs = Math.max(nowMs, next.dueMs)
        next.wake()
        await setImmediate()
      }
      nowMs = endMs
    },
    async untilSleeping(count = 1) {
      while (sleepers.length < count) await setImmediate()
    },
    get sleeping() {
      return sleepers.length
    },
  }
}
