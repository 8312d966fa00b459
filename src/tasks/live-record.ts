import type { Transaction } from '../metadata/database.ts'
import { endExecLinks, listExecLinks } from '../metadata/replication/exec-links.ts'
import { failOpenShards } from '../metadata/replication/exec-shards.ts'
import { forgetLiveTraffic } from '../metadata/replication/live-counters.ts'
import { listLiveErrors } from '../metadata/replication/live-lag.ts'
import { deleteRunningDetails, firstFailure } from '../metadata/replication/record-details.ts'
import { sumLiveTotals } from '../metadata/replication/records.ts'
import { failureLines } from './failure-lines.ts'
import { NO_OVERVIEW } from './record.ts'
import { closeRecord } from './runs.ts'

/**
 * Closes the open record of a REAL_TIME task as it stands, FAILED when artifacts or targets are left that failed. What is under way is
 * refused at its checkpoint, and comes again. The task is locked, and so are its links.
 */
export async function closeLiveRecord(trx: Transaction, recordId: string, now: number): Promise<void> {
  const links = await listExecLinks(trx, recordId)
  for (const { link_id } of links) await failOpenShards(trx, recordId, link_id)
  await forgetLiveTraffic(trx, recordId)
  await deleteRunningDetails(trx, recordId)
  const { bytes, estimatedBytes, ...overview } = (await sumLiveTotals(trx, [recordId])).get(recordId) ?? NOTHING
  const errors = await listLiveErrors(trx, recordId)
  const told = links.map((link) => ({ ...link, error_reason: errors.get(link.link_id) ?? link.error_reason }))
  const reasons = failureLines(told, await firstFailure(trx, recordId))
  // Nobody may end one later, and move its cursor past what was given up here.
  await endExecLinks(trx, recordId, { state: 'FAILED', errorReason: UNDER_WAY, now })
  const status = reasons.length > 0 || overview.failed > 0 ? 'FAILED' : 'SUCCESS'
  await closeRecord(trx, {
    ...{ recordId, status, overview, now },
    errorReason: reasons.length > 0 ? reasons.join('\n') : null,
    replicatedBytes: bytes,
    totalBytes: status === 'SUCCESS' ? bytes : estimatedBytes,
  })
}

const UNDER_WAY = 'the record closed while it was under way: it goes on in the next one'
const NOTHING = { ...NO_OVERVIEW, bytes: 0, estimatedBytes: 0 }
