import type { Clock } from '../../core/clock.ts'
import type { FingerprintUpkeep } from './upkeep.ts'

const INTERVAL_MS = 200
/** Between steps, so that they are not what a process does all day. */
const BREATH_MS = 2
/** Another process is at it: it has about this long before this one looks again. */
const LOST_MS = 1_000
const AFTER_ERROR_MS = 5_000

/** Keeps the sums up until the signal. An error is told and tried again. Any number of processes may do it at once; one gets through. */
export async function runUpkeep(
  upkeep: FingerprintUpkeep,
  clock: Clock,
  onError: (error: unknown) => void,
  signal: AbortSignal,
): Promise<void> {
  const pauses = { idle: INTERVAL_MS, more: BREATH_MS, lost: LOST_MS }
  while (!signal.aborted) {
    let pauseMs: number
    try {
      pauseMs = pauses[await upkeep.step()]
    } catch (error) {
      onError(error)
      pauseMs = AFTER_ERROR_MS
    }
    await clock.sleep(pauseMs, signal).catch(() => {})
  }
}
