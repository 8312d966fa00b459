import { stampOver } from '../../artifacts/nodes/settle.ts'
import { type PackageRules, packageNamed } from '../../artifacts/packages/package-rules.ts'
import { putVersionCopies } from '../../artifacts/packages/version-copies.ts'
import { AppError, hasCode } from '../../core/errors.ts'
import type { PackageKey } from '../../core/package-key.ts'
import { raiseDownloads } from '../../metadata/packages/raised-downloads.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import type { DecodedPackage } from '../records/decoded.ts'
import { repositoryFile } from '../records/record-files.ts'
import type { Contents, Fetched } from './contents.ts'
import { statOf, withContents } from './node-writer.ts'
import { decodedRecords, inBatches } from './record-lines.ts'
import type { RestoreContext } from './restore-deps.ts'
import type { RestoredNodes } from './restore-nodes.ts'
import type { RepositoryToRestore } from './restore-plan.ts'
import { describedCounts, packageCopy, putVersions, type VersionOutcome, type VersionRules } from './version-batch.ts'
import { lockedPackages } from './version-facts.ts'
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
  { deferred, strangers }: RestoredNodes,
  signal: AbortSignal,
): Promise<void> {
  const { run } = context
  const docs = await packageDocs(context, place, repository, rules, signal)
  const made = new Set<PackageKey>()
  const described = new Set<PackageKey>()
  const how: VersionRules = {
    ...{ repository, rules, onConflict: run.onConflict, deferred, strangers },
    packageDoc: (key) => docs.get(key),
    mayDescribe: ({ key }) => run.onConflict === 'OVERWRITE' || made.has(key),
  }
  const versions = versionsOf(context, place, repository, rules, signal)
  for await (const batch of inBatches(versions, VERSION_BATCHES)) {
    for (const outcome of await writeVersions(context, contents, how, batch, signal)) {
      for (const key of outcome.made) made.add(key)
      for (const path of outcome.placed) deferred.delete(path)
      run.progress.add({ nodes: outcome.placed.length })
      tellVersions(context, place, outcome)
    }
    for (const { key } of batch) described.add(key)
  }
  if (run.onConflict === 'SKIP') return
  // Packages whose versions are not in the backup: an increment may hold nothing else of them.
  const left = [...docs.keys()].filter((key) => !described.has(key))
  for (let from = 0; from < left.length; from += PACKAGES_PER_BATCH) {
    signal.throwIfAborted()
    await describePackages(context, how, left.slice(from, from + PACKAGES_PER_BATCH))
  }
}

/** Versions of the backup that can be restored; the others are noted as failures. */
export async function* versionsOf(
  context: RestoreContext,
  { project, repo, files }: RepositoryToRestore,
  repository: Pick<Repository, 'type'>,
  rules: PackageRules,
  signal: AbortSignal,
): AsyncGenerator<VersionToRestore> {
  if (!files.has('version')) return
  const { decoder } = context
  const decode = (line: string) => {
    const version = decoder.version(line)
    return version && versionToRestore(rules, repository, version)
  }
  yield* decodedRecords(context, repositoryFile(project, repo, 'version'), decode, signal)
}

async function packageDocs(
  context: RestoreContext,
  { project, repo, files }: RepositoryToRestore,
  repository: Repository,
  rules: PackageRules,
  signal: AbortSignal,
): Promise<Map<PackageKey, DecodedPackage>> {
  const docs = new Map<PackageKey, DecodedPackage>()
  if (!files.has('package')) return docs
  const decode = (line: string) => {
    const doc = context.decoder.package(line)
    return doc && ([packageNamed(rules, repository, doc.key).key, doc] as const)
  }
  const records = decodedRecords(context, repositoryFile(project, repo, 'package'), decode, signal)
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
      return [{ written: 0, unchanged: 0, kept: 0, made: [], placed: [], lacking: [], refused }]
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

export function tellVersions(
  { run }: RestoreContext,
  { project, repo }: RepositoryToRestore,
  outcome: VersionOutcome,
): void {
  const done = outcome.written + outcome.unchanged
  run.progress.add({ versions: done + outcome.kept, success: done, skipped: outcome.kept })
  for (const { version, reason } of outcome.refused) {
    run.progress.add({ versions: 1 })
    run.fail(`${project}/${repo}: ${version.key} ${version.name}`, new AppError('NODE_CONFLICT', reason))
  }
}

export const VERSION_BATCHES = {
  items: VERSIONS_PER_BATCH,
  weights: ({ files }: VersionToRestore) => [files.length],
  limits: [FILES_PER_BATCH],
  keyOf: ({ key, name }: VersionToRestore) => `${key} ${name}`,
}
