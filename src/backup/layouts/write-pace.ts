import type { Clock } from '../../core/clock.ts'

/** Holds up who writes faster than allowed; all writers of a run together. @param bytesPerSecond null: no limit. */
export function createWritePace(clock: Clock, bytesPerSecond: number | null) {
  let freeAt = clock.now()
  return (bytes: number, signal: AbortSignal): Promise<void> | undefined => {
    if (bytesPerSecond === null) return undefined
    const now = clock.now()
    freeAt = Math.max(freeAt, now) + (bytes / bytesPerSecond) * 1_000
    // What comes before the next second is up is let through: sleeps are not that exact.
    return freeAt - now > 1_000 ? clock.sleep(freeAt - now - 500, signal) : undefined
  }
}
