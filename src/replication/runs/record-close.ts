import type { Transaction } from '../../metadata/database.ts'
import { type ExecLink, endExecLinks, listExecLinks } from '../../metadata/replication/exec-links.ts'
import { failOpenShardsOfRecord } from '../../metadata/replication/exec-shards.ts'
import { deleteRunningDetails, firstFailure } from '../../metadata/replication/record-details.ts'
import { sumLiveTotals } from '../../metadata/replication/records.ts'
import { failureLines } from '../../tasks/failure-lines.ts'
import { NO_OVERVIEW } from '../../tasks/record.ts'
import { closeRecord } from '../../tasks/runs.ts'

/**
 * Closes a record whose links have all ended, in the caller's transaction, in which its task is locked.
 * @param now UTC epoch milliseconds. @returns as what it was closed; undefined: a link goes on, or it was closed before.
 */
export async function closeIfEnded(
  trx: Transaction,
  recordId: string,
  now: number,
): Promise<'SUCCESS' | 'FAILED' | undefined> {
  const links = await listExecLinks(trx, recordId)
  if (links.length === 0 || links.some(isOpen)) return undefined
  const failures = await firstFailure(trx, recordId)
  const reasons = failureLines(links, failures)
  const { overview, bytes, estimatedBytes } = await totalsOf(trx, recordId)
  const status = reasons.length > 0 || overview.failed > 0 ? 'FAILED' : 'SUCCESS'
  const closed = await closeRecord(trx, {
    ...{ recordId, status, overview, now },
    errorReason: reasons.length > 0 ? reasons.join('\n') : null,
    replicatedBytes: bytes,
    // Files that were there already need not travel: what a whole run had to send is what it sent.
    totalBytes: status === 'SUCCESS' ? bytes : estimatedBytes,
  })
  return closed ? status : undefined
}

/**
 * Ends a run before its end, in the caller's transaction, in which its task is locked: shards and links fail, the record is FAILED
 * with the reason first. Whoever works on it is refused at his next write. What was done stays counted, and no cursor moves.
 */
export async function stopRun(trx: Transaction, recordId: string, reason: string, now: number): Promise<void> {
  await failOpenShardsOfRecord(trx, recordId)
  const links = await listExecLinks(trx, recordId)
  const failures = await firstFailure(trx, recordId)
  const before = failureLines(links, failures)
  await endExecLinks(trx, recordId, { state: 'FAILED', errorReason: reason, now })
  const { overview, bytes, estimatedBytes } = await totalsOf(trx, recordId)
  await closeRecord(trx, {
    ...{ recordId, status: 'FAILED', overview, now },
    errorReason: [reason, ...before].join('\n'),
    replicatedBytes: bytes,
    totalBytes: estimatedBytes,
  })
}

const isOpen = ({ state }: ExecLink): boolean => state === 'PENDING' || state === 'COPYING'

/** Zeros for a run that ends before its shards were planned. */
async function totalsOf(trx: Transaction, recordId: string) {
  await deleteRunningDetails(trx, recordId)
  const totals = (await sumLiveTotals(trx, [recordId])).get(recordId)
  const { bytes, estimatedBytes, ...overview } = totals ?? { ...NO_OVERVIEW, bytes: 0, estimatedBytes: 0 }
  return { overview, bytes, estimatedBytes }
}
