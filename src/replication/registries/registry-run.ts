import type { Clock } from '../../core/clock.ts'
import { mapConcurrent } from '../../core/concurrency.ts'
import { isRetryable, messageOf } from '../../core/errors.ts'
import { type ForeignRegistry, retryAfterOf } from '../../formats/foreign.ts'
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
import { notePushed, pushedVersions } from '../../metadata/replication/pushed-versions.ts'
import { putDetails } from '../../metadata/replication/record-details.ts'
import { findRecord } from '../../metadata/replication/records.ts'
import type { LogPosition } from '../../remotes/cluster/messages.ts'
import { LinkDown } from '../../remotes/transport/failures.ts'
import { checkpoint } from '../delivery/checkpoint.ts'
import { missingDetail } from '../delivery/detail-rows.ts'
import type { Outcome } from '../delivery/outcome.ts'
import { keepShard } from '../delivery/shard-lease.ts'
import type { LinkWork } from '../planning/link-plan.ts'
import { missingPackages } from '../planning/package-scope.ts'
import type { RunSpec } from '../runs/run-spec.ts'
import { LeaseLost, LinkStopped } from '../runs/stop-reasons.ts'
import type { ForeignContents } from './foreign-contents.ts'
import { type PushOutcome, pushVersion } from './version-pusher.ts'
import { pushScopeOf, type VersionToPush, type WhatCounts, withoutPushed } from './versions-to-push.ts'

/** A registry that is connected to for one run, and how to read what it is sent. */
export interface RegistryEnd {
  readonly name: string
  readonly registry: ForeignRegistry
  readonly contents: ForeignContents
  /** That it is there, and takes the login: comes before anything that is pushed. @throws LinkDown, AppError. */
  greet(signal: AbortSignal): Promise<void>
}

export interface RegistryRunDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  /** `installationId:bootId`. */
  readonly owner: string
  readonly leaseMs: number
  /** All is there: closes the link, and with the last one the record. */
  done(work: LinkWork, remote: LogPosition): Promise<void>
  onOutcomes(outcomes: readonly Outcome[], sentBytes: number): void
}

/** Of one link; each has several contents on the way. */
export const VERSIONS_AT_ONCE = 8
const ATTEMPTS = 3
/** Shard 0 holds what is known without looking. */
const WORK_SHARD = 1
/** A registry has no log that could be asked. */
export const NO_LOG: LogPosition = { epoch: '', seq: 0, mark: '' }

/**
 * One run of a link to a registry: what it lacks by our record, or by its own word when the task wants that, is pushed version by
 * version. Each counts in one transaction with the note that it is there, so that a run that goes on after a kill pushes what is left.
 * @returns `later` when somebody else works on it. @throws LinkDown, LeaseLost, LinkStopped, AppError.
 */
export async function runRegistryLink(
  deps: RegistryRunDeps,
  work: LinkWork,
  end: RegistryEnd,
  onStored: () => void,
  signal: AbortSignal,
): Promise<'ended' | 'later'> {
  const { db } = deps
  const { spec, link } = work
  const planned = await plan(deps, work)
  if (planned === undefined) return 'ended'
  if (planned.state === 'PENDING') return 'later'
  const lease = { owner: deps.owner, now: deps.clock.now(), leaseMs: deps.leaseMs }
  const claim = await db.transact((trx) => claimShard(trx, spec.recordId, link.id, lease))
  if (claim !== undefined) await workOn(deps, work, end, claim, onStored, signal)
  if ((await openShards(db.read, spec.recordId, link.id)) > 0) return 'later'
  await deps.done({ ...work, execLink: planned }, NO_LOG)
  return 'ended'
}

/** What the run has to look at. */
async function chosen(
  { db }: Pick<RegistryRunDeps, 'db'>,
  { spec, link, object, repository, scope: { packages } }: LinkWork,
) {
  const scope = pushScopeOf(object, packages?.shares)
  const retried = spec.retry?.get(link.key)
  const all = retried ? await scope.at(db.read, repository.id, retried) : await scope.all(db.read, repository.id)
  const pushed = await pushedVersions(db.read, link.id)
  const counts = countsOf(spec, spec.checksStorage ? await startOf(db, spec.recordId) : 0)
  return { ...withoutPushed(all, pushed, counts), pushed, scope }
}

/** @param startedAt when the run began that wants to look at everything again; UTC epoch ms. */
export const countsOf = ({ checksStorage, follows }: RunSpec, startedAt: number): WhatCounts => ({
  // Without a wish for another look, what was ever acknowledged counts.
  since: checksStorage ? startedAt : 0,
  older: follows?.backfill === false ? 'left' : 'pushed',
})

/** Undefined: the run is gone; still PENDING: somebody else plans it. */
async function plan(deps: RegistryRunDeps, work: LinkWork): Promise<ExecLink | undefined> {
  const { db, clock } = deps
  const { spec, execLink, link, object, repository, scope } = work
  if (execLink.state !== 'PENDING') return execLink
  const token = await db.transact((trx) => takePlanning(trx, spec.recordId, link.id))
  if (token === undefined) return findExecLink(db.read, spec.recordId, link.id)
  await numberChanges(db)
  const toSeq = await headSeq(db.read, repository.id)
  const { missing, present, scope: pushes } = await chosen(deps, work)
  const isWhole = spec.follows === undefined && !spec.retry?.get(link.key)
  const absent = isWhole ? await missingPackages(db.read, repository.id, pushes.named) : []
  await db.transact(async (trx) => {
    if (!(await holdsPlanning(trx, spec.recordId, link.id, token))) return
    const place = { spec, object, linkId: link.id }
    await putDetails(
      trx,
      absent.map((path) => missingDetail(place, path, clock.now())),
    )
    const whole = { kind: 'range', lo: '', hi: null } as const
    const known = { unchanged: present.length, failed: absent.length }
    const bytes = missing.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    await createShards(trx, spec.recordId, link.id, [
      { ...whole, shardNo: 0, files: present.length + absent.length, bytes: 0, settled: known },
      { ...whole, shardNo: WORK_SHARD, files: missing.length, bytes },
    ])
    const linkPlan = { mode: 'cursor', toSeq, remote: NO_LOG, scopeHash: scope.scopeHash } as const
    await beginCopying(trx, spec.recordId, link.id, linkPlan)
  })
  return findExecLink(db.read, spec.recordId, link.id)
}

async function startOf(db: MetadataDatabase, recordId: string): Promise<number> {
  return (await findRecord(db.read, recordId))?.started_at ?? 0
}

async function workOn(
  deps: RegistryRunDeps,
  work: LinkWork,
  end: RegistryEnd,
  claim: ShardClaim,
  onStored: () => void,
  signal: AbortSignal,
): Promise<void> {
  const { db, clock, leaseMs } = deps
  const { spec, object, link, repository } = work
  const { missing, pushed } = await chosen(deps, work)
  // What failed, or was kept, in this run before a kill has had its turn.
  const noted = await pathsNotedSince(db.read, link.id, await startOf(db, spec.recordId))
  const left = missing.filter(({ path }) => !noted.has(path))
  const traffic = end.contents.traffic()
  const lease = keepShard(db, clock, claim, leaseMs, traffic.underWay)
  const all = AbortSignal.any([signal, lease.lost])
  const { conflictStrategy } = spec
  const { registry, name: registryName } = end
  const options = end.contents.options(traffic.add)
  const pusher = {
    reader: db.read,
    clock,
    registry,
    registryName,
    options,
    pushed,
    conflictStrategy,
    attempts: ATTEMPTS,
  }
  const settle = async ({ outcome, pushed: there }: PushOutcome) => {
    const sentBytes = traffic.take()
    const also = (trx: Parameters<typeof notePushed>[0]) => notePushed(trx, link.id, there, clock.now())
    const batch = { outcomes: [outcome], pos: outcome.item.path, sentBytes, also }
    await checkpoint({ db, clock, leaseMs }, { spec, object, linkId: link.id }, claim, batch)
    deps.onOutcomes([outcome], sentBytes)
    if (outcome.result === 'written') onStored()
    if (outcome.result === 'failed' && spec.errorStrategy === 'FAST_FAIL')
      throw new LinkStopped(outcome.reason ?? 'failed')
  }
  const push = async (version: VersionToPush, stop: AbortSignal) => {
    const outcome = await pushVersion(pusher, repository.id, version, stop)
    if (outcome !== undefined) await settle(outcome)
  }
  try {
    if (left.length > 0) await end.greet(all)
    // Whoever stops at the first failure means the first in order, every time.
    await mapConcurrent(left, spec.errorStrategy === 'FAST_FAIL' ? 1 : VERSIONS_AT_ONCE, push, all)
  } catch (error) {
    await lease.stop()
    await db.transact((trx) => leaveShard(trx, claim, 'READY'))
    if (lease.lost.aborted) throw new LeaseLost()
    throw asLinkDown(error)
  }
  await lease.stop()
  if (!(await db.transact((trx) => leaveShard(trx, claim, 'DONE')))) throw new LeaseLost()
}

/** What may pass is a state of the link. */
export const asLinkDown = (error: unknown): unknown =>
  isRetryable(error) ? new LinkDown(messageOf(error), { cause: error, retryAfterMs: retryAfterOf(error) }) : error
