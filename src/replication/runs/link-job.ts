import type { Clock } from '../../core/clock.ts'
import type { JobQueue } from '../../jobs/job-queue.ts'
import type { JobHandler } from '../../jobs/worker.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { findLinkPlace } from '../../metadata/replication/exec-links.ts'
import { createLinkSlots, type WaitingLink } from '../limits/link-slots.ts'
import type { LinkEnd } from './link-runner.ts'
import type { RemoteStates } from './remote-states.ts'

/** Kind of the job that works on one link of a record; payload `{recordId, linkId}`. */
export const REPLICATE_LINK = 'replicate-link'

interface LinkJobDeps {
  readonly db: MetadataDatabase
  readonly queue: JobQueue
  readonly clock: Clock
  readonly remotes: Pick<RemoteStates, 'of'>
  runLink(recordId: string, linkId: number, signal: AbortSignal): Promise<LinkEnd>
}

/** Of one target at once, of the places that all targets share (`app/server.ts`). */
const MOST_AT_ONCE = 8
/** As long as nothing is known of it, or the last that was heard of it was a failure: one that hangs holds no more places. */
const MOST_UNTRUSTED = 2
/** Who is turned away is called when a place is free; this is for a process that forgot him. */
const WAIT_MS = 5_000
const WAIT_PER_LINK_MS = 50

/** Works on one link when there is a place for it among those to the same target. One that waits holds no place among the jobs. */
export function createLinkJob({ db, queue, clock, remotes, runLink }: LinkJobDeps): JobHandler {
  const slots = createLinkSlots({
    most: (clusterId) => (remotes.of(clusterId).circuit.isTrusted ? MOST_AT_ONCE : MOST_UNTRUSTED),
    // Whoever is not called comes by himself, a little later.
    call: (link) => void db.transact((trx) => enqueueLink(queue, trx, link)).catch(() => undefined),
  })
  return async ({ payload }, signal) => {
    const recordId = payload.recordId!
    const linkId = Number(payload.linkId)
    const place = await findLinkPlace(db.read, recordId, linkId)
    if (place === undefined) return undefined
    const link: WaitingLink = { ...place, recordId, linkId }
    using slot = slots.enter(link)
    if (slot === undefined) {
      return { retryAt: clock.now() + WAIT_MS + WAIT_PER_LINK_MS * slots.waitingFor(place.clusterId) }
    }
    const end = await runLink(recordId, linkId, signal)
    return end === 'ended' ? undefined : end
  }
}

export async function enqueueLink(
  queue: Pick<JobQueue, 'enqueue'>,
  trx: Transaction,
  { recordId, linkId }: Pick<WaitingLink, 'recordId' | 'linkId'>,
): Promise<void> {
  const payload = { recordId, linkId: String(linkId) }
  await queue.enqueue({ kind: REPLICATE_LINK, dedupeKey: `${recordId}/${linkId}`, payload }, trx)
}
