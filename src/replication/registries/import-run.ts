import { mapConcurrent } from '../../core/concurrency.ts'
import { AppError, messageOf } from '../../core/errors.ts'
import { packagePath } from '../../core/package-key.ts'
import type { ForeignSource } from '../../formats/foreign.ts'
import { pathsNotedSince } from '../../metadata/replication/divergences.ts'
import { pushedKey, pushedVersions } from '../../metadata/replication/pushed-versions.ts'
import { findRecord } from '../../metadata/replication/records.ts'
import { missingDetail } from '../delivery/detail-rows.ts'
import type { AnyOutcome } from '../delivery/outcome.ts'
import type { RateLimit } from '../limits/rate-limiter.ts'
import type { LinkWork } from '../planning/link-plan.ts'
import { asLinkDown } from './link-down.ts'
import { planVersions, type VersionPlan } from './version-plan.ts'
import { type SettleVersion, type VersionRunDeps, workVersions } from './version-shard.ts'
import { type ImportScope, importScopeOf, type VersionToImport } from './versions-to-import.ts'

/** A registry that is connected to for one run. */
export interface ImportEnd {
  readonly name: string
  readonly source: ForeignSource
  readonly rate: RateLimit
}

/** Each has several contents on the way. */
const VERSIONS_AT_ONCE = 4
/**
 * One run of an import: the registry is asked for what it has, and that is brought version by version. Each counts in one transaction with
 * the note that it came; a run that goes on after a kill brings what is left, and of that only contents that are not here.
 * @returns `later` when somebody else works on it. @throws LinkDown, LeaseLost, LinkStopped, AppError.
 */
export async function runImportLink(
  deps: VersionRunDeps,
  work: LinkWork,
  end: ImportEnd,
  onStored: () => void,
  signal: AbortSignal,
): Promise<'ended' | 'later'> {
  let scope: ImportScope | undefined
  const look = async () => {
    scope ??= await lookAt(work, end, signal)
    return scope
  }
  const planned = await planVersions(deps.db, work, async () => planOf(deps, work, await look()))
  if (planned === undefined) return 'ended'
  if (planned.state === 'PENDING') return 'later'
  let underWay = 0
  const bring = async (settle: SettleVersion, all: AbortSignal) => {
    const onBytes = (count: number) => {
      underWay += count
      return end.rate.take(count, all)
    }
    const one = async (version: VersionToImport, stop: AbortSignal) => {
      const { outcome, digest } = await bringVersion(deps, work, end, version, onBytes, stop)
      const bytes = underWay
      underWay = 0
      const there = digest === undefined ? [] : [{ path: version.path, target: version.name, digest }]
      await settle({ outcome, bytes, there })
    }
    await mapConcurrent(await left(deps, work, look), VERSIONS_AT_ONCE, one, all)
  }
  return workVersions(deps, { ...work, execLink: planned }, () => underWay, bring, onStored, signal)
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

function planOf({ clock }: VersionRunDeps, { spec, object, link }: LinkWork, scope: ImportScope): VersionPlan {
  const place = { spec, object, linkId: link.id }
  const absent = scope.absent.map((key) => ({
    ...missingDetail(place, packagePath(key), clock.now()),
    errorReason: `Package [${key}] not found (251017): the registry has no such package`,
  }))
  return { absent, unchanged: 0, versions: scope.versions.length, bytes: 0 }
}

/** What has not had its turn in this run. */
async function left(
  { db }: VersionRunDeps,
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
  { clock }: VersionRunDeps,
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
