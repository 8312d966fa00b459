import type { Clock } from '../../core/clock.ts'

/** Whether to talk to one remote at all: after failures in a row nobody does for a while, then one tries. Memory only. */
export interface Circuit {
  /**
   * `go`: talk to it. `probe`: the same, and others wait until the caller says how it went. Otherwise not now.
   * @param until when the caller gives up, UTC epoch milliseconds; pauses are as short as it takes to hear of the remote well before that.
   */
  ask(until: number): 'go' | 'probe' | Outage
  /** The remote answered. */
  succeeded(): void
  failed(reason: string): void
  /** The last that was heard of it was an answer. */
  readonly isTrusted: boolean
  /** Aborts when the circuit opens, with what `reasonOf` makes of the outage: work that is under way ends with it. */
  readonly broken: AbortSignal
}
export interface Outage {
  /** Since when it does not answer; UTC epoch milliseconds. */
  readonly since: number
  readonly nextTryAt: number
  /** When the last attempt failed. */
  readonly failedAt: number
  /** What happened last. */
  readonly reason: string
}

interface CircuitOptions {
  readonly clock: Pick<Clock, 'now'>
  readonly firstPauseMs?: number
  reasonOf(outage: Outage): Error
}

const FAILURES_TO_OPEN = 5
const FIRST_PAUSE_MS = 5_000
const MOST_PAUSE_MS = 300_000
/** Of the time that is left to whoever waits: the part that one pause may take. */
const SHARE_OF_WAIT = 0.25

export function createCircuit({ clock, firstPauseMs = FIRST_PAUSE_MS, reasonOf }: CircuitOptions): Circuit {
  let failures = 0
  let pauseMs = firstPauseMs
  let isTrusted = false
  let since = 0
  let last = ''
  let failedAt = 0
  /** When the pause began; undefined: closed, everybody may go. */
  let pausedAt: number | undefined
  let isProbing = false
  let breaker = new AbortController()

  function open(): void {
    pauseMs = isProbing ? Math.min(MOST_PAUSE_MS, pauseMs * 2) : firstPauseMs
    isProbing = false
    pausedAt = clock.now()
    const broken = breaker
    breaker = new AbortController()
    broken.abort(reasonOf(outage(pausedAt + pauseMs)))
  }
  const outage = (nextTryAt: number): Outage => ({ since, nextTryAt, failedAt, reason: last })
  return {
    ask(until) {
      if (pausedAt === undefined) return 'go'
      const now = clock.now()
      const nextTryAt = pausedAt + Math.min(pauseMs, Math.max(firstPauseMs, (until - pausedAt) * SHARE_OF_WAIT))
      if (now < nextTryAt) return outage(nextTryAt)
      isProbing = true
      // If it never says how it went, another one probes later.
      pausedAt = now
      return 'probe'
    },
    succeeded() {
      failures = 0
      isTrusted = true
      isProbing = false
      pausedAt = undefined
    },
    failed(reason) {
      isTrusted = false
      // Open, and no probe is out: a call that was under way when it opened, which says nothing new.
      if (pausedAt !== undefined && !isProbing) return
      last = reason
      failedAt = clock.now()
      if (failures++ === 0) since = failedAt
      if (isProbing || failures >= FAILURES_TO_OPEN) open()
    },
    get isTrusted() {
      return isTrusted
    },
    get broken() {
      return breaker.signal
    },
  }
}
