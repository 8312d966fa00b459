import type { Clock } from '../../core/clock.ts'

/** Something that must not stay silent. Its fields may change while it is watched. */
export interface Watched {
  limitMs: number
  /** Another number than before means that it goes on; NaN never equals itself. */
  progress: () => number
  readonly onSilence: (limitMs: number) => void
}

/**
 * Watches many requests with one timer, so that a request costs none of its own. Silence is noticed up to `everyMs` after its limit.
 */
export interface SilencePatrol extends Disposable {
  /** Until disposed. */
  watch(watched: Watched): Disposable
}

interface Beat {
  seen: number
  changedAtMs: number
}

export function createSilencePatrol(clock: Clock, everyMs: number): SilencePatrol {
  const beats = new Map<Watched, Beat>()
  const end = new AbortController()
  let walking = false

  async function walk(): Promise<void> {
    walking = true
    while (beats.size > 0) {
      await clock.sleep(everyMs, end.signal).catch(() => {})
      if (end.signal.aborted) return
      for (const [watched, beat] of beats) look(watched, beat)
    }
    walking = false
  }

  function look(watched: Watched, beat: Beat): void {
    const now = clock.now()
    const seen = watched.progress()
    if (seen !== beat.seen) beat.changedAtMs = now
    beat.seen = seen
    if (now - beat.changedAtMs < watched.limitMs) return
    beats.delete(watched)
    watched.onSilence(watched.limitMs)
  }

  return {
    watch(watched) {
      beats.set(watched, { seen: watched.progress(), changedAtMs: clock.now() })
      if (!walking) void walk()
      return { [Symbol.dispose]: () => void beats.delete(watched) }
    },
    [Symbol.dispose]: () => end.abort(),
  }
}
