import { mapConcurrent } from '../../core/concurrency.ts'
import type { ForeignRegistry } from '../../formats/foreign.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { pathsNotedSince } from '../../metadata/replication/divergences.ts'
import { pushedVersions } from '../../metadata/replication/pushed-versions.ts'
import { findRecord } from '../../metadata/replication/records.ts'
import { missingDetail } from '../delivery/detail-rows.ts'
import type { LinkWork } from '../planning/link-plan.ts'
import { missingPackages } from '../planning/package-scope.ts'
import type { RunSpec } from '../runs/run-spec.ts'
import type { ForeignContents, Traffic } from './foreign-contents.ts'
import { planVersions, type VersionPlan } from './version-plan.ts'
import { pushVersion } from './version-pusher.ts'
import { type SettleVersion, type VersionRunDeps, workVersions } from './version-shard.ts'
import { pushScopeOf, type VersionToPush, type WhatCounts, withoutPushed } from './versions-to-push.ts'

/** A registry that is connected to for one run, and how to read what it is sent. */
export interface RegistryEnd {
  readonly name: string
  readonly registry: ForeignRegistry
  readonly contents: ForeignContents
  /** That it is there, and takes the login: comes before anything that is pushed. @throws LinkDown, AppError. */
  greet(signal: AbortSignal): Promise<void>
}

/** Of one link; each has several contents on the way. */
export const VERSIONS_AT_ONCE = 16
const ATTEMPTS = 3
/**
 * One run of a link to a registry: what it lacks by our record, or by its own word when the task wants that, is pushed version by
 * version. Each counts in one transaction with the note that it is there, so that a run that goes on after a kill pushes what is left.
 * @returns `later` when somebody else works on it. @throws LinkDown, LeaseLost, LinkStopped, AppError.
 */
export async function runRegistryLink(
  deps: VersionRunDeps,
  work: LinkWork,
  end: RegistryEnd,
  onStored: () => void,
  signal: AbortSignal,
): Promise<'ended' | 'later'> {
  const planned = await planVersions(deps.db, work, () => look(deps, work))
  if (planned === undefined) return 'ended'
  if (planned.state === 'PENDING') return 'later'
  const traffic = end.contents.traffic()
  const push = (settle: SettleVersion, all: AbortSignal) => pushLeft(deps, work, end, traffic, settle, all)
  return workVersions(deps, { ...work, execLink: planned }, traffic.underWay, push, onStored, signal)
}

/** What the run has to look at. */
async function chosen(
  { db }: Pick<VersionRunDeps, 'db'>,
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

async function look(deps: VersionRunDeps, work: LinkWork): Promise<VersionPlan> {
  const { spec, link, object, repository } = work
  const { missing, present, scope } = await chosen(deps, work)
  const isWhole = spec.follows === undefined && !spec.retry?.get(link.key)
  const absent = isWhole ? await missingPackages(deps.db.read, repository.id, scope.named) : []
  const place = { spec, object, linkId: link.id }
  return {
    absent: absent.map((path) => missingDetail(place, path, deps.clock.now())),
    unchanged: present.length,
    versions: missing.length,
    bytes: missing.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  }
}

async function startOf(db: MetadataDatabase, recordId: string): Promise<number> {
  return (await findRecord(db.read, recordId))?.started_at ?? 0
}

async function pushLeft(
  deps: VersionRunDeps,
  work: LinkWork,
  end: RegistryEnd,
  traffic: Traffic,
  settle: SettleVersion,
  signal: AbortSignal,
): Promise<void> {
  const { db, clock } = deps
  const { spec, link, repository } = work
  const { missing, pushed } = await chosen(deps, work)
  // What failed, or was kept, in this run before a kill has had its turn.
  const noted = await pathsNotedSince(db.read, link.id, await startOf(db, spec.recordId))
  const left = missing.filter(({ path }) => !noted.has(path))
  const { conflictStrategy, errorStrategy } = spec
  const { registry, name: registryName } = end
  const options = end.contents.options(traffic.add)
  const about = { registry, registryName, options, pushed, conflictStrategy, attempts: ATTEMPTS }
  const push = async (version: VersionToPush, stop: AbortSignal) => {
    const done = await pushVersion({ reader: db.read, clock, ...about }, repository.id, version, stop)
    if (done !== undefined) await settle({ outcome: done.outcome, bytes: traffic.take(), there: done.pushed })
  }
  if (left.length > 0) await end.greet(signal)
  // Whoever stops at the first failure means the first in order, every time.
  await mapConcurrent(left, errorStrategy === 'FAST_FAIL' ? 1 : VERSIONS_AT_ONCE, push, signal)
}
