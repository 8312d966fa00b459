import type { Metrics } from '../../core/metrics.ts'
import type { AnyOutcome } from '../delivery/outcome.ts'
import { isArtifact } from '../delivery/work-item.ts'

const RESULT = {
  written: 'SUCCESS',
  unchanged: 'UNCHANGED',
  kept: 'SKIPPED',
  failed: 'FAILED',
  conflict: 'CONFLICT',
} as const

/** Counts what became of artifacts, and what was sent for them. */
export const meterOutcomes =
  (metrics: Metrics) =>
  (outcomes: readonly AnyOutcome[], sentBytes: number): void => {
    for (const { item, result, conflict } of outcomes) {
      if (isArtifact(item) || result === 'failed') metrics.artifacts(RESULT[conflict ? 'conflict' : result], 1)
    }
    metrics.replicatedBytes(sentBytes)
  }
