import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../core/clock.ts'

/** The longest that a timer can wait; longer sleeps are several. */
const MAX_TIMER_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(delayMs, signal) {
    for (let left = Math.max(0, delayMs); ; left -= MAX_TIMER_MS) {
      try {
        await sleep(Math.min(left, MAX_TIMER_MS), undefined, { signal })
      } catch (error) {
        // Callers are promised the reason, not the AbortError that wraps it.
        throw signal.aborted ? signal.reason : error
      }
      if (left <= MAX_TIMER_MS) return
    }
  },
}
