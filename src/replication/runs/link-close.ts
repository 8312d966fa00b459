import type { Clock } from '../../core/clock.ts'
import type { Metrics } from '../../core/metrics.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { forgetVanished } from '../../metadata/replication/divergences.ts'
import { type ExecLink, endExecLink, listExecLinks } from '../../metadata/replication/exec-links.ts'
import { failOpenShards, openShards, writtenFiles } from '../../metadata/replication/exec-shards.ts'
import { saveCursor } from '../../metadata/replication/links.ts'
import { deleteRunningDetails, firstFailure, type LinkFailure } from '../../metadata/replication/record-details.ts'
import { sumLiveTotals } from '../../metadata/replication/records.ts'
import { lockTask } from '../../metadata/replication/tasks.ts'
import type { ClusterClient } from '../../remotes/cluster/cluster-client.ts'
import type { LogPosition } from '../../remotes/cluster/messages.ts'
import { NO_OVERVIEW } from '../../tasks/record.ts'
import { closeRecord } from '../../tasks/runs.ts'
import type { LinkPlanner, LinkWork } from '../planning/link-plan.ts'
import type { RunSpec } from './run-spec.ts'
import { LinkStopped } from './stop-reasons.ts'

export interface LinkClose {
  /** All shards are done: moves the cursor on and, when this was the last link, closes the record. */
  link(work: LinkWork, client: ClusterClient, signal: AbortSignal): Promise<void>
  /** Gives the link up. Its cursor stays where it was, so that the next run looks at the same again. */
  failed(spec: RunSpec, linkId: number, reason: string): Promise<void>
  /** Closes the record if all its links have ended. */
  record(spec: RunSpec): Promise<void>
}

interface LinkCloseDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly metrics: Metrics
  readonly planner: LinkPlanner
}

export function createLinkClose({ db, clock, metrics, planner }: LinkCloseDeps): LinkClose {
  /** Up to where of the target's log only this link wrote; where somebody else did, the place where the run began. */
  async function remoteHead(work: LinkWork, client: ClusterClient, signal: AbortSignal): Promise<LogPosition> {
    const { remote_epoch, remote_seq, remote_mark } = work.execLink
    const began = { epoch: remote_epoch!, seq: remote_seq!, mark: remote_mark! }
    const written = await writtenFiles(db.read, work.spec.recordId, work.link.id)
    if (written === 0) return began
    const request = { ...(await planner.openRequest(work)), known: began }
    const answer = await client.open(work.link.key, request, signal)
    if (answer.head.epoch !== began.epoch) throw new LinkStopped('the target repository was replaced during the run')
    // Each file that was written is a row of its log.
    if (answer.head.seq < began.seq + written) {
      throw new LinkStopped(
        'the target does not have all that it acknowledged: look at its database, then execute the task again',
      )
    }
    return answer.pure ? answer.head : began
  }

  async function link(work: LinkWork, client: ClusterClient, signal: AbortSignal): Promise<void> {
    const { spec, execLink, repository, scope } = work
    const linkId = work.link.id
    if ((await openShards(db.read, spec.recordId, linkId)) > 0) return
    const remote = await remoteHead(work, client, signal)
    await ending(spec, async (trx) => {
      const end = { state: 'DONE', errorReason: null, now: clock.now() } as const
      if (!(await endExecLink(trx, spec.recordId, linkId, end))) return
      await forgetVanished(trx, linkId, repository.id)
      await saveCursor(trx, linkId, scope.scopeHash, {
        repoEpoch: repository.epoch,
        ackedSeq: execLink.to_seq!,
        remote,
      })
    })
  }

  async function failed(spec: RunSpec, linkId: number, reason: string): Promise<void> {
    await ending(spec, async (trx) => {
      await failOpenShards(trx, spec.recordId, linkId)
      await endExecLink(trx, spec.recordId, linkId, { state: 'FAILED', errorReason: reason, now: clock.now() })
    })
  }

  /** Under the task's lock: of two links that end at once, the second sees that it is the last. */
  async function ending(spec: RunSpec, end: (trx: Transaction) => Promise<void>): Promise<void> {
    const closedAs = await db.transact(async (trx) => {
      await lockTask(trx, spec.taskKey)
      await end(trx)
      return closeIfEnded(trx, spec.recordId)
    })
    if (closedAs !== undefined) metrics.runEnded(closedAs)
  }

  async function closeIfEnded(trx: Transaction, recordId: string): Promise<'SUCCESS' | 'FAILED' | undefined> {
    const links = await listExecLinks(trx, recordId)
    if (links.length === 0 || links.some(({ state }) => state === 'PENDING' || state === 'COPYING')) return undefined
    await deleteRunningDetails(trx, recordId)
    const totals = (await sumLiveTotals(trx, [recordId])).get(recordId)
    const { bytes, estimatedBytes, ...overview } = totals ?? NOTHING_PLANNED
    const failures = await firstFailure(trx, recordId)
    const reasons = links.flatMap((one) => reasonOf(one, failures.get(one.link_id)))
    const status = reasons.length > 0 || overview.failed > 0 ? 'FAILED' : 'SUCCESS'
    const closed = await closeRecord(trx, {
      recordId,
      status,
      errorReason: reasons.length > 0 ? reasons.join('\n') : null,
      overview,
      replicatedBytes: bytes,
      // Files that were there already need not travel: what a whole run had to send is what it sent.
      totalBytes: status === 'SUCCESS' ? bytes : estimatedBytes,
      now: clock.now(),
    })
    return closed ? status : undefined
  }

  const record = (spec: RunSpec) => ending(spec, async () => {})
  return { link, failed, record }
}

/** A run whose links all ended before their shards were planned. */
const NOTHING_PLANNED = { ...NO_OVERVIEW, bytes: 0, estimatedBytes: 0 }

/** `cluster: first error (+n more)`, one line per link that did not bring everything over (replication.md 3.4). */
function reasonOf({ cluster_name, error_reason }: ExecLink, failure: LinkFailure | undefined): string[] {
  if (error_reason === null && failure === undefined) return []
  // What stopped the link may be one of the failed artifacts, or something beside them.
  const others = (failure?.count ?? 0) - (error_reason === null || error_reason === failure?.reason ? 1 : 0)
  const more = others > 0 ? ` (+${others} more)` : ''
  return [`${cluster_name}: ${error_reason ?? failure?.reason}${more}`]
}
