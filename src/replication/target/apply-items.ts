import type { RulesOf } from '../../artifacts/packages/package-rules.ts'
import type { Digest } from '../../core/digest.ts'
import type { Transaction } from '../../metadata/database.ts'
import { type Applied, applyBatch, type BatchToApply, type StreamSession } from './apply-batch.ts'
import { applyVersions } from './apply-versions.ts'
import { isPackageItem } from './incoming-batch.ts'

/** A batch is about files, or about versions. */
export async function applyItems(
  trx: Transaction,
  session: StreamSession,
  batch: BatchToApply,
  rulesOf: RulesOf,
  claim: (digests: ReadonlySet<Digest>) => Promise<ReadonlyMap<Digest, number>>,
  now: number,
): Promise<Applied> {
  const rules = rulesOf(session.repository.type)
  return rules !== undefined && batch.items.some((frame) => isPackageItem(frame))
    ? applyVersions(trx, session, batch, rules, claim, now)
    : applyBatch(trx, session, batch, claim, now)
}
