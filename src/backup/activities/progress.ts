import type { Clock } from '../../core/clock.ts'
import { NO_PROGRESS } from '../tasks/backup-run.ts'
import type { RunProgress } from '../tasks/backup-task.ts'
import type { Progress } from './activity.ts'

/** Counters of a run; how long it still takes is worked out from the bytes since their total is known. */
export function createProgress(clock: Pick<Clock, 'now'>): Progress {
  let counters: RunProgress = NO_PROGRESS
  let from: { readonly at: number; readonly bytes: number } | undefined

  function etaSeconds(): number | null {
    const { bytes, totalBytes } = counters
    if (from === undefined || totalBytes === null) return null
    const moved = bytes - from.bytes
    const left = Math.max(0, totalBytes - bytes)
    if (left === 0) return 0
    return moved <= 0 ? null : Math.ceil((left * (clock.now() - from.at)) / moved / 1000)
  }
  return {
    get now() {
      return { ...counters, etaSeconds: etaSeconds() }
    },
    set(values) {
      counters = { ...counters, ...values }
      if (counters.totalBytes !== null) from ??= { at: clock.now(), bytes: counters.bytes }
    },
    add(counts) {
      const sums = { ...counters }
      for (const [name, count] of Object.entries(counts)) sums[name as keyof typeof counts] += count
      counters = sums
    },
  }
}
