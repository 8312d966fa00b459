import { sameLanes } from '../../core/lanes.ts'
import type { PackageKey } from '../../core/package-key.ts'
import type { NodePath } from '../../core/paths.ts'
import { appendChanges } from '../../metadata/changes/change-log.ts'
import type { Transaction } from '../../metadata/database.ts'
import type { Deletion } from '../../metadata/nodes/node-writes.ts'
import { claimPackage, type PackageRecord } from '../../metadata/packages/packages.ts'
import { addVersionFiles, filesOfVersions, type VersionFile } from '../../metadata/packages/version-files.ts'
import { wasDeleted } from '../../metadata/packages/version-history.ts'
import { findVersion, insertVersion, type KeyedVersion, updateVersion } from '../../metadata/packages/versions.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { changedMeanwhile } from '../nodes/node-writer.ts'
import { identityOf, type PackageRules, packageNamed, versionExisted } from './package-rules.ts'
import { type Authorship, mainOf, type VersionDraft, type VersionPart } from './version-draft.ts'
import { settlePackages } from './version-removal.ts'
import { changeOfVersion, lanesOfFiles, lanesOfPackage, lanesOfVersion, sizeOfFiles } from './version-rows.ts'

/** What was at the name of a version before its package was locked. */
export interface KnownVersion {
  readonly version: KeyedVersion | undefined
  readonly files: readonly VersionFile[]
  /** Of its files. */
  readonly paths: readonly NodePath[]
}
export async function knownVersion(
  trx: Transaction,
  repoId: number,
  key: PackageKey,
  name: string,
): Promise<KnownVersion> {
  const version = await findVersion(trx, repoId, key, name)
  const files = version === undefined ? [] : await filesOfVersions(trx, [version.id])
  return { version, files, paths: files.map(({ path }) => path) }
}

/** The place for a version: its package is locked, and it is decided what may happen. */
export interface VersionPlace {
  readonly package: PackageRecord
  /** The package was made for it. */
  readonly isNewPackage: boolean
  readonly before: KeyedVersion | undefined
  /** The version is there, with the very same files and words. */
  readonly isSame: boolean
}

/**
 * Locks the package of a version that is to be written. The transaction has locked the nodes of its files, old (`known`) and new, and
 * has claimed their blobs.
 * @throws AppError VERSION_EXISTED; NODE_EXISTED, retryable, when somebody else wrote the version since `knownVersion`.
 */
export async function takePlace(
  trx: Transaction,
  repository: Repository,
  draft: VersionDraft,
  known: KnownVersion,
  parts: readonly VersionPart[],
  author: Authorship,
  rules: PackageRules,
): Promise<VersionPlace> {
  const named = packageNamed(rules, repository, draft.packageKey)
  const { key } = named
  const empty = emptyPackage(repository.id, named, draft.version, author)
  const locked = await claimPackage(trx, empty)
  const isNewPackage = locked.isNew
  const before = isNewPackage ? undefined : await findVersion(trx, repository.id, key, draft.version)
  const seen = known.version
  if (before?.id !== seen?.id || (before && seen && !sameLanes(before.contentLanes, seen.contentLanes))) {
    throw changedMeanwhile(`version [${draft.version}]`)
  }
  if (before === undefined) {
    const isBurnt = rules.deleted === 'refuse' && (await wasDeleted(trx, repository.id, key, draft.version))
    if (isBurnt) throw versionExisted(key, draft.version, 'it was deleted, and its name is not given again')
    return { package: locked, isNewPackage, before, isSame: false }
  }
  const isSame =
    sameLanes(before.contentLanes, lanesOfFiles(key, draft.version, parts)) &&
    sameLanes(before.metadataLanes, lanesOfVersion(key, said(draft)))
  if (draft.existing === 'refuse' && !(isSame && rules.identical === 'accept')) throw versionExisted(key, draft.version)
  return { package: locked, isNewPackage, before, isSame }
}

/**
 * Writes the version, its files' claims and its package, whose place is taken. The files are there as nodes; a version that was there
 * claims none any more.
 */
export async function putVersion(
  trx: Transaction,
  place: VersionPlace,
  draft: VersionDraft,
  parts: readonly VersionPart[],
  author: Authorship,
  rules: PackageRules,
  at: number,
): Promise<KeyedVersion> {
  const { before, package: owner, isNewPackage } = place
  const { key: packageKey, repoId } = owner
  const createdAt = before?.createdAt ?? author.createdAt
  const words = said(draft)
  const identity = identityOf(rules, draft.version, words.extension)
  const made = {
    ...words,
    ...rules.orderOf(draft.version, createdAt),
    ...identity,
    packageId: owner.id,
    packageKey,
    repoId,
    sizeBytes: sizeOfFiles(identity.digest, parts),
    downloads: before?.downloads ?? 0,
    artifactPath: mainOf(parts)!.path,
    contentLanes: lanesOfFiles(packageKey, draft.version, parts),
    metadataLanes: lanesOfVersion(packageKey, words),
    origin: author.origin,
    hlc: author.hlc,
    viaLink: author.viaLink ?? null,
    viaMark: author.viaMark ?? null,
    createdBy: before?.createdBy ?? author.createdBy,
    createdAt,
    modifiedBy: author.modifiedBy,
    modifiedAt: author.modifiedAt,
  }
  const version: KeyedVersion = { ...made, id: before?.id ?? (await insertVersion(trx, made)) }
  if (before !== undefined) await updateVersion(trx, version)
  await addVersionFiles(trx, repoId, [{ versionId: version.id, files: parts }])
  const stamp = stampOf(author, at)
  await appendChanges(trx, [changeOfVersion(before, version, stamp)])
  const wanted = withWords(owner, draft)
  await settlePackages(trx, [{ before: isNewPackage ? undefined : owner, wanted }], stamp)
  return version
}

export const stampOf = ({ modifiedBy, origin, hlc, viaLink }: Authorship, at: number): Deletion => ({
  ...{ by: modifiedBy, at, hlc, origin },
  viaLink: viaLink ?? null,
})

const said = ({ version, manifestPath, metadata, tags, stageTags, extension }: VersionDraft) => ({
  name: version,
  manifestPath: manifestPath ?? null,
  metadata: metadata ?? [],
  tags: tags ?? [],
  stageTags: stageTags ?? [],
  extension: extension ?? {},
})

function withWords(owner: PackageRecord, { version, package: words = {} }: VersionDraft): PackageRecord {
  return {
    ...owner,
    description: words.description ?? owner.description,
    versionTag: { ...owner.versionTag, ...Object.fromEntries((words.tags ?? []).map((tag) => [tag, version])) },
    extension: { ...owner.extension, ...words.extension },
  }
}

function emptyPackage(
  repoId: number,
  { key, name }: { readonly key: PackageKey; readonly name: string },
  version: string,
  author: Authorship,
): Omit<PackageRecord, 'id'> {
  const { origin, hlc, createdBy, createdAt, modifiedBy, modifiedAt } = author
  const words = { key, name, description: null, versionTag: {}, extension: {} }
  return {
    ...words,
    repoId,
    latest: version,
    versions: 0,
    downloads: 0,
    origin,
    hlc,
    viaLink: author.viaLink ?? null,
    metadataLanes: lanesOfPackage(words),
    ...{ createdBy, createdAt, modifiedBy, modifiedAt },
  }
}
