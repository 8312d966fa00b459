import type { Clock } from '../../core/clock.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { settleDivergences } from '../../metadata/replication/divergences.ts'
import { saveAckedSeq } from '../../metadata/replication/links.ts'
import { addLiveCounters } from '../../metadata/replication/live-counters.ts'
import { type LiveClaim, noteLiveProgress } from '../../metadata/replication/live-links.ts'
import { type DetailWrite, deleteDetails, findDetailStates } from '../../metadata/replication/record-details.ts'
import { countArtifacts } from '../delivery/artifact-counts.ts'
import { divergenceOf, putKeptDetails } from '../delivery/checkpoint.ts'
import { type DetailPlace, finishedDetail } from '../delivery/detail-rows.ts'
import type { Outcome } from '../delivery/outcome.ts'
import { noteCounted } from '../delivery/unsettled.ts'
import { LeaseLost } from '../runs/stop-reasons.ts'

/** What was dealt with since the last checkpoint. */
export interface Progress {
  readonly outcomes: readonly Outcome[]
  /** All paths that were looked at, with those that had nothing to bring. */
  readonly paths: readonly string[]
  readonly sentBytes: number
  /** Everything up to this number is over there, or in the ledger; undefined: the cursor stays where it is. */
  readonly upTo: number | undefined
  /** What else counts with it. */
  readonly also?: (trx: Transaction) => Promise<void>
}

/**
 * Makes batches count: details, counters, ledger and cursor in one transaction, which only the owner of the highest token can commit. It
 * counts in the record that is open then. @throws LeaseLost.
 */
export async function liveCheckpoint(
  { db, clock }: { readonly db: MetadataDatabase; readonly clock: Clock },
  claim: LiveClaim,
  place: DetailPlace,
  progress: Progress,
): Promise<void> {
  const { paths, upTo } = progress
  await db.transact(async (trx) => {
    const recordId = await noteLiveProgress(trx, claim)
    if (recordId === undefined) throw new LeaseLost()
    await count(trx, { ...place, spec: { ...place.spec, recordId }, executeType: 'DELTA' }, progress)
    const found = progress.outcomes.flatMap(divergenceOf)
    await settleDivergences(trx, claim.linkId, paths, found, clock.now())
    await noteCounted(trx, claim.linkId, progress.outcomes)
    await progress.also?.(trx)
    if (upTo !== undefined) await saveAckedSeq(trx, claim.linkId, upTo)
  })
}

async function count(trx: Transaction, place: DetailPlace, { outcomes, sentBytes }: Progress): Promise<void> {
  if (outcomes.length === 0 && sentBytes === 0) return
  const ids = outcomes.map((outcome) => finishedDetail(place, outcome).id)
  const known = await findDetailStates(trx, ids)
  const { counters, rows } = countArtifacts(place, outcomes, known, sentBytes)
  if (!(await addLiveCounters(trx, place.spec.recordId, place.linkId, counters))) throw new LeaseLost()
  await putKeptDetails(trx, place.spec, rows)
  // Only what failed is kept, as long as it does.
  if (!place.spec.keepsDetails) await deleteDetails(trx, healed(rows))
}
const healed = (rows: readonly DetailWrite[]) => rows.flatMap(({ id, status }) => (status === 'FAILED' ? [] : [id]))
