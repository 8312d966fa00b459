import type { ShardCounters } from '../metadata/replication/exec-shards.ts'
import type { SourceFile } from '../metadata/replication/source-files.ts'

/** How one artifact of a batch ended (replication.md 3.5: each counts in exactly one of success, skip, failed). */
export interface Outcome {
  readonly file: SourceFile
  readonly result: 'written' | 'unchanged' | 'kept' | 'failed'
  readonly conflict: boolean
  /** Why it failed: what happened, to what, what to do. */
  readonly reason?: string
  readonly attempts: number
  /** The target refused the batch as a whole: it says nothing about this artifact. */
  readonly batchLost?: true
  /** Of its blob, if that had to travel. */
  readonly blob: 'not-sent' | 'sent' | 'failed'
  readonly startedAt: number
  readonly endedAt: number
}

export function countOutcomes(outcomes: readonly Outcome[], bytes: number): ShardCounters {
  const count = (test: (outcome: Outcome) => boolean) => outcomes.filter(test).length
  return {
    ok: count(({ result }) => result === 'written'),
    skipped: count(({ result }) => result === 'unchanged' || result === 'kept'),
    unchanged: count(({ result }) => result === 'unchanged'),
    failed: count(({ result }) => result === 'failed'),
    conflict: count(({ conflict }) => conflict),
    fileOk: count(({ blob }) => blob === 'sent'),
    fileFailed: count(({ blob }) => blob === 'failed'),
    bytes,
  }
}
