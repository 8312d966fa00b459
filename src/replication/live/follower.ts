import type { Clock } from '../../core/clock.ts'
import { nextChanges } from '../../metadata/changes/change-spans.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { listDuePaths, nextDueOfLink } from '../../metadata/replication/failures.ts'
import { noteLiveProgress, setLiveState } from '../../metadata/replication/live-links.ts'
import { LinkDown } from '../../remotes/transport/failures.ts'
import { LeaseLost } from '../runs/stop-reasons.ts'
import { createAlarmBell } from './alarm-bell.ts'
import { createBatchSender } from './batch-sender.ts'
import { createBatchesUnderWay, type LiveBatch } from './batches-under-way.ts'
import type { ChangeWatch } from './change-watch.ts'
import { createDeletionGate } from './deletion-gate.ts'
import { createLiveDelivery } from './live-delivery.ts'
import type { LiveSession } from './live-session.ts'
import { createLiveSettlement } from './live-settlement.ts'
import { tellsChangesSince } from './own-log.ts'

export interface FollowerDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly watch: ChangeWatch
}

const CHANGES_PER_BATCH = 500
const DUE_MS = 5_000
/** docs/design/real-time.md, Verification. */
const VERIFY_MS = 10 * 60_000

/**
 * Brings over what changes, as it changes, until the signal, or until only a comparison can go on. Batches overlap, but not those that
 * touch the same path; their checkpoints keep the order. @throws LeaseLost, FailedFast, LinkDown, RemoteRefusal, NotOurProtocol,
 * AppError REPOSITORY_NOT_FOUND.
 */
export async function follow(
  { db, clock, watch }: FollowerDeps,
  session: LiveSession,
  signal: AbortSignal,
): Promise<'compare'> {
  const { claim, work, context } = session
  const { scope, spec } = work
  const repoId = scope.repository.id
  const stopsAtFailure = spec.errorStrategy === 'FAST_FAIL'
  const care = context.suspects.of({ recordId: 'live', linkId: work.link.id, shardNo: 0 })
  const stop = new AbortController()
  const all = AbortSignal.any([signal, stop.signal])
  const bell = createAlarmBell(signal)
  all.addEventListener('abort', bell.ring, { once: true })
  using _changes = await watch.subscribe(repoId, bell.ring)
  await using delivery = createLiveDelivery(db, session, all)
  const batches = createBatchesUnderWay()
  const sender = createBatchSender({ delivery, clock, limits: context.batch, care, stopsAtFailure })
  const gate = await createDeletionGate(session.guard, clock, session.ackedSeq)
  const settlement = createLiveSettlement({ db, clock, batches, delivery, bell }, session, all)
  let readSeq = session.ackedSeq
  let isLive = false
  let dueAt = clock.now()
  let verifyAt = dueAt + VERIFY_MS

  /** Nothing that is under way may be sent again beside itself: it waits, and is read when that is over. */
  async function batchOf(changed: readonly string[], upTo: number | undefined): Promise<LiveBatch> {
    for (;;) {
      while (batches.collide(changed)) await bell.wait()
      const items = await delivery.itemsOf(changed)
      // Of a file that belongs to a version, the version.
      const paths = [...new Set([...changed, ...items.map(({ path }) => path)])]
      if (!batches.collide(paths)) return { paths, upTo, items }
      await bell.wait()
    }
  }
  async function begin(paths: readonly string[], upTo: number | undefined): Promise<void> {
    if (paths.length === 0 && batches.count === 0) return
    const isAlone = stopsAtFailure || care.isCareful
    const batch = await batchOf(paths, upTo)
    batches.add(batch)
    void deliver(batch).catch(bell.fail)
    if (isAlone) while (batches.count > 0) await bell.wait()
  }
  async function deliver(batch: LiveBatch): Promise<void> {
    batches.deliver(batch, await sender.send(batch.items))
    settlement.begin()
  }

  const isTold = () => tellsChangesSince(db.read, claim, work, readSeq)

  /** What failed before, when it is its turn. */
  async function tryDue(): Promise<void> {
    const now = clock.now()
    dueAt = now + DUE_MS
    const next = await nextDueOfLink(db.read, claim.linkId)
    if (next === undefined || next > now) return
    const paths = await listDuePaths(db.read, claim.linkId, now, CHANGES_PER_BATCH)
    if (paths.length > 0 && !batches.collide(paths)) await begin(paths, undefined)
  }

  async function readUpTo(head: number): Promise<void> {
    await gate.pass(head)
    const span = { from: readSeq, to: head, ranges: scope.ranges, limit: CHANGES_PER_BATCH }
    const { paths, upTo } = await nextChanges(db.read, repoId, span)
    await begin(paths, upTo)
    readSeq = upTo
  }

  /** Everything that changed is on its way. @returns what has to happen next, if anything has. */
  async function drained(): Promise<'compare' | undefined> {
    if (!isLive) {
      isLive = true
      const isMine = await db.transact(async (trx) => {
        if (batches.count === 0) await noteLiveProgress(trx, claim)
        return setLiveState(trx, claim, 'LIVE', clock.now())
      })
      if (!isMine) throw new LeaseLost()
    }
    if (batches.count > 0) return undefined
    await settlement.passOver(readSeq)
    await delivery.rest()
    if (clock.now() < verifyAt) return undefined
    verifyAt = clock.now() + VERIFY_MS
    return (await session.verify(all)) === 'compare' ? 'compare' : undefined
  }

  async function run(): Promise<'compare'> {
    for (;;) {
      bell.check()
      if (batches.isFull()) {
        await bell.wait()
        continue
      }
      if (clock.now() >= dueAt) {
        // A repository that is gone changes no more.
        if (!(await isTold())) return 'compare'
        await tryDue()
      }
      const head = watch.headOf(repoId)
      if (head > readSeq) {
        if (!(await isTold())) return 'compare'
        await readUpTo(head)
        continue
      }
      const next = await drained()
      if (next !== undefined) return next
      await bell.wait()
    }
  }

  try {
    return await run()
  } catch (error) {
    const isAtOnce = batches.count > 0 && !settlement.hasMoved
    if (error instanceof LinkDown && !signal.aborted && isAtOnce && !care.isCareful) care.broke()
    throw error
  } finally {
    // Whatever is under way has no outcome any more; the next owner begins at the last checkpoint.
    stop.abort(new LeaseLost())
    await settlement.end()
  }
}
