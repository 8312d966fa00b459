import type { Clock } from '../../core/clock.ts'

/** Whether to talk to one remote at all: after failures in a row nobody does for a while, then one tries. Memory only. */
export interface Circuit {
  /**
   * `go`: talk to it. `probe`: the same, and the caller is the only one until it says how it went by `succeeded` or `failed`. A
   * number: milliseconds until asking again makes sense.
   */
  ask(): 'go' | 'probe' | number
  succeeded(): void
  failed(): void
}

interface CircuitOptions {
  readonly clock: Pick<Clock, 'now'>
}

const FAILURES_TO_OPEN = 5
const FIRST_PAUSE_MS = 5_000
const MOST_PAUSE_MS = 300_000

export function createCircuit({ clock }: CircuitOptions): Circuit {
  let failures = 0
  let pauseMs = FIRST_PAUSE_MS
  /** Nobody goes before; undefined: closed, everybody may. */
  let openUntil: number | undefined
  let probing = false

  function pause(): void {
    probing = false
    openUntil = clock.now() + pauseMs
    pauseMs = Math.min(MOST_PAUSE_MS, pauseMs * 2)
  }
  return {
    ask() {
      if (openUntil === undefined) return 'go'
      const now = clock.now()
      if (now < openUntil) return openUntil - now
      probing = true
      // If it never says how it went, another one probes later.
      openUntil = now + pauseMs
      return 'probe'
    },
    succeeded() {
      failures = 0
      pauseMs = FIRST_PAUSE_MS
      probing = false
      openUntil = undefined
    },
    failed() {
      failures++
      // Open, and no probe is out: a call that was under way when it opened, which says nothing new.
      if (probing || (openUntil === undefined && failures >= FAILURES_TO_OPEN)) pause()
    },
  }
}
