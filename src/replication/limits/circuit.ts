import type { Clock } from '../../core/clock.ts'

/** Whether to talk to one remote at all: after failures in a row nobody does for a while, then one tries. Memory only. */
export interface Circuit {
  /** `go`: talk to it. `probe`: the same, and the caller is the only one until it says how it went. Otherwise not now. */
  ask(): 'go' | 'probe' | Outage
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

export function createCircuit({ clock, firstPauseMs = FIRST_PAUSE_MS, reasonOf }: CircuitOptions): Circuit {
  let failures = 0
  let pauseMs = firstPauseMs
  let isTrusted = false
  let since = 0
  let last = ''
  /** Nobody goes before; undefined: closed, everybody may. */
  let openUntil: number | undefined
  let isProbing = false
  let breaker = new AbortController()

  function open(): void {
    isProbing = false
    openUntil = clock.now() + pauseMs
    pauseMs = Math.min(MOST_PAUSE_MS, pauseMs * 2)
    const broken = breaker
    breaker = new AbortController()
    broken.abort(reasonOf({ since, nextTryAt: openUntil, reason: last }))
  }
  return {
    ask() {
      if (openUntil === undefined) return 'go'
      const now = clock.now()
      if (now < openUntil) return { since, nextTryAt: openUntil, reason: last }
      isProbing = true
      // If it never says how it went, another one probes later.
      openUntil = now + pauseMs
      return 'probe'
    },
    succeeded() {
      failures = 0
      pauseMs = firstPauseMs
      isTrusted = true
      isProbing = false
      openUntil = undefined
    },
    failed(reason) {
      isTrusted = false
      // Open, and no probe is out: a call that was under way when it opened, which says nothing new.
      if (openUntil !== undefined && !isProbing) return
      last = reason
      if (failures++ === 0) since = clock.now()
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
