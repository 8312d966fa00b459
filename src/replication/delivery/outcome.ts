import type { RangeSum } from '../../core/fingerprint.ts'
import type { ShardCounters } from '../../metadata/replication/exec-shards.ts'
import { type EndedItem, isArtifact, type WorkItem } from './work-item.ts'

/** How one artifact of a batch ended (replication.md 3.5: each counts in exactly one of success, skip, failed). */
export interface Outcome<I extends EndedItem = WorkItem> {
  readonly item: I
  readonly result: 'written' | 'unchanged' | 'kept' | 'failed'
  readonly conflict: boolean
  /** Why it failed: what happened, to what, what to do. */
  readonly reason?: string | undefined
  /** Of what is unchanged as far as the record goes: why the target has it otherwise, for the ledger. Undefined: it has not. */
  readonly left?: 'foreign' | 'superseded' | undefined
  /** Of what was kept or left: the target's row minus ours, for the ledger. Undefined: not known. */
  readonly delta?: RangeSum | undefined
  readonly attempts: number
  /** Of what the target had from an attempt before this one: of this run, or of the run with this number. */
  readonly arrivedBy?: 'this run' | number | undefined
  /** Number of the run that wrote it, where that is to be remembered as counted (`unsettled.ts`). */
  readonly settles?: number | undefined
  /** Of its blob, if that had to travel. */
  readonly blob: 'not-sent' | 'sent' | 'failed'
  /** Of a version, where several of its blobs had to travel. */
  readonly blobs?: BlobCount | undefined
  readonly startedAt: number
  readonly endedAt: number
}

/** Of what is sent, and of what comes. */
export type AnyOutcome = Outcome<EndedItem>

export function countOutcomes(outcomes: readonly AnyOutcome[], bytes: number): ShardCounters {
  const counters = { ok: 0, skipped: 0, unchanged: 0, failed: 0, conflict: 0, fileOk: 0, fileFailed: 0, bytes }
  for (const outcome of outcomes) {
    const { item, result, conflict } = outcome
    const blobs = blobsOf(outcome)
    counters.fileOk += blobs.sent
    counters.fileFailed += blobs.failed
    if (!isArtifact(item) && result !== 'failed') continue
    if (result === 'written') counters.ok++
    else if (result === 'failed') counters.failed++
    else counters.skipped++
    if (result === 'unchanged') counters.unchanged++
    if (conflict) counters.conflict++
  }
  return counters
}
export interface BlobCount {
  readonly sent: number
  readonly failed: number
}
export const blobsOf = ({ blob, blobs }: Pick<Outcome, 'blob' | 'blobs'>): BlobCount =>
  blobs ?? { sent: Number(blob === 'sent'), failed: Number(blob === 'failed') }
