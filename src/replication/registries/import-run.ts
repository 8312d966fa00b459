import type { Clock } from '../../core/clock.ts'
import { mapConcurrent } from '../../core/concurrency.ts'
import { AppError, messageOf } from '../../core/errors.ts'
import { packagePath } from '../../core/package-key.ts'
import type { ForeignSource } from '../../formats/foreign.ts'
import { headSeq } from '../../metadata/changes/change-numbers.ts'
import { numberChanges } from '../../metadata/changes/sequencer.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { pathsNotedSince } from '../../metadata/replication/divergences.ts'
import {
  beginCopying,
  type ExecLink,
  findExecLink,
  holdsPlanning,
  takePlanning,
} from '../../metadata/replication/exec-links.ts'
import {
  claimShard,
  createShards,
  leaveShard,
  openShards,
  type ShardClaim,
} from '../../metadata/replication/exec-shards.ts'
import { notePushed, pushedKey, pushedVersions } from '../../metadata/replication/pushed-versions.ts'
import { putDetails } from '../../metadata/replication/record-details.ts'
import { findRecord } from '../../metadata/replication/records.ts'
import type { LogPosition } from '../../remotes/cluster/messages.ts'
import { checkpoint } from '../delivery/checkpoint.ts'
import { missingDetail } from '../delivery/detail-rows.ts'
import type { AnyOutcome } from '../delivery/outcome.ts'
import { keepShard } from '../delivery/shard-lease.ts'
import type { RateLimit } from '../limits/rate-limiter.ts'
import type { LinkWork } from '../planning/link-plan.ts'
import { LeaseLost, LinkStopped } from '../runs/stop-reasons.ts'
import { asLinkDown, NO_LOG } from './registry-run.ts'
import { type ImportScope, importScopeOf, type VersionToImport } from './versions-to-import.ts'

/** A registry that is connected to for one run. */
export interface ImportEnd {
  readonly name: string
  readonly source: ForeignSource
  readonly rate: RateLimit
}

export interface ImportRunDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  /** `installationId:bootId`. */
  readonly owner: string
  readonly leaseMs: number
  /** All is here: closes the link, and with the last one the record. */
  done(work: LinkWork, remote: LogPosition): Promise<void>
  onOutcomes(outcomes: readonly AnyOutcome[], bytes: number): void
}

/** Each has several contents on the way. */
const VERSIONS_AT_ONCE = 4
/** Shard 0 holds what is known without looking. */
const WORK_SHARD = 1

/**
 * One run of an import: the registry is asked for what it has, and that is brought version by version. Each counts in one transaction with
 * the note that it came; a run that goes on after a kill brings what is left, and of that only contents that are not here.
 * @returns `later` when somebody else works on it. @throws LinkDown, LeaseLost, LinkStopped, AppError.
 */
export async function runImportLink(
  deps: ImportRunDeps,
  work: LinkWork,
  end: ImportEnd,
  onStored: () => void,
  signal: AbortSignal,
): Promise<'ended' | 'later'> {
  const { db } = deps
  const { spec, link } = work
  let scope: ImportScope | undefined
  const look = async () => {
    scope ??= await lookAt(work, end, signal)
    return scope
  }
  const planned = await plan(deps, work, look)
  if (planned === undefined) return 'ended'
  if (planned.state === 'PENDING') return 'later'
  const lease = { owner: deps.owner, now: deps.clock.now(), leaseMs: deps.leaseMs }
  const claim = await db.transact((trx) => claimShard(trx, spec.recordId, link.id, lease))
  if (claim !== undefined) await workOn(deps, work, end, claim, look, onStored, signal)
  if ((await openShards(db.read, spec.recordId, link.id)) > 0) return 'later'
  await deps.done({ ...work, execLink: planned }, NO_LOG)
  return 'ended'
}

async function lookAt(
  { object, spec, link }: LinkWork,
  { source }: ImportEnd,
  signal: AbortSignal,
): Promise<ImportScope> {
  try {
    await source.check(signal)
    const scope = await importScopeOf(object, source, signal)
    const retried = spec.retry?.get(link.key)
    if (!retried) return scope
    const wanted = new Set(retried)
    return { versions: scope.versions.filter(({ path }) => wanted.has(path)), absent: [] }
  } catch (error) {
    signal.throwIfAborted()
    throw asLinkDown(error)
  }
}

/** Undefined: the run is gone; still PENDING: somebody else plans it. */
async function plan(
  { db, clock }: ImportRunDeps,
  work: LinkWork,
  look: () => Promise<ImportScope>,
): Promise<ExecLink | undefined> {
  const { spec, execLink, link, object, repository, scope } = work
  if (execLink.state !== 'PENDING') return execLink
  const token = await db.transact((trx) => takePlanning(trx, spec.recordId, link.id))
  if (token === undefined) return findExecLink(db.read, spec.recordId, link.id)
  const { versions, absent } = await look()
  await numberChanges(db)
  const toSeq = await headSeq(db.read, repository.id)
  await db.transact(async (trx) => {
    if (!(await holdsPlanning(trx, spec.recordId, link.id, token))) return
    const place = { spec, object, linkId: link.id }
    const missing = absent.map((key) => ({
      ...missingDetail(place, packagePath(key), clock.now()),
      errorReason: `Package [${key}] not found (251017): the registry has no such package`,
    }))
    await putDetails(trx, missing)
    const whole = { kind: 'range', lo: '', hi: null, bytes: 0 } as const
    await createShards(trx, spec.recordId, link.id, [
      { ...whole, shardNo: 0, files: absent.length, settled: { unchanged: 0, failed: absent.length } },
      { ...whole, shardNo: WORK_SHARD, files: versions.length },
    ])
    const linkPlan = { mode: 'cursor', toSeq, remote: NO_LOG, scopeHash: scope.scopeHash } as const
    await beginCopying(trx, spec.recordId, link.id, linkPlan)
  })
  return findExecLink(db.read, spec.recordId, link.id)
}

async function workOn(
  deps: ImportRunDeps,
  work: LinkWork,
  end: ImportEnd,
  claim: ShardClaim,
  look: () => Promise<ImportScope>,
  onStored: () => void,
  signal: AbortSignal,
): Promise<void> {
  const { db, clock, leaseMs } = deps
  const { spec, object, link } = work
  let underWay = 0
  const lease = keepShard(db, clock, claim, leaseMs, () => underWay)
  const all = AbortSignal.any([signal, lease.lost])
  const onBytes = (count: number) => {
    underWay += count
    return end.rate.take(count, all)
  }
  const bring = async (version: VersionToImport, stop: AbortSignal) => {
    const { outcome, digest } = await bringVersion(deps, work, end, version, onBytes, stop)
    const sentBytes = underWay
    underWay = 0
    const came = digest === undefined ? [] : [{ path: version.path, target: version.name, digest }]
    const batch = {
      ...{ outcomes: [outcome], pos: version.path, sentBytes },
      also: (trx: Parameters<typeof notePushed>[0]) => notePushed(trx, link.id, came, clock.now()),
    }
    await checkpoint({ db, clock, leaseMs }, { spec, object, linkId: link.id }, claim, batch)
    deps.onOutcomes([outcome], sentBytes)
    if (outcome.result === 'written') onStored()
    if (outcome.result === 'failed' && spec.errorStrategy === 'FAST_FAIL')
      throw new LinkStopped(outcome.reason ?? 'failed')
  }
  try {
    await mapConcurrent(await left(deps, work, look), VERSIONS_AT_ONCE, bring, all)
  } catch (error) {
    await lease.stop()
    await db.transact((trx) => leaveShard(trx, claim, 'READY'))
    if (lease.lost.aborted) throw new LeaseLost()
    throw asLinkDown(error)
  }
  await lease.stop()
  if (!(await db.transact((trx) => leaveShard(trx, claim, 'DONE')))) throw new LeaseLost()
}

/** What has not had its turn in this run. */
async function left(
  { db }: ImportRunDeps,
  { spec, link }: LinkWork,
  look: () => Promise<ImportScope>,
): Promise<readonly VersionToImport[]> {
  const startedAt = (await findRecord(db.read, spec.recordId))?.started_at ?? 0
  const failed = await pathsNotedSince(db.read, link.id, startedAt)
  const came = await pushedVersions(db.read, link.id)
  const { versions } = await look()
  return versions.filter(({ path, name }) => {
    const at = came.get(pushedKey(path, name))?.at ?? -1
    return !failed.has(path) && at < startedAt
  })
}

/** @throws what passes (the registry is away); a refusal of this version is its outcome. */
async function bringVersion(
  { clock }: ImportRunDeps,
  { spec, repository }: LinkWork,
  end: ImportEnd,
  { path, packageName, name }: VersionToImport,
  onBytes: (count: number) => Promise<void> | void,
  signal: AbortSignal,
): Promise<{ readonly outcome: AnyOutcome; readonly digest: string | undefined }> {
  const startedAt = clock.now()
  const ended = (
    result: AnyOutcome['result'],
    sizeBytes: number | null,
    more: Partial<AnyOutcome> = {},
  ): AnyOutcome => ({
    ...{ item: { kind: 'import', path, sizeBytes }, result, conflict: false, attempts: 1 },
    ...{ blob: 'not-sent', startedAt, endedAt: clock.now(), ...more },
  })
  const failed = (reason: string) => ({ outcome: ended('failed', null, { reason }), digest: undefined })
  try {
    const options = { by: spec.imports?.by ?? 'system', onBytes }
    const brought = await end.source.bring(repository, { packageName, name }, options, signal)
    if (brought === undefined) return failed(`registry [${end.name}] has no [${packageName}:${name}] (251019)`)
    const { result, sizeBytes, digest, fetchedBlobs, replaced } = brought
    const blobs = { sent: fetchedBlobs, failed: 0 }
    return { outcome: ended(result, sizeBytes, { blobs, conflict: replaced === 'another' }), digest }
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof AppError) || error.retryable) throw error
    return failed(`${messageOf(error)} (${packageName}:${name})`)
  }
}
