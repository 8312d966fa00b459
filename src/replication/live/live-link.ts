import type { ClusterTarget } from '../../clusters/cluster.ts'
import { AppError, messageOf } from '../../core/errors.ts'
import type { Random } from '../../core/ids.ts'
import { headSeq } from '../../metadata/changes/change-numbers.ts'
import { findExecLink, markExecLink } from '../../metadata/replication/exec-links.ts'
import { hasFailedFiles } from '../../metadata/replication/exec-shards.ts'
import { findLink, type LinkCursor, moveLink, saveCursor } from '../../metadata/replication/links.ts'
import { createLiveCounters, foldShards } from '../../metadata/replication/live-counters.ts'
import {
  findLiveLink,
  type LiveClaim,
  type LiveLink,
  leaveLiveLink,
  setLiveState,
  touchLiveLink,
} from '../../metadata/replication/live-links.ts'
import { findRepository } from '../../metadata/repositories/repositories.ts'
import { type ClusterClient, createClusterClient } from '../../remotes/cluster/cluster-client.ts'
import { LinkDown } from '../../remotes/transport/failures.ts'
import { describeLink, type LinkPlanner, type LinkWork, objectOf } from '../planning/link-plan.ts'
import type { ScopeSource } from '../planning/link-scope.ts'
import { followRegistry } from '../registries/registry-follower.ts'
import type { RegistryLinks } from '../registries/registry-links.ts'
import { NO_LOG } from '../registries/version-shard.ts'
import { noteWhatIsOlder } from '../registries/what-is-older.ts'
import type { LinkContexts, LinkEnd } from '../runs/link-runner.ts'
import type { RemoteStates } from '../runs/remote-states.ts'
import type { RunSpec } from '../runs/run-spec.ts'
import { LeaseLost, LinkStopped, linkFate } from '../runs/stop-reasons.ts'
import { firstStep, stepAfterOpen } from './follow-state.ts'
import { type FollowerDeps, follow } from './follower.ts'
import { FailedFast } from './live-settlement.ts'

export interface LiveLinkDeps extends FollowerDeps, ScopeSource {
  readonly random: Random
  readonly planner: LinkPlanner
  readonly remotes: RemoteStates
  readonly contextOf: LinkContexts
  readonly registries: Pick<RegistryLinks, 'connect'>
  /** Between attempts on a target that does not answer; the last one again and again. */
  readonly reconnectDelaysMs: readonly number[]
  loadSpec(recordId: string): Promise<RunSpec | undefined>
  /** Compares what exists and brings it over, as a run does. */
  runLink(recordId: string, linkId: number, signal: AbortSignal): Promise<LinkEnd>
  getTarget(clusterId: string): Promise<ClusterTarget>
  onDefect(error: unknown, about: { linkId: number }): void
}

/** A target that refused will hardly think otherwise at once. */
const REFUSED_DELAYS_MS = [5_000, 15_000, 60_000, 300_000]
/** However long a target asks to be left alone. */
const MOST_RETRY_AFTER_MS = 5 * 60_000
/** The job that makes the links of a record is on its way. */
const SPREAD_MS = 50
/** Two comparisons in a row did not lead to a cursor that holds. */
const RESTLESS = 'what the link has to compare kept changing meanwhile'

/** Why an attempt ended, when it says when to come again. */
class Broken extends Error {
  readonly refused: boolean
  constructor(reason: string, refused: boolean) {
    super(reason)
    this.refused = refused
  }
}

/** One link as it stands: its place in the open record, and what the task wants of it. */
interface Place {
  readonly live: LiveLink
  readonly spec: RunSpec & { readonly follows: NonNullable<RunSpec['follows']> }
  readonly work: LinkWork
}

/**
 * Follows one claimed link for as long as it goes: compares what exists where that is needed, then brings over what changes. On the way out
 * the link is given back, and says when it is to be tried again. Never throws.
 */
export function createLiveLinkRunner(deps: LiveLinkDeps) {
  const { db, clock, random } = deps

  async function run(claim: LiveClaim, signal: AbortSignal): Promise<void> {
    try {
      await goOn(claim, signal)
    } catch (error) {
      await leave(claim, error, signal).catch((late: unknown) => deps.onDefect(late, { linkId: claim.linkId }))
    }
  }

  async function goOn(claim: LiveClaim, signal: AbortSignal): Promise<never> {
    for (let comparisons = 0; ; ) {
      const place = await locate(claim)
      const { live, spec, work } = place
      const step = firstStep({
        state: live.state,
        compared: work.execLink.state === 'DONE',
        cursor: await cursorState(work),
        backfill: spec.follows.backfill,
      })
      if (step !== 'compare') {
        const how = { fromActivation: step !== 'follow', justCompared: comparisons > 0 }
        if (await followFrom(claim, place, how, signal)) comparisons = 0
        await again(claim)
        continue
      }
      if (++comparisons > 2) throw new Broken(RESTLESS, true)
      await compare(claim, place, signal)
    }
  }

  async function locate(claim: LiveClaim): Promise<Place> {
    const live = await findLiveLink(db.read, claim.linkId)
    if (live === undefined || live.token !== claim.token) throw new LeaseLost()
    const spec = await deps.loadSpec(live.record_id)
    const execLink = spec && (await findExecLink(db.read, live.record_id, claim.linkId))
    if (spec?.follows === undefined || execLink === undefined) throw new NotYet()
    const work = await describe(spec, execLink)
    return { live, spec: { ...spec, follows: spec.follows }, work }
  }
  async function describe(spec: RunSpec, execLink: LinkWork['execLink']): Promise<LinkWork> {
    try {
      return await describeLink(deps, spec, execLink)
    } catch (error) {
      const moved = error instanceof LinkStopped && (await adopted(spec, execLink))
      if (moved) return describeLink(deps, spec, execLink)
      throw error
    }
  }
  /** The repository was deleted and made again: the link goes on with the one that has its name. */
  async function adopted(spec: RunSpec, execLink: LinkWork['execLink']): Promise<boolean> {
    const { link_id } = execLink
    const link = await findLink(db.read, link_id)
    const object = link && objectOf(spec, link, execLink)
    const repository = object && (await findRepository(db.read, object.localProject, object.localRepo))
    if (repository === undefined) return false
    await db.transact((trx) => moveLink(trx, link_id, repository.id))
    return true
  }

  async function cursorState({ link, scope }: LinkWork): Promise<'none' | 'holds' | 'void'> {
    const { cursor } = link
    if (cursor === undefined) return 'none'
    const { id, epoch, floorSeq } = scope.repository
    const isKnown = cursor.repoEpoch === epoch && cursor.ackedSeq >= floorSeq && link.scopeHash === scope.scopeHash
    return isKnown && cursor.ackedSeq <= (await headSeq(db.read, id)) ? 'holds' : 'void'
  }

  async function compare(claim: LiveClaim, { live, work }: Place, signal: AbortSignal): Promise<void> {
    const { spec, execLink } = work
    const isOver = execLink.state === 'DONE' || execLink.state === 'FAILED'
    const isOpen = await db.transact(async (trx) => {
      const recordId = await touchLiveLink(trx, claim)
      if (recordId === undefined) throw new LeaseLost()
      if (recordId !== live.record_id) return false
      await setLiveState(trx, claim, 'BACKFILL', clock.now())
      if (!isOver) return true
      await foldShards(trx, recordId, claim.linkId)
      await markExecLink(trx, recordId, claim.linkId, 'PENDING')
      return true
    })
    if (!isOpen) return
    const place = await deps.remotes.of(execLink.cluster_id).backfills.enter(async () => undefined, signal)
    try {
      await bringOver(spec.recordId, claim.linkId, signal)
    } finally {
      place.leave()
    }
    // Another record was opened meanwhile: it goes on there.
    if ((await findLiveLink(db.read, claim.linkId))?.record_id !== spec.recordId) return
    const after = await findExecLink(db.read, spec.recordId, claim.linkId)
    if (after?.state !== 'FAILED') return
    const reason = after.error_reason ?? 'failed'
    const isFast = spec.errorStrategy === 'FAST_FAIL' && (await hasFailedFiles(db.read, spec.recordId, claim.linkId))
    throw isFast ? new FailedFast(reason) : new Broken(reason, true)
  }
  async function bringOver(recordId: string, linkId: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      const end = await deps.runLink(recordId, linkId, signal)
      if (end === 'ended') return
      if (end.reason !== undefined) throw new Broken(end.reason, false)
      await clock.sleep(Math.max(0, end.retryAt - clock.now()), signal)
    }
  }
  /** The target is not as this link left it: everything is looked at once more. */
  async function again(claim: LiveClaim): Promise<void> {
    await db.transact(async (trx) => {
      const recordId = await touchLiveLink(trx, claim)
      if (recordId === undefined) throw new LeaseLost()
      await foldShards(trx, recordId, claim.linkId)
      await markExecLink(trx, recordId, claim.linkId, 'PENDING')
      await setLiveState(trx, claim, 'BACKFILL', clock.now())
    })
  }

  /** @returns false when the target has to be compared before anything is followed. */
  async function followFrom(
    claim: LiveClaim,
    { live, spec, work }: Place,
    { fromActivation, justCompared }: { readonly fromActivation: boolean; readonly justCompared: boolean },
    signal: AbortSignal,
  ): Promise<boolean> {
    const { link, execLink, scope } = work
    const target = await deps.getTarget(execLink.cluster_id)
    if (target.isRegistry === true) return followPushes(claim, { live, spec, work }, target, signal)
    using client = createClusterClient(target, clock)
    const answer = await client.open(link.key, await deps.planner.openRequest(work), signal)
    const known = link.cursor?.remote
    const isSame = known?.epoch === answer.head.epoch
    const { backfill } = spec.follows
    // Others may have written over there while this was compared; the next verification tells.
    const isPure = answer.pure || justCompared
    if (!fromActivation && stepAfterOpen({ isSame, isPure, backfill }) === 'compare') return false
    const cursor: LinkCursor = {
      repoEpoch: scope.repository.epoch,
      ackedSeq: link.cursor?.ackedSeq ?? Math.max(live.from_seq ?? 0, scope.repository.floorSeq),
      remote: isSame && !answer.pure && backfill ? known! : answer.head,
    }
    await catchUpFrom(claim, scope.scopeHash, cursor)
    const followed = { ...work, spec: { ...spec, run: live.run } }
    const opened = { ...followed, execLink: { ...execLink, remote_epoch: answer.head.epoch } }
    const remote = deps.remotes.of(execLink.cluster_id)
    const rate = deps.remotes.rate(spec.taskKey, spec.rateLimit, target, 'live')
    const turns = remote.gate.join({ kind: 'live', taskKey: spec.taskKey })
    try {
      const context = { ...(await deps.contextOf(opened, client, remote, rate, () => undefined, signal)), turns }
      const session = {
        ...{ claim, context, work: followed, targetId: answer.hello.clusterId, ackedSeq: cursor.ackedSeq },
        guard: await deps.planner.guard(followed, answer.hello.clusterId),
        verify: (stop: AbortSignal) => verify(claim, followed, client, backfill, stop),
      }
      await follow(deps, session, signal)
      return true
    } finally {
      turns.close()
      rate.close()
    }
  }

  /** What exists is dealt with: from here on changes are followed. */
  async function catchUpFrom(claim: LiveClaim, scopeHash: string, cursor: LinkCursor): Promise<void> {
    await db.transact(async (trx) => {
      const recordId = await touchLiveLink(trx, claim)
      if (recordId === undefined) throw new LeaseLost()
      if (!(await markExecLink(trx, recordId, claim.linkId, 'DONE'))) throw new NotYet()
      await createLiveCounters(trx, recordId, claim.linkId)
      await saveCursor(trx, claim.linkId, scopeHash, cursor)
      await setLiveState(trx, claim, 'CATCHUP', clock.now())
    })
  }

  /** As `followFrom`, to a registry: it keeps no log, and what it has is known from what it acknowledged. */
  async function followPushes(
    claim: LiveClaim,
    { live, spec, work }: Place,
    target: ClusterTarget,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { link, scope } = work
    const ackedSeq = link.cursor?.ackedSeq ?? Math.max(live.from_seq ?? 0, scope.repository.floorSeq)
    if (link.cursor === undefined) await noteWhatIsOlder(db, { ...work, from: ackedSeq }, clock.now())
    await catchUpFrom(claim, scope.scopeHash, { repoEpoch: scope.repository.epoch, ackedSeq, remote: NO_LOG })
    using end = deps.registries.connect(work, target, signal)
    await followRegistry(deps, { claim, work: { ...work, spec }, end, ackedSeq }, signal)
    return true
  }

  async function verify(
    claim: LiveClaim,
    work: LinkWork,
    client: ClusterClient,
    backfill: boolean,
    signal: AbortSignal,
  ): Promise<'pure' | 'compare'> {
    const now = await describeLink(deps, work.spec, work.execLink)
    if (now.scope.scopeHash !== work.scope.scopeHash) return 'compare'
    const answer = await client.open(work.link.key, await deps.planner.openRequest(now), signal)
    const isSame = answer.head.epoch === now.link.cursor?.remote.epoch
    if (stepAfterOpen({ isSame, isPure: answer.pure, backfill }) === 'compare') return 'compare'
    await db.transact(async (trx) => {
      if ((await touchLiveLink(trx, claim)) === undefined) throw new LeaseLost()
      const { ackedSeq, repoEpoch } = now.link.cursor!
      await saveCursor(trx, claim.linkId, now.scope.scopeHash, { repoEpoch, ackedSeq, remote: answer.head })
    })
    return 'pure'
  }

  async function leave(claim: LiveClaim, error: unknown, signal: AbortSignal): Promise<void> {
    const now = clock.now()
    const live = await findLiveLink(db.read, claim.linkId)
    const rest = live && !signal.aborted ? restAfter(error, live, now) : undefined
    if (live === undefined) return
    await db.transact((trx) => leaveLiveLink(trx, claim, rest))
    if (linkFate(error) === 'defect' && !isKnown(error) && !signal.aborted)
      deps.onDefect(error, { linkId: claim.linkId })
  }
  function restAfter(error: unknown, live: LiveLink, now: number) {
    const lastError = live.last_error
    if (error instanceof NotYet) {
      return { state: live.state, attempts: live.attempts, nextAttemptAt: now + SPREAD_MS, lastError, now: live.since }
    }
    if (error instanceof FailedFast) {
      return { state: 'STOPPED' as const, attempts: 0, nextAttemptAt: 0, lastError: error.message, now }
    }
    const attempts = live.attempts + 1
    const delays = isRefusal(error) ? REFUSED_DELAYS_MS : deps.reconnectDelaysMs
    const asked = error instanceof LinkDown ? Math.min(error.retryAfterMs ?? 0, MOST_RETRY_AFTER_MS) : 0
    const delayMs = Math.max(asked, delays[Math.min(attempts, delays.length) - 1]! * (0.75 + random.next() / 2))
    const since = live.state === 'RETRY' ? live.since : now
    return {
      state: 'RETRY' as const,
      attempts,
      nextAttemptAt: Math.round(now + delayMs),
      lastError: reasonOf(error),
      now: since,
    }
  }

  return run
}

/** The record's links are not made yet, or it was closed and the next one is on its way. */
class NotYet extends Error {}

const isKnown = (error: unknown) => error instanceof NotYet || error instanceof FailedFast || error instanceof Broken

function isRefusal(error: unknown): boolean {
  if (error instanceof Broken) return error.refused
  const fate = linkFate(error)
  return fate === 'failed' || fate === 'defect'
}

function reasonOf(error: unknown): string {
  const isOurs = linkFate(error) === 'defect' && !isKnown(error) && !(error instanceof AppError)
  return isOurs ? 'an internal error, see the server log' : messageOf(error)
}
