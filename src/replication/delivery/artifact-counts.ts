import type { ShardCounters } from '../../metadata/replication/exec-shards.ts'
import type { DetailState, DetailWrite } from '../../metadata/replication/record-details.ts'
import { type DetailPlace, finishedDetail } from './detail-rows.ts'
import { type AnyOutcome, blobsOf } from './outcome.ts'
import { isArtifact } from './work-item.ts'

/** How the counters of a record change, and its rows. */
export interface ArtifactCounts {
  readonly counters: ShardCounters
  readonly rows: readonly DetailWrite[]
}

/**
 * Counts artifacts, not attempts: an artifact that a record knows already counts as what it has become, instead of what it was, so that
 * the counters are the sum of the details however often something changes, fails, or is sent again (replication.md 8).
 * @param known by id, what the details say so far; those that are RUNNING count nowhere yet.
 */
export function countArtifacts(
  place: DetailPlace,
  outcomes: readonly AnyOutcome[],
  known: ReadonlyMap<string, DetailState>,
  bytes: number,
): ArtifactCounts {
  const sums = { ok: 0, skipped: 0, unchanged: 0, failed: 0, conflict: 0, fileOk: 0, fileFailed: 0, bytes }
  const add = ({ status, conflictStrategy }: Omit<DetailState, 'attempts'>, by: 1 | -1) => {
    if (status === 'RUNNING') return
    if (status === 'FAILED') sums.failed += by
    else if (conflictStrategy === 'SKIP') sums.skipped += by
    else sums.ok += by
    if (conflictStrategy !== null) sums.conflict += by
  }
  const rows: DetailWrite[] = []
  for (const outcome of outcomes) {
    const blobs = blobsOf(outcome)
    sums.fileOk += blobs.sent
    sums.fileFailed += blobs.failed
    const row = finishedDetail(place, outcome)
    const before = known.get(row.id)
    if (!isArtifact(outcome.item) && outcome.result !== 'failed' && before === undefined) continue
    if (outcome.result === 'unchanged' && before?.status !== 'FAILED') {
      if (before !== undefined) continue
      sums.skipped++
      sums.unchanged++
      continue
    }
    if (before !== undefined) add(before, -1)
    add(row, 1)
    rows.push({ ...row, attempts: row.attempts + (before?.attempts ?? 0) })
  }
  return { counters: sums, rows }
}
