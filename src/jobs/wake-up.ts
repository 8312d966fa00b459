import type { Clock } from '../core/clock.ts'

export interface WakeUp {
  /** Ends the wait; one that comes while nobody waits ends the next wait at once. */
  ring(): void
  wait(atMostMs: number): Promise<void>
}

/** One waiter's alarm clock that others may ring earlier. */
export function createWakeUp(clock: Clock): WakeUp {
  let rung = Promise.withResolvers<void>()
  return {
    ring: () => rung.resolve(),
    async wait(atMostMs) {
      const over = new AbortController()
      await Promise.race([rung.promise, clock.sleep(atMostMs, over.signal).catch(() => {})])
      over.abort()
      rung = Promise.withResolvers()
    },
  }
}
