import type { Clock } from '../../core/clock.ts'
import { NO_PROGRESS } from '../tasks/backup-run.ts'
import type { RunProgress } from '../tasks/backup-task.ts'
import type { Progress } from './activity.ts'

/** What a total is known of. */
const MEASURES = [
  ['bytes', 'totalBytes'],
  ['nodes', 'totalNodes'],
] as const

/** Counters of a run; how long it still takes is worked out from bytes and nodes since one of their totals is known. */
export function createProgress(clock: Pick<Clock, 'now'>): Progress {
  let counters: RunProgress = NO_PROGRESS
  let from: { readonly at: number; readonly bytes: number; readonly nodes: number } | undefined

  function etaSeconds(): number | null {
    const since = from
    if (since === undefined) return null
    const elapsed = clock.now() - since.at
    const open = MEASURES.flatMap(([name, totalName]) => {
      const total = counters[totalName]
      if (total === null || total <= since[name]) return []
      return [{ name, left: Math.max(0, total - counters[name]), moved: counters[name] - since[name] }]
    })
    // A restore reads no contents that are here: its bytes may stay short, its nodes do not.
    if (open.every(({ left }) => left === 0) || open.some(({ name, left }) => name === 'nodes' && left === 0)) return 0
    const guesses = open.filter(({ left, moved }) => left > 0 && moved > 0)
    if (guesses.length === 0) return null
    return Math.ceil(Math.min(...guesses.map(({ left, moved }) => (left * elapsed) / moved)) / 1000)
  }
  return {
    get now() {
      return { ...counters, etaSeconds: etaSeconds() }
    },
    set(values) {
      counters = { ...counters, ...values }
      const { bytes, nodes, totalBytes, totalNodes } = counters
      if (totalBytes !== null || totalNodes !== null) from ??= { at: clock.now(), bytes, nodes }
    },
    add(counts) {
      const sums = { ...counters }
      for (const [name, count] of Object.entries(counts)) sums[name as keyof typeof counts] += count
      counters = sums
    },
  }
}
