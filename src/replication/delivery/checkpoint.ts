import type { Clock } from '../../core/clock.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { type Divergence, settleDivergences } from '../../metadata/replication/divergences.ts'
import { noteUp } from '../../metadata/replication/exec-links.ts'
import { advanceShard, type ShardClaim } from '../../metadata/replication/exec-shards.ts'
import {
  countFailedDetails,
  type DetailWrite,
  findDetailStates,
  putDetails,
} from '../../metadata/replication/record-details.ts'
import { addSettled } from '../../metadata/replication/unsettled.ts'
import type { FailureKind } from '../../metadata/tables/replication.ts'
import type { RunSpec } from '../runs/run-spec.ts'
import { LeaseLost } from '../runs/stop-reasons.ts'
import { countArtifacts } from './artifact-counts.ts'
import { type DetailPlace, finishedDetail } from './detail-rows.ts'
import { type AnyOutcome, countOutcomes } from './outcome.ts'
import { arrivedBefore, noteCounted } from './unsettled.ts'
import { type EndedItem, isArtifact } from './work-item.ts'

export interface CheckpointDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly leaseMs: number
}

export interface BatchEnd {
  readonly outcomes: readonly AnyOutcome[]
  /** Last path of the batch: the shard goes on after it. */
  readonly pos: string
  readonly sentBytes: number
  /** What else counts with it. */
  readonly also?: (trx: Transaction) => Promise<void>
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
  { outcomes, pos, sentBytes, also }: BatchEnd,
): Promise<void> {
  const { spec } = place
  const now = clock.now()
  const details = outcomes.map((outcome) => finishedDetail(place, outcome))
  const once = {
    counters: countOutcomes(outcomes, sentBytes),
    rows: details.filter((_, index) => isShown(outcomes[index]!)),
  }
  await db.transact(async (trx) => {
    // A record that stays open may have the artifact already.
    const ids = spec.follows === undefined ? [] : details.map(({ id }) => id)
    const known = await findDetailStates(trx, ids)
    const { counters, rows } = known.size === 0 ? once : countArtifacts(place, outcomes, known, sentBytes)
    const leaseUntil = now + leaseMs
    if (!(await advanceShard(trx, claim, { pos, counters, leaseUntil }))) throw new LeaseLost()
    await noteUp(trx, claim.recordId, claim.linkId)
    await putKeptDetails(trx, spec, rows)
    await noteCounted(trx, claim.linkId, outcomes)
    await addSettled(trx, claim.linkId, claim.recordId, arrivedBefore(outcomes, spec))
    await also?.(trx)
    // What is known to be kept is in the ledger as it is.
    if (claim.kind === 'kept') return
    const looked = outcomes.map(({ item }) => item.path)
    await settleDivergences(trx, claim.linkId, looked, outcomes.flatMap(divergenceOf), now)
  })
}

/** All of them, or those that failed, as far as there is room, where the task keeps none. */
export async function putKeptDetails(
  trx: Transaction,
  { recordId, keepsDetails }: Pick<RunSpec, 'recordId' | 'keepsDetails'>,
  rows: readonly DetailWrite[],
): Promise<void> {
  if (keepsDetails) return putDetails(trx, rows)
  const failed = rows.filter(({ status }) => status === 'FAILED')
  if (failed.length === 0) return
  const room = MAX_FAILED_WITHOUT_RECORD - (await countFailedDetails(trx, recordId))
  await putDetails(trx, failed.slice(0, Math.max(0, room)))
}

/** What is said about a package is shown when it fails. */
const isShown = ({ item, result }: AnyOutcome): boolean =>
  result !== 'unchanged' && (isArtifact(item) || result === 'failed')

const FAILURE_KINDS = {
  ...{ file: 'FILE', deletion: 'DELETION', version: 'VERSION', package: 'VERSION', import: 'VERSION' },
} as const satisfies Record<EndedItem['kind'], FailureKind>

export function divergenceOf({ item, result, left, delta, reason }: AnyOutcome): Divergence[] {
  const { path } = item
  if (left !== undefined) return [{ path, reason: left, delta }]
  if (result === 'failed') {
    const failure = { kind: FAILURE_KINDS[item.kind], reason: reason ?? 'failed' }
    return [{ path, reason: 'failed', delta: undefined, failure }]
  }
  return result === 'kept' ? [{ path, reason: 'conflict', delta }] : []
}
