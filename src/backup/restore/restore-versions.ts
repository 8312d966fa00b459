import { stampOver } from '../../artifacts/nodes/settle.ts'
import { type PackageRules, packageNamed } from '../../artifacts/packages/package-rules.ts'
import { putVersionCopies } from '../../artifacts/packages/version-copies.ts'
import { AppError, hasCode } from '../../core/errors.ts'
import type { PackageKey } from '../../core/package-key.ts'
import type { NodePath } from '../../core/paths.ts'
import { raiseDownloads } from '../../metadata/packages/raised-downloads.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import type { DecodedPackage } from '../records/decoded.ts'
import { pathsNamed } from '../records/paths-named.ts'
import { repositoryFile } from '../records/record-files.ts'
import type { Contents, Fetched } from './contents.ts'
import { statOf, withContents } from './node-writer.ts'
import { checkPlace, decodedRecords, inBatches } from './record-lines.ts'
import type { RestoreContext } from './restore-deps.ts'
import type { RestoredNodes } from './restore-nodes.ts'
import type { RepositoryToRestore } from './restore-plan.ts'
import { describedCounts, packageCopy, putVersions, type VersionOutcome, type VersionRules } from './version-batch.ts'
import { lockedPackages } from './version-facts.ts'
import { tellVersions, warnOfExpired } from './version-notes.ts'
import { type VersionToRestore, versionToRestore } from './version-to-restore.ts'

/** One transaction: some 50 ms on SQLite. */
const VERSIONS_PER_BATCH = 100
const FILES_PER_BATCH = 1_000
const PACKAGES_PER_BATCH = 200
const MAX_ATTEMPTS = 3

/** Restores packages and versions of one repository, whose nodes are restored; each version with those of its files that were left for it. */
export async function restoreVersions(
  context: RestoreContext,
  contents: Contents,
  place: RepositoryToRestore,
  repository: Repository,
  rules: PackageRules,
  { deferred, unrestored }: RestoredNodes,
  signal: AbortSignal,
): Promise<void> {
  const { run } = context
  const docs = await packageDocs(context, place, repository, rules, signal)
  const made = new Set<PackageKey>()
  const described = new Set<PackageKey>()
  const how: VersionRules = {
    ...{ repository, rules, onConflict: run.onConflict, deferred, unrestored },
    packageDoc: (key) => docs.get(key),
    mayDescribe: ({ key }) => run.onConflict === 'OVERWRITE' || made.has(key),
  }
  const named = new Set<NodePath>()
  const expired: VersionToRestore[] = []
  const spare = (path: NodePath) => named.add(path)
  const versions = versionsOf(context, place, repository, rules, spare, signal)
  for await (const batch of inBatches(versions, VERSION_BATCHES)) {
    for (const outcome of await writeVersions(context, contents, how, batch, signal)) {
      for (const key of outcome.made) made.add(key)
      for (const path of outcome.placed) deferred.delete(path)
      run.progress.add({ nodes: outcome.placed.length })
      tellVersions(context, place, outcome)
      expired.push(...outcome.expired)
    }
    for (const { key, files } of batch) {
      described.add(key)
      for (const { path } of files) if (deferred.has(path)) named.add(path)
    }
  }
  // Their versions were not restored, and stay whole as they are here.
  for (const path of named) if (deferred.delete(path)) run.progress.add({ nodes: 1, skipped: 1 })
  warnOfExpired(context, place, expired)
  if (run.onConflict === 'SKIP') return
  // Packages whose versions are not in the backup: an increment may hold nothing else of them.
  const left = [...docs.keys()].filter((key) => !described.has(key))
  for (let from = 0; from < left.length; from += PACKAGES_PER_BATCH) {
    signal.throwIfAborted()
    await describePackages(context, how, left.slice(from, from + PACKAGES_PER_BATCH))
  }
}

/** Versions of the backup that can be restored; the others are noted as failures, and `spare` hears of their files. */
export async function* versionsOf(
  context: RestoreContext,
  place: RepositoryToRestore,
  repository: Pick<Repository, 'type'>,
  rules: PackageRules,
  spare: (path: NodePath) => void,
  signal: AbortSignal,
): AsyncGenerator<VersionToRestore> {
  if (!place.files.has('version')) return
  const decode = (line: string) => {
    try {
      const version = context.decoder.version(line)
      if (version === undefined) return undefined
      checkPlace(version, place)
      return versionToRestore(rules, repository, version)
    } catch (error) {
      pathsNamed(line).forEach(spare)
      throw error
    }
  }
  yield* decodedRecords(context, repositoryFile(place.project, place.repo, 'version'), decode, signal)
}

async function packageDocs(
  context: RestoreContext,
  place: RepositoryToRestore,
  repository: Repository,
  rules: PackageRules,
  signal: AbortSignal,
): Promise<Map<PackageKey, DecodedPackage>> {
  const docs = new Map<PackageKey, DecodedPackage>()
  if (!place.files.has('package')) return docs
  const decode = (line: string) => {
    const doc = context.decoder.package(line)
    if (doc === undefined) return undefined
    checkPlace(doc, place)
    return [packageNamed(rules, repository, doc.key).key, doc] as const
  }
  const records = decodedRecords(context, repositoryFile(place.project, place.repo, 'package'), decode, signal)
  for await (const [key, doc] of records) docs.set(key, doc)
  return docs
}

/** A batch that is refused as a whole goes in halves, so that a bad version takes no good ones along. */
async function writeVersions(
  context: RestoreContext,
  contents: Contents,
  how: VersionRules,
  versions: readonly VersionToRestore[],
  signal: AbortSignal,
): Promise<VersionOutcome[]> {
  try {
    return [await writeAtOnce(context, contents, how, versions, signal)]
  } catch (error) {
    const endsAll = hasCode(error, 'STORAGE_UNAVAILABLE', 'REPOSITORY_NOT_FOUND', 'RECEIVE_FAILED')
    if (signal.aborted || endsAll || !(error instanceof AppError)) throw error
    if (versions.length === 1) {
      const refused = [{ version: versions[0]!, reason: error.message }]
      return [{ written: 0, unchanged: 0, kept: 0, made: [], placed: [], lacking: [], expired: [], refused }]
    }
    const half = Math.ceil(versions.length / 2)
    return [
      ...(await writeVersions(context, contents, how, versions.slice(0, half), signal)),
      ...(await writeVersions(context, contents, how, versions.slice(half), signal)),
    ]
  }
}

async function writeAtOnce(
  context: RestoreContext,
  contents: Contents,
  how: VersionRules,
  versions: readonly VersionToRestore[],
  signal: AbortSignal,
): Promise<VersionOutcome> {
  const { hlc, clock } = context.deps
  let lacking: VersionOutcome['lacking'] = []
  for (let attempts = 1; ; attempts++) {
    await using fetched: Fetched = await contents.fetch(lacking.map(statOf), signal)
    for (const error of fetched.broken.values()) throw error
    const outcome = await withContents(
      context.deps,
      fetched,
      (trx, claim) => putVersions(trx, how, versions, claim, hlc, clock.now()),
      signal,
    )
    if (outcome.lacking.length === 0) return outcome
    if (attempts === MAX_ATTEMPTS) throw new AppError('ARTIFACT_BROKEN', 'its contents were collected again and again')
    lacking = outcome.lacking
  }
}

async function describePackages(
  { deps: { db, hlc, clock } }: RestoreContext,
  how: VersionRules,
  keys: readonly PackageKey[],
): Promise<void> {
  const { repository, rules } = how
  await db.transact(async (trx) => {
    const now = clock.now()
    const owners = await lockedPackages(trx, repository.id, keys)
    if (owners.length === 0) return
    const stamp = stampOver(hlc, owners)
    const packages = owners.map((owner) => packageCopy(how, owner, stamp, now))
    await putVersionCopies(trx, repository, [], packages, new Map(), rules, now)
    await raiseDownloads(trx, [], describedCounts(how, packages))
  })
}

export const VERSION_BATCHES = {
  items: VERSIONS_PER_BATCH,
  weights: ({ files }: VersionToRestore) => [files.length],
  limits: [FILES_PER_BATCH],
  keyOf: ({ key, name }: VersionToRestore) => `${key} ${name}`,
}
