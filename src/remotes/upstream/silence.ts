import type { Clock } from '../../core/clock.ts'

const LOOKS = 4

/**
 * Calls `onSilence` once when `progress` gave the same number for `limitMs`, until disposed. It looks four times in that time, so
 * that a busy connection costs nothing per chunk. NaN never equals itself: that counts as progress.
 */
export function watchSilence(clock: Clock, limitMs: number, progress: () => number, onSilence: () => void): Disposable {
  const end = new AbortController()
  void watch()
  return { [Symbol.dispose]: () => end.abort() }

  async function watch(): Promise<void> {
    let [seen, silentMs] = [progress(), 0]
    while (silentMs < limitMs) {
      const waitMs = Math.max(1, Math.ceil(limitMs / LOOKS))
      await clock.sleep(waitMs, end.signal).catch(() => {})
      if (end.signal.aborted) return
      const now = progress()
      silentMs = now === seen ? silentMs + waitMs : 0
      seen = now
    }
    onSilence()
  }
}
