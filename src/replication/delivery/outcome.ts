import type { RangeSum } from '../../core/fingerprint.ts'
import type { ShardCounters } from '../../metadata/replication/exec-shards.ts'
import type { WorkItem } from './work-item.ts'

/** How one artifact of a batch ended (replication.md 3.5: each counts in exactly one of success, skip, failed). */
export interface Outcome {
  readonly item: WorkItem
  readonly result: 'written' | 'unchanged' | 'kept' | 'failed'
  readonly conflict: boolean
  /** Why it failed: what happened, to what, what to do. */
  readonly reason?: string | undefined
  /** Of what was kept: the target's row minus ours, for the ledger. Undefined: not known. */
  readonly delta?: RangeSum | undefined
  readonly attempts: number
  /** Of its blob, if that had to travel. */
  readonly blob: 'not-sent' | 'sent' | 'failed'
  readonly startedAt: number
  readonly endedAt: number
}

export function countOutcomes(outcomes: readonly Outcome[], bytes: number): ShardCounters {
  const counters = { ok: 0, skipped: 0, unchanged: 0, failed: 0, conflict: 0, fileOk: 0, fileFailed: 0, bytes }
  for (const { result, conflict, blob } of outcomes) {
    if (result === 'written') counters.ok++
    else if (result === 'failed') counters.failed++
    else counters.skipped++
    if (result === 'unchanged') counters.unchanged++
    if (conflict) counters.conflict++
    if (blob === 'sent') counters.fileOk++
    else if (blob === 'failed') counters.fileFailed++
  }
  return counters
}
