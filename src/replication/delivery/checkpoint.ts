import type { Clock } from '../../core/clock.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { type Divergence, settleDivergences } from '../../metadata/replication/divergences.ts'
import { noteUp } from '../../metadata/replication/exec-links.ts'
import { advanceShard, type ShardClaim } from '../../metadata/replication/exec-shards.ts'
import { countFailedDetails, putDetails } from '../../metadata/replication/record-details.ts'
import { LeaseLost } from '../runs/stop-reasons.ts'
import { type DetailPlace, finishedDetail } from './detail-rows.ts'
import { countOutcomes, type Outcome } from './outcome.ts'

export interface CheckpointDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly leaseMs: number
}

export interface BatchEnd {
  readonly outcomes: readonly Outcome[]
  /** Last path of the batch: the shard goes on after it. */
  readonly pos: string
  readonly sentBytes: number
}

/** Failed artifacts that get a row although the task keeps none (replication.md 3.8). */
const MAX_FAILED_WITHOUT_RECORD = 1000

/**
 * Makes a batch count: details, counters, ledger and position in one transaction that only the shard's owner can commit.
 * Before it the batch never was (and is found equal when it is done again); after it, it is never done again.
 * @throws LeaseLost.
 */
export async function checkpoint(
  { db, clock, leaseMs }: CheckpointDeps,
  place: DetailPlace,
  claim: ShardClaim,
  { outcomes, pos, sentBytes }: BatchEnd,
): Promise<void> {
  const { spec } = place
  const counters = countOutcomes(outcomes, sentBytes)
  const now = clock.now()
  const rows = outcomes.filter(({ result }) => result !== 'unchanged').map((outcome) => finishedDetail(place, outcome))
  await db.transact(async (trx) => {
    const leaseUntil = now + leaseMs
    if (!(await advanceShard(trx, claim, { pos, counters, leaseUntil }))) throw new LeaseLost()
    await noteUp(trx, claim.recordId, claim.linkId)
    if (spec.keepsDetails) await putDetails(trx, rows)
    else if (counters.failed > 0) {
      const room = MAX_FAILED_WITHOUT_RECORD - (await countFailedDetails(trx, spec.recordId))
      await putDetails(trx, rows.filter(({ status }) => status === 'FAILED').slice(0, Math.max(0, room)))
    }
    // What is known to be kept is in the ledger as it is.
    if (claim.kind === 'kept') return
    const looked = outcomes.map(({ item }) => item.path)
    await settleDivergences(trx, claim.linkId, looked, outcomes.flatMap(divergenceOf), now)
  })
}

function divergenceOf({ item: { path }, result, delta }: Outcome): Divergence[] {
  if (result === 'failed') return [{ path, reason: 'failed', delta: undefined }]
  return result === 'kept' ? [{ path, reason: 'conflict', delta }] : []
}
