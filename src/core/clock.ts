/** Time from outside: the system clock is made in `app/`, tests use `manualClock`. */
export interface Clock {
  /** UTC epoch milliseconds. */
  now(): number
  /** Resolves after `delayMs`; rejects with the signal's reason when aborted. */
  sleep(delayMs: number, signal: AbortSignal): Promise<void>
}
