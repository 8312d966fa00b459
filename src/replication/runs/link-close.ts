import type { Clock } from '../../core/clock.ts'
import type { Metrics } from '../../core/metrics.ts'
import type { JobQueue } from '../../jobs/job-queue.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { forgetVanished } from '../../metadata/replication/divergences.ts'
import { endExecLink, findLinkPlace, openLinksTo } from '../../metadata/replication/exec-links.ts'
import { failOpenShards, openShards, writtenFiles } from '../../metadata/replication/exec-shards.ts'
import { clearLinkFailure, postponeDue, putLinkFailure } from '../../metadata/replication/failures.ts'
import { findLink, forgetCursor, saveCursor } from '../../metadata/replication/links.ts'
import { foldShards } from '../../metadata/replication/live-counters.ts'
import { lockTask } from '../../metadata/replication/tasks.ts'
import { countSettled, forgetUnsettled } from '../../metadata/replication/unsettled.ts'
import type { ClusterClient } from '../../remotes/cluster/cluster-client.ts'
import type { LogPosition } from '../../remotes/cluster/messages.ts'
import type { LinkPlanner, LinkWork } from '../planning/link-plan.ts'
import { enqueueLink } from './link-job.ts'
import { closeIfEnded } from './record-close.ts'
import type { RunSpec } from './run-spec.ts'
import { LinkStopped } from './stop-reasons.ts'

export interface LinkClose {
  /** All shards are done: moves the cursor on and, when this was the last link, closes the record. */
  link(work: LinkWork, client: ClusterClient, signal: AbortSignal): Promise<void>
  /** As `link`, of one whose target keeps no log that `remote` could be asked of it. */
  done(work: LinkWork, remote: LogPosition): Promise<void>
  /** Gives the link up. Its cursor stays where it was, so that the next run looks at the same again. */
  failed(spec: RunSpec, linkId: number, reason: string): Promise<void>
  /** Closes the record if all its links have ended. */
  record(spec: RunSpec): Promise<void>
}

interface LinkCloseDeps {
  readonly db: MetadataDatabase
  readonly queue: Pick<JobQueue, 'enqueue'>
  readonly clock: Clock
  readonly metrics: Metrics
  readonly planner: LinkPlanner
}

/** Reasons that speak of files here; where deletions travel, one that failed is still to be done. */
const LOCAL = ['conflict', 'failed', 'superseded'] as const

/** With FAST_FAIL, of the objects that come after one that failed on its way to the same target. */
const LEFT_ALONE = 'objects were left alone after the failure, as errorStrategy FAST_FAIL says'

export function createLinkClose({ db, queue, clock, metrics, planner }: LinkCloseDeps): LinkClose {
  /** Up to where of the target's log only this link wrote; where somebody else did, the place where the run began. */
  async function remoteHead(work: LinkWork, client: ClusterClient, signal: AbortSignal): Promise<LogPosition> {
    const { remote_epoch, remote_seq, remote_mark } = work.execLink
    const began = { epoch: remote_epoch!, seq: remote_seq!, mark: remote_mark! }
    const settled = await countSettled(db.read, work.link.id, work.spec.recordId)
    const written = Math.max(0, (await writtenFiles(db.read, work.spec.recordId, work.link.id)) - settled)
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
    if ((await openShards(db.read, work.spec.recordId, work.link.id)) > 0) return
    await done(work, await remoteHead(work, client, signal))
  }

  async function done({ spec, execLink, link, repository, scope }: LinkWork, remote: LogPosition): Promise<void> {
    const linkId = link.id
    await ending(spec, async (trx) => {
      const end = { state: 'DONE', errorReason: null, now: clock.now() } as const
      if (!(await endExecLink(trx, spec.recordId, linkId, end))) return
      await goOn(trx, spec, linkId)
      await forgetVanished(trx, linkId, repository.id, spec.propagateDelete ? ['conflict', 'superseded'] : LOCAL)
      // What was not looked at is no further than before.
      if (spec.retry?.get(link.key)) return
      await clearLinkFailure(trx, linkId)
      await forgetUnsettled(trx, [linkId])
      const scopeHash = execLink.scope_hash ?? scope.scopeHash
      const cursor = { repoEpoch: repository.epoch, ackedSeq: execLink.to_seq!, remote }
      if (execLink.mode === 'offer') await forgetCursor(trx, linkId, scopeHash)
      else await saveCursor(trx, linkId, scopeHash, cursor)
      if (spec.follows !== undefined) await foldShards(trx, spec.recordId, linkId)
    })
  }

  async function failed(spec: RunSpec, linkId: number, reason: string): Promise<void> {
    await ending(spec, async (trx) => {
      if (!(await giveUp(trx, spec, linkId, reason))) return
      for (const other of await othersInOrder(trx, spec, linkId)) await giveUp(trx, spec, other, LEFT_ALONE)
    })
  }
  /** False: it had ended. */
  async function giveUp(trx: Transaction, spec: RunSpec, linkId: number, reason: string): Promise<boolean> {
    const now = clock.now()
    await failOpenShards(trx, spec.recordId, linkId)
    if (!(await endExecLink(trx, spec.recordId, linkId, { state: 'FAILED', errorReason: reason, now }))) return false
    await postponeDue(trx, linkId, now)
    const link = await findLink(trx, linkId)
    if (link !== undefined && spec.follows === undefined && !spec.retry?.get(link.key))
      await putLinkFailure(trx, linkId, reason, now)
    return true
  }

  /** Open links to the same target that wait for this one. */
  async function othersInOrder(trx: Transaction, spec: RunSpec, linkId: number): Promise<readonly number[]> {
    const { recordId, errorStrategy, follows } = spec
    if (errorStrategy !== 'FAST_FAIL' || follows !== undefined) return []
    const place = await findLinkPlace(trx, recordId, linkId)
    return place === undefined ? [] : openLinksTo(trx, recordId, place.clusterId)
  }
  async function goOn(trx: Transaction, spec: RunSpec, linkId: number): Promise<void> {
    const [next] = await othersInOrder(trx, spec, linkId)
    if (next !== undefined) await enqueueLink(queue, trx, { recordId: spec.recordId, linkId: next })
  }

  /** Under the task's lock: of two links that end at once, the second sees that it is the last. */
  async function ending(spec: RunSpec, end: (trx: Transaction) => Promise<void>): Promise<void> {
    const closedAs = await db.transact(async (trx) => {
      await lockTask(trx, spec.taskKey)
      await end(trx)
      return spec.follows === undefined ? closeIfEnded(trx, spec.recordId, clock.now()) : undefined
    })
    if (closedAs !== undefined) metrics.runEnded(closedAs)
  }

  const record = (spec: RunSpec) => ending(spec, async () => {})
  return { link, done, failed, record }
}
