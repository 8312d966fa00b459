import type { RateLimit } from './rate-limiter.ts'

/**
 * Two limits at once: tokens of the first, then of the second. Neither is exceeded, and what waits for the first holds nothing of the
 * second. @param alsoClosed are closed with them.
 */
export function bothLimits(first: RateLimit, second: RateLimit, ...alsoClosed: readonly RateLimit[]): RateLimit {
  async function takeBoth(waiting: Promise<void>, bytes: number, signal: AbortSignal): Promise<void> {
    await waiting
    await second.take(bytes, signal)
  }
  return {
    take(bytes, signal) {
      const waiting = first.take(bytes, signal)
      return waiting === undefined ? second.take(bytes, signal) : takeBoth(waiting, bytes, signal)
    },
    nested: (name, bytesPerSecond, weight) =>
      bothLimits(first.nested(name, undefined, weight), second.nested(name, bytesPerSecond, weight)),
    setRate: second.setRate,
    close() {
      first.close()
      second.close()
      for (const limit of alsoClosed) limit.close()
    },
  }
}
