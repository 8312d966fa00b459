import type { Reader } from '../../metadata/database.ts'
import { measuredRuns } from '../../metadata/replication/plans.ts'
import type { Overview } from '../../tasks/record.ts'

/** How long a run would take, as far as earlier ones tell. */
export interface Estimate {
  /** Null: nobody knows. */
  readonly seconds: number | null
  /** Whose runs were measured. */
  readonly basis: 'TASK' | 'SERVER' | 'UNKNOWN'
}
export interface PlannedWork {
  readonly bytes: number
  readonly artifacts: number
}

const RUNS = 10

/** By the rate of the task's newest runs, or of any others: whichever of bytes and artifacts takes longer. */
export async function estimateTime(reader: Reader, taskKey: string | null, work: PlannedWork): Promise<Estimate> {
  for (const basis of ['TASK', 'SERVER'] as const) {
    if (basis === 'TASK' && taskKey === null) continue
    const seconds = secondsAt(work, await measuredRuns(reader, basis === 'TASK' ? taskKey! : undefined, RUNS))
    if (seconds !== undefined) return { seconds, basis }
  }
  return { seconds: null, basis: 'UNKNOWN' }
}

function secondsAt(work: PlannedWork, runs: Awaited<ReturnType<typeof measuredRuns>>): number | undefined {
  const sum = { ms: 0, bytes: 0, artifacts: 0 }
  for (const { bytes, durationMs, overview } of runs) {
    sum.ms += durationMs
    sum.bytes += bytes
    sum.artifacts += overview === null ? 0 : (JSON.parse(overview) as Overview).success
  }
  if (sum.ms === 0) return undefined
  const byBytes = (work.bytes * sum.ms) / sum.bytes
  const byArtifacts = sum.artifacts === 0 ? 0 : (work.artifacts * sum.ms) / sum.artifacts
  return Math.ceil(Math.max(byBytes, byArtifacts) / 1000)
}
