import type { Clock } from '../../core/clock.ts'

/** One limit: tokens come in evenly, one per byte, and those that nobody takes in time lapse. */
export interface TokenBucket {
  readonly limited: boolean
  /** Until something may be taken; 0: at once. */
  waitMs(): number
  /** May leave a debt, which the next one waits for. */
  take(bytes: number): void
  /** How much comes in during so many milliseconds. */
  bytesIn(ms: number): number
  setRate(bytesPerSecond: number | undefined): void
}

/** What may be caught up on after a pause, a late timer among them. It keeps any four seconds within 3 % (sync design B.12). */
const KEPT_MS = 80

/** @param bytesPerSecond undefined: no limit. */
export function createTokenBucket(clock: Pick<Clock, 'now'>, bytesPerSecond: number | undefined): TokenBucket {
  let bytesPerMs = perMs(bytesPerSecond)
  let tokens = 0
  let at = clock.now()

  function refill(): void {
    const now = clock.now()
    if (now === at) return
    tokens = Math.min(bytesPerMs * KEPT_MS, tokens + bytesPerMs * (now - at))
    at = now
  }
  return {
    get limited() {
      return bytesPerMs !== Number.POSITIVE_INFINITY
    },
    waitMs() {
      if (!this.limited) return 0
      refill()
      return tokens >= 0 ? 0 : Math.ceil(-tokens / bytesPerMs)
    },
    take(bytes) {
      if (!this.limited) return
      refill()
      tokens -= bytes
    },
    bytesIn: (ms) => bytesPerMs * ms,
    setRate(wanted) {
      if (this.limited) refill()
      const debtMs = this.limited ? Math.min(0, tokens) / bytesPerMs : 0
      bytesPerMs = perMs(wanted)
      // A debt is paid in the time that it would have taken.
      tokens = debtMs === 0 ? 0 : debtMs * bytesPerMs
      at = clock.now()
      if (!this.limited) tokens = 0
    },
  }
}

/** A limit below one byte a second would be none at all, or for ever. */
const perMs = (bytesPerSecond: number | undefined): number =>
  bytesPerSecond === undefined ? Number.POSITIVE_INFINITY : Math.max(1, bytesPerSecond) / 1_000
