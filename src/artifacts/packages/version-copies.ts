import type { Metadata } from '../../core/metadata.ts'
import type { PackageKey } from '../../core/package-key.ts'
import type { NodePath } from '../../core/paths.ts'
import { appendChanges } from '../../metadata/changes/change-log.ts'
import type { Transaction } from '../../metadata/database.ts'
import type { Deletion } from '../../metadata/nodes/node-writes.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import type { PackageRecord } from '../../metadata/packages/packages.ts'
import { addVersionFiles, claimsAt, dropVersionFiles, type VersionFile } from '../../metadata/packages/version-files.ts'
import { type KeyedVersion, presentVersions, putVersions } from '../../metadata/packages/versions.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { deleteFiles, type FileWrite, type MetadataChange, putFiles, putMetadata } from '../nodes/node-writer.ts'
import { identityOf, type PackageRules } from './package-rules.ts'
import type { Authorship, VersionPart } from './version-draft.ts'
import { mainOf } from './version-draft.ts'
import { type Displaced, keepDisplaced } from './version-keeping.ts'
import { settlePackages } from './version-removal.ts'
import { changeOfVersion, lanesOfFiles, lanesOfPackage, lanesOfVersion, sizeOfFiles } from './version-rows.ts'

/** A version as another cluster has it, to be written as it is, in place of `before`. */
export interface VersionCopy {
  /** Locked. */
  readonly owner: PackageRecord
  readonly before: KeyedVersion | undefined
  /** Its files so far, leaves first. */
  readonly beforeFiles: readonly Pick<VersionFile, 'path' | 'role'>[]
  readonly name: string
  /** Leaves first, one of them `main`. */
  readonly parts: readonly VersionPart[]
  /** Those of the files whose bytes are to be written; the others have them already. */
  readonly writes: readonly FileWrite[]
  readonly fileMetadata: readonly MetadataChange[]
  readonly words: CopiedWords
  readonly author: Authorship
}
export interface CopiedWords {
  readonly manifestPath: NodePath | null
  readonly metadata: Metadata
  readonly tags: readonly string[]
  readonly stageTags: readonly string[]
  readonly extension: Readonly<Record<string, unknown>>
}

/** What is said about a package from now on. */
export interface PackageCopy {
  readonly owner: PackageRecord
  /** It was made in this transaction. */
  readonly isNew: boolean
  /** Undefined: what is said here stays. Of the tags those count whose version is here. */
  readonly words: Pick<PackageRecord, 'description' | 'versionTag' | 'extension'> | undefined
  readonly saidBy: Deletion
  /** As in `PackageChange`. */
  readonly saidAt?: number
}

/** Of one call: `putFiles` takes no more at once. */
const FILES_AT_ONCE = 500

/**
 * Writes versions with their files, claims, packages and change log rows, at a number of statements that grows with slices of files,
 * not with versions. The transaction has locked the nodes of all their files, old and new, and has claimed their blobs; then it locked
 * the packages. No two of the copies have the same name, or other bytes at the same path.
 * @throws as `putFiles` and `deleteFiles`. The transaction must then roll back.
 */
export async function putVersionCopies(
  trx: Transaction,
  repository: Repository,
  copies: readonly VersionCopy[],
  packages: readonly PackageCopy[],
  current: ReadonlyMap<NodePath, NodeRecord>,
  rules: PackageRules,
  at: number,
): Promise<void> {
  // Until its files are written it claims none: those of it that are replaced or deleted are nobody's business but ours.
  await dropVersionFiles(
    trx,
    copies.flatMap(({ before }) => (before === undefined ? [] : [before.id])),
  )
  await writeFiles(trx, repository, copies, current, at)
  const made = copies.map((copy) => rowOf(repository.id, copy, rules))
  const ids = await putVersions(trx, made)
  const claims = copies.map(
    ({ parts }, index): { versionId: number; files: readonly Omit<VersionFile, 'versionId'>[] } => ({
      versionId: ids[index]!,
      files: parts,
    }),
  )
  await addVersionFiles(trx, repository.id, claims)
  await appendChanges(
    trx,
    copies.map(({ before, author: { origin, viaLink } }, index) =>
      changeOfVersion(before, { ...made[index]!, id: ids[index]! }, { at, origin, viaLink: viaLink ?? null }),
    ),
  )
  const displaced = copies.flatMap(({ before: version, beforeFiles: files, author }): Displaced[] =>
    version === undefined ? [] : [{ version, files, stamp: deletionBy(author, at) }],
  )
  await keepDisplaced(trx, repository, displaced, [], current, rules, at)
  await dropObsolete(trx, repository, copies, current, at)
  if (packages.length > 0) await settleCopied(trx, packages)
}

async function writeFiles(
  trx: Transaction,
  repository: Repository,
  copies: readonly VersionCopy[],
  current: ReadonlyMap<NodePath, NodeRecord>,
  at: number,
): Promise<void> {
  // Versions may share a file; its bytes are the same.
  const writes = [...new Map(copies.flatMap((copy) => copy.writes.map((write) => [write.path, write]))).values()]
  for (let from = 0; from < writes.length; from += FILES_AT_ONCE) {
    await putFiles(trx, repository, writes.slice(from, from + FILES_AT_ONCE), current, at)
  }
  const said = copies.flatMap(({ fileMetadata }) => fileMetadata.map((change) => [change.node.path, change] as const))
  const changes = [...new Map(said).values()]
  for (let from = 0; from < changes.length; from += FILES_AT_ONCE) {
    await putMetadata(trx, repository, changes.slice(from, from + FILES_AT_ONCE), at)
  }
}

/** Files that a version had and has no more, unless another one needs them. */
async function dropObsolete(
  trx: Transaction,
  repository: Repository,
  copies: readonly VersionCopy[],
  current: ReadonlyMap<NodePath, NodeRecord>,
  at: number,
): Promise<void> {
  const kept = new Set(copies.flatMap(({ parts }) => parts.map(({ path }) => path)))
  for (const { beforeFiles, author } of copies) {
    const old = beforeFiles.map(({ path }) => path).filter((path) => !kept.has(path) && current.has(path))
    if (old.length === 0) continue
    const needed = new Set((await claimsAt(trx, repository.id, old)).map(({ path }) => path))
    const gone = old.filter((path) => !needed.has(path)).map((path) => current.get(path)!)
    await deleteFiles(trx, repository, gone, deletionBy(author, at))
  }
}

const deletionBy = ({ modifiedBy, hlc, origin, viaLink }: Authorship, at: number): Deletion => ({
  ...{ by: modifiedBy, at, hlc, origin },
  viaLink: viaLink ?? null,
})

function rowOf(repoId: number, copy: VersionCopy, rules: PackageRules): Omit<KeyedVersion, 'id'> {
  const { owner, before, name, parts, words, author } = copy
  const { key: packageKey } = owner
  const said = { name, ...words }
  const identity = identityOf(rules, name, words.extension)
  return {
    ...said,
    ...rules.orderOf(name, author.createdAt),
    ...identity,
    packageId: owner.id,
    packageKey,
    repoId,
    sizeBytes: sizeOfFiles(identity.digest, parts),
    downloads: before?.downloads ?? 0,
    artifactPath: mainOf(parts)!.path,
    contentLanes: lanesOfFiles(packageKey, name, parts),
    metadataLanes: lanesOfVersion(packageKey, said),
    ...author,
    viaLink: author.viaLink ?? null,
    viaMark: author.viaMark ?? null,
  }
}

async function settleCopied(trx: Transaction, packages: readonly PackageCopy[]): Promise<void> {
  const tagged = packages.flatMap(({ owner, words }) =>
    Object.values(words?.versionTag ?? {}).map((name) => ({ packageId: owner.id, name })),
  )
  const there = new Set((await presentVersions(trx, tagged)).map(({ packageId, name }) => `${packageId}/${name}`))
  const changes = packages.map(({ owner, isNew, words, saidBy, saidAt }) => {
    const tags = Object.entries(words?.versionTag ?? {}).filter(([, name]) => there.has(`${owner.id}/${name}`))
    const wanted = words === undefined ? owner : { ...owner, ...words, versionTag: Object.fromEntries(tags) }
    return { before: isNew ? undefined : owner, wanted, saidBy, saidAt }
  })
  await settlePackages(trx, changes, packages[0]!.saidBy)
}

/** As it will be made when it is missing, before it has a version. */
export function newPackage(
  repoId: number,
  named: { readonly key: PackageKey; readonly name: string },
  version: string,
  author: Omit<Authorship, 'viaMark'>,
): Omit<PackageRecord, 'id'> {
  const words = { ...named, description: null, versionTag: {}, extension: {} }
  return {
    ...words,
    ...author,
    repoId,
    latest: version,
    versions: 0,
    downloads: 0,
    viaLink: author.viaLink ?? null,
    metadataLanes: lanesOfPackage(words),
  }
}
