import { Semaphore } from '../../core/concurrency.ts'
import { EVERY_PACKAGE } from '../../core/package-key.ts'
import { nextChanges } from '../../metadata/changes/change-spans.ts'
import { listDuePaths, nextDueOfLink } from '../../metadata/replication/failures.ts'
import { type LiveClaim, setLiveState } from '../../metadata/replication/live-links.ts'
import { notePushed, pushedVersionsAt } from '../../metadata/replication/pushed-versions.ts'
import { createAlarmBell } from '../live/alarm-bell.ts'
import type { FollowerDeps } from '../live/follower.ts'
import { liveCheckpoint } from '../live/live-checkpoint.ts'
import { FailedFast } from '../live/live-settlement.ts'
import { tellsChangesSince } from '../live/own-log.ts'
import type { LinkWork } from '../planning/link-plan.ts'
import { LeaseLost } from '../runs/stop-reasons.ts'
import { asLinkDown } from './link-down.ts'
import { createPushWindows } from './push-windows.ts'
import { type RegistryEnd, VERSIONS_AT_ONCE } from './registry-run.ts'
import { pushVersion } from './version-pusher.ts'
import { pushScopeOf, type VersionToPush, withoutPushed } from './versions-to-push.ts'

/** A link to a registry that follows what is published. */
export interface RegistrySession {
  readonly claim: LiveClaim
  readonly work: LinkWork
  readonly end: RegistryEnd
  /** The registry has every version that was published up to this number of our change log, but what the ledger lists. */
  readonly ackedSeq: number
}

const CHANGES_AT_ONCE = 200
const DUE_MS = 5_000
/** A cursor that moved over changes that are none of the link's is written this often. */
const CURSOR_MS = 1_000

/**
 * Pushes what is published, as it is published, until the signal. Each version counts by itself, so that a small one does not wait for a
 * large one before it; the cursor moves over what has ended without a gap. @returns `compare` when our own log no longer tells what
 * changed. @throws LeaseLost, FailedFast, LinkDown, AppError.
 */
export async function followRegistry(
  { db, clock, watch }: FollowerDeps,
  { claim, work, end, ackedSeq }: RegistrySession,
  signal: AbortSignal,
): Promise<'compare'> {
  const { spec, object, link, repository, scope } = work
  const stopsAtFailure = spec.errorStrategy === 'FAST_FAIL'
  const place = { spec, object, linkId: link.id }
  const pushes = pushScopeOf(object, scope.packages?.shares)
  const stop = new AbortController()
  const all = AbortSignal.any([signal, stop.signal])
  const bell = createAlarmBell(signal)
  signal.addEventListener('abort', bell.ring, { once: true })
  using _changes = await watch.subscribe(repository.id, bell.ring)
  const windows = createPushWindows(ackedSeq)
  const places = new Semaphore(stopsAtFailure ? 1 : VERSIONS_AT_ONCE)
  const traffic = end.contents.traffic()
  const options = end.contents.options(traffic.add)
  const { registry, name: registryName } = end
  const { conflictStrategy } = spec
  let readSeq = ackedSeq
  let [savedSeq, savedAt] = [ackedSeq, clock.now()]
  let isLive = false
  let dueAt = clock.now()

  async function pushOne(version: VersionToPush): Promise<void> {
    const pushed = await pushedVersionsAt(db.read, link.id, [version.path])
    // What fails has its turn again when it is due.
    const deps = { reader: db.read, clock, registry, registryName, options, pushed, conflictStrategy, attempts: 1 }
    const done = await pushVersion(deps, repository.id, version, all)
    const outcomes = done === undefined ? [] : [done.outcome]
    const also = (trx: Parameters<typeof notePushed>[0]) => notePushed(trx, link.id, done?.pushed ?? [], clock.now())
    const counts = { outcomes, paths: [version.path], sentBytes: traffic.take(), upTo: undefined }
    await liveCheckpoint({ db, clock }, claim, place, { ...counts, also })
    const failure = done?.outcome.result === 'failed' ? (done.outcome.reason ?? 'failed') : undefined
    if (stopsAtFailure && failure !== undefined) throw new FailedFast(failure)
  }
  /** Returns when all are on their way. @param upTo undefined: they are no next step of the log. */
  async function begin(paths: readonly string[], upTo: number | undefined): Promise<void> {
    // What is on its way may be what it was before: it ends first.
    await windows.ended(paths)
    bell.check()
    const found = await pushes.at(db.read, repository.id, paths)
    const pushed = await pushedVersionsAt(
      db.read,
      link.id,
      found.map(({ path }) => path),
    )
    const { missing } = withoutPushed(found, pushed)
    const going = new Set(missing.map(({ path }) => path))
    const window = windows.open(
      upTo,
      paths.filter((path) => !going.has(path)),
      missing.length,
    )
    for (const version of missing) {
      await windows.ended([version.path])
      const turn = await places.acquire()
      if (bell.hasFailed || signal.aborted) {
        turn[Symbol.dispose]()
        bell.check()
      }
      const one = pushOne(version)
        .catch(bell.fail)
        .finally(() => {
          turn[Symbol.dispose]()
          window.endedOne()
          bell.ring()
        })
      windows.begun(version.path, one)
    }
  }
  /** What ended without a gap before it. */
  async function settle(): Promise<void> {
    const { others, upTo } = windows.take()
    if (others.length > 0 || upTo > savedSeq) await save(others, upTo)
  }
  async function save(paths: readonly string[], upTo: number): Promise<void> {
    await liveCheckpoint({ db, clock }, claim, place, { outcomes: [], paths, sentBytes: 0, upTo })
    ;[savedSeq, savedAt] = [upTo, clock.now()]
  }

  const isTold = () => tellsChangesSince(db.read, claim, work, readSeq)
  /** What failed before, when it is its turn. */
  async function tryDue(): Promise<void> {
    const now = clock.now()
    dueAt = now + DUE_MS
    const next = await nextDueOfLink(db.read, claim.linkId)
    if (next === undefined || next > now) return
    const due = await listDuePaths(db.read, claim.linkId, now, CHANGES_AT_ONCE)
    await begin(windows.idle(due), undefined)
  }
  async function readUpTo(head: number): Promise<void> {
    const span = { from: readSeq, to: head, ranges: [EVERY_PACKAGE], limit: CHANGES_AT_ONCE }
    const { paths, upTo } = await nextChanges(db.read, repository.id, span)
    readSeq = upTo
    if (paths.length > 0) await begin(paths, upTo)
    else windows.pass(upTo)
  }
  async function rest(): Promise<void> {
    if (!isLive && windows.count === 0) {
      isLive = true
      if (!(await db.transact((trx) => setLiveState(trx, claim, 'LIVE', clock.now())))) throw new LeaseLost()
    }
    if (windows.count === 0 && readSeq > savedSeq && clock.now() - savedAt >= CURSOR_MS) await save([], readSeq)
    await bell.wait()
  }

  try {
    await end.greet(all)
    for (;;) {
      bell.check()
      if (windows.hasEnded) await settle()
      const head = watch.headOf(repository.id)
      const isDue = clock.now() >= dueAt
      if ((isDue || head > readSeq) && !(await isTold())) return 'compare'
      if (isDue) await tryDue()
      if (head > readSeq) await readUpTo(head)
      else await rest()
    }
  } catch (error) {
    signal.throwIfAborted()
    throw asLinkDown(error)
  } finally {
    stop.abort(new LeaseLost())
    await windows.allEnded()
  }
}
