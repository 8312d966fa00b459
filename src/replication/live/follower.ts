import type { Clock } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import { nextChanges } from '../../metadata/change-log.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { listDuePaths, nextDueOfLink } from '../../metadata/replication/failures.ts'
import { findLiveFacts, type LiveClaim, noteLiveProgress, setLiveState } from '../../metadata/replication/live-links.ts'
import { LinkDown } from '../../remotes/transport/failures.ts'
import { inBatches } from '../delivery/batches.ts'
import { deliverCarefully } from '../delivery/careful.ts'
import type { Outcome } from '../delivery/outcome.ts'
import type { ShardContext } from '../delivery/shard-worker.ts'
import type { WorkItem } from '../delivery/work-item.ts'
import type { LinkWork } from '../planning/link-plan.ts'
import { GUARD_HORIZON_MS, type WindowGuard } from '../planning/window-guard.ts'
import { LeaseLost } from '../runs/stop-reasons.ts'
import { createBell } from './bell.ts'
import type { ChangeWatch } from './change-watch.ts'
import { liveCheckpoint } from './live-checkpoint.ts'
import { createLiveDelivery, type LiveDelivery } from './live-delivery.ts'
import { createPathsUnderWay } from './paths-under-way.ts'
import { createRecentDeletions } from './recent-deletions.ts'

export interface FollowerDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly watch: ChangeWatch
}

/** A link whose target is open. */
export interface LiveSession {
  readonly claim: LiveClaim
  readonly work: LinkWork
  readonly context: ShardContext
  /** Identity of the target: what was written there is not sent back. */
  readonly targetId: string
  /** The target has everything up to this number of our change log, but what the ledger lists. */
  readonly ackedSeq: number
  /** Asked before anything of a window is sent. */
  readonly guard: WindowGuard
  /** Asks the target whether it is as this link left it; called when nothing is under way. */
  verify(signal: AbortSignal): Promise<'pure' | 'compare'>
}

/** The task stops at the first failure, and there was one. */
export class FailedFast extends Error {}

/** One is read and sent while others are made durable over there. */
const BATCHES_AT_ONCE = 4
const CHANGES_PER_BATCH = 500
/** Over there, and not in a checkpoint yet. */
const UNSETTLED_BATCHES = 64
/** Between checkpoints: what a kill costs, and what uploads do not wait for. */
const SETTLE_MS = 20
/** A cursor that moved over changes that are none of the link's is written this often. */
const CURSOR_MS = 1_000
const DUE_MS = 5_000
/** docs/design/real-time.md, Verification. */
const VERIFY_MS = 10 * 60_000

interface Batch {
  readonly paths: readonly string[]
  /** Undefined: of the ledger, the cursor has nothing to do with it. */
  readonly upTo: number | undefined
  readonly items: readonly WorkItem[]
  outcomes?: readonly Outcome[]
}

/**
 * Brings over what changes, as it changes, until the signal, or until only a comparison can go on. Batches overlap, but not those that
 * touch the same path; their checkpoints keep the order. @throws LeaseLost, FailedFast, LinkDown, RemoteRefusal, NotOurProtocol,
 * AppError REPOSITORY_NOT_FOUND.
 */
export async function follow(deps: FollowerDeps, session: LiveSession, signal: AbortSignal): Promise<'compare'> {
  const { db, clock, watch } = deps
  const { claim, work, context } = session
  const { scope, spec, object } = work
  const repoId = scope.repository.id
  const place = { spec, object, linkId: work.link.id }
  const stopAtFailure = spec.errorStrategy === 'FAST_FAIL'
  const care = context.suspects.of({ recordId: 'live', linkId: work.link.id, shardNo: 0 })
  const stop = new AbortController()
  const all = AbortSignal.any([signal, stop.signal])
  const bell = createBell()
  all.addEventListener('abort', bell.ring, { once: true })
  using _changes = await watch.subscribe(repoId, bell.ring)
  await using delivery = createLiveDelivery(db, session, all)
  const touched = createPathsUnderWay()
  const underWay: Batch[] = []
  let failure: { readonly error: unknown } | undefined
  let readSeq = session.ackedSeq
  let savedSeq = readSeq
  /** The guard of deletions knows all that changed up to here. */
  let letThrough = readSeq
  const deletions = createRecentDeletions(clock, GUARD_HORIZON_MS)
  deletions.add(await session.guard.before(readSeq))
  let savedAt = clock.now()
  let isLive = false
  let dueAt = savedAt
  let verifyAt = savedAt + VERIFY_MS
  let settling: Promise<void> | undefined
  /** Something was brought over since the link was opened. */
  let hasMoved = false

  function fail(error: unknown): void {
    failure ??= { error }
    bell.ring()
  }
  function settleSoon(): void {
    if (settling !== undefined || failure !== undefined || underWay[0]?.outcomes === undefined) return
    settling = settleDone()
      .catch(fail)
      .finally(() => {
        settling = undefined
        settleSoon()
        bell.ring()
      })
  }
  async function settleDone(): Promise<void> {
    // One transaction for what has come together.
    const soonMs = savedAt + SETTLE_MS - clock.now()
    if (soonMs > 0) await clock.sleep(soonMs, all)
    const unfinished = underWay.findIndex(({ outcomes }) => outcomes === undefined)
    const done = underWay.slice(0, unfinished === -1 ? undefined : unfinished)
    const outcomes = done.flatMap((batch) => batch.outcomes!)
    const failed = stopAtFailure ? outcomes.find(({ result }) => result === 'failed') : undefined
    const dealtWith = failed && new Set(outcomes.map(({ item }) => item.path))
    const paths = done.flatMap((batch) => (dealtWith ? batch.paths.filter((path) => dealtWith.has(path)) : batch.paths))
    await save(paths, outcomes, failed === undefined ? lastSeq(done) : undefined)
    for (const batch of done) touched.remove(batch.paths)
    underWay.splice(0, done.length)
    if (failed !== undefined) throw new FailedFast(failed.reason ?? 'failed')
  }
  async function save(paths: readonly string[], outcomes: readonly Outcome[], upTo: number | undefined): Promise<void> {
    const sentBytes = delivery.takeSentBytes()
    await liveCheckpoint(deps, claim, place, { paths, outcomes, sentBytes, upTo })
    context.onOutcomes(outcomes, sentBytes)
    if (outcomes.length > 0) hasMoved = true
    if (upTo !== undefined) savedSeq = upTo
    savedAt = clock.now()
  }

  /** Nothing that is under way may be sent again beside itself: it waits, and is read when that is over. */
  async function batchOf(changed: readonly string[], upTo: number | undefined): Promise<Batch> {
    for (;;) {
      while (touched.collide(changed)) await pause()
      const items = await delivery.itemsOf(changed)
      // Of a file that belongs to a version, the version.
      const paths = [...new Set([...changed, ...items.map(({ path }) => path)])]
      if (!touched.collide(paths)) return { paths, upTo, items }
      await pause()
    }
  }
  async function begin(paths: readonly string[], upTo: number | undefined): Promise<void> {
    if (paths.length === 0 && underWay.length === 0) return
    const isAlone = stopAtFailure || care.isCareful
    const batch = await batchOf(paths, upTo)
    touched.add(batch.paths)
    underWay.push(batch)
    void deliver(delivery, batch).then(settleSoon, fail)
    if (isAlone) while (underWay.length > 0) await pause()
  }
  async function deliver(by: LiveDelivery, batch: Batch): Promise<void> {
    const outcomes: Outcome[] = []
    const send = async (items: readonly WorkItem[]) => {
      const some = await by.deliver(items)
      outcomes.push(...some)
      if (stopAtFailure && some.some(({ result }) => result === 'failed')) throw STOP_HERE
      if (some.length < items.length) throw new Error('files of a batch were left out')
      return some
    }
    try {
      const rest = care.isCareful ? await oneByOne(batch.items, send, outcomes) : onePage(batch.items)
      for await (const part of inBatches(rest, context.batch)) await send(part)
    } catch (error) {
      if (error !== STOP_HERE) throw error
    }
    batch.outcomes = outcomes
  }
  /** One of them may be what breaks the connection each time; as they are settled together, all have to get through, or to be found out. */
  async function oneByOne(
    items: readonly WorkItem[],
    send: (one: readonly WorkItem[]) => Promise<Outcome[]>,
    outcomes: Outcome[],
  ) {
    const isSent = (one: Outcome) => outcomes.includes(one)
    const rest = await deliverCarefully(onePage(items), {
      care: { ...care, isCareful: true, passed: () => undefined },
      deliver: send,
      async settle(_, some) {
        const condemned = some.filter((one) => !isSent(one))
        outcomes.push(...condemned)
        if (stopAtFailure && condemned.length > 0) throw STOP_HERE
      },
      now: clock.now,
    })
    for (const _ of items) care.passed()
    return rest
  }
  /** Until something was settled or changed, or for half a second. */
  async function pause(): Promise<void> {
    await bell.wait()
    check()
  }
  function check(): void {
    signal.throwIfAborted()
    if (failure !== undefined) throw failure.error
  }

  /** @returns false when our own log no longer tells what changed. */
  async function isMine(): Promise<boolean> {
    const facts = await findLiveFacts(db.read, claim.linkId)
    if (facts === undefined || facts.token !== claim.token) throw new LeaseLost()
    if (facts.epoch === null || facts.deletedAt !== null) {
      const name = `${object.localProject}/${object.localRepo}`
      throw new AppError('REPOSITORY_NOT_FOUND', `Repository [${name}] not found here`, { name })
    }
    return facts.epoch === scope.repository.epoch && facts.floorSeq! <= readSeq
  }

  /** What failed before, when it is its turn. */
  async function tryDue(): Promise<void> {
    const now = clock.now()
    dueAt = now + DUE_MS
    const next = await nextDueOfLink(db.read, claim.linkId)
    if (next === undefined || next > now) return
    const paths = await listDuePaths(db.read, claim.linkId, now, CHANGES_PER_BATCH)
    if (paths.length > 0 && !touched.collide(paths)) await begin(paths, undefined)
  }

  /** Everything that changed is on its way. @returns what has to happen next, if anything has. */
  async function drained(): Promise<'compare' | undefined> {
    if (!isLive) {
      isLive = true
      const isMine = await db.transact(async (trx) => {
        if (underWay.length === 0) await noteLiveProgress(trx, claim)
        return setLiveState(trx, claim, 'LIVE', clock.now())
      })
      if (!isMine) throw new LeaseLost()
    }
    if (underWay.length > 0) return undefined
    if (readSeq > savedSeq && clock.now() - savedAt >= CURSOR_MS) await save([], [], readSeq)
    await delivery.rest()
    if (clock.now() < verifyAt) return undefined
    verifyAt = clock.now() + VERIFY_MS
    return (await session.verify(all)) === 'compare' ? 'compare' : undefined
  }

  const isFull = () =>
    underWay.length >= UNSETTLED_BATCHES ||
    underWay.filter(({ outcomes }) => outcomes === undefined).length >= BATCHES_AT_ONCE

  async function run(): Promise<'compare'> {
    for (;;) {
      check()
      if (isFull()) {
        await pause()
        continue
      }
      if (clock.now() >= dueAt) {
        // A repository that is gone changes no more.
        if (!(await isMine())) return 'compare'
        await tryDue()
      }
      const head = watch.headOf(repoId)
      if (head > readSeq) {
        if (!(await isMine())) return 'compare'
        if (head > letThrough) {
          deletions.add(await session.guard.let({ from: letThrough, to: head }, deletions.count()))
          letThrough = head
        }
        const span = { from: readSeq, to: head, ranges: scope.ranges, limit: CHANGES_PER_BATCH }
        const { paths, upTo } = await nextChanges(db.read, repoId, span)
        await begin(paths, upTo)
        readSeq = upTo
        continue
      }
      const next = await drained()
      if (next !== undefined) return next
      await pause()
    }
  }

  try {
    return await run()
  } catch (error) {
    if (error instanceof LinkDown && !signal.aborted && underWay.length > 0 && !hasMoved && !care.isCareful)
      care.broke()
    throw error
  } finally {
    // Whatever is under way has no outcome any more; the next owner begins at the last checkpoint.
    stop.abort(new LeaseLost())
    await settling
  }
}

/** The task stops at the first failure. */
const STOP_HERE = new Error('stop here')

const lastSeq = (batches: readonly Batch[]): number | undefined =>
  batches.findLast(({ upTo }) => upTo !== undefined)?.upTo

async function* onePage(items: readonly WorkItem[]): AsyncIterable<readonly WorkItem[]> {
  if (items.length > 0) yield items
}
