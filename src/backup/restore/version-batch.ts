import type { MetadataChange } from '../../artifacts/nodes/node-writer.ts'
import { stampOver } from '../../artifacts/nodes/settle.ts'
import type { PackageRules } from '../../artifacts/packages/package-rules.ts'
import { type PackageCopy, putVersionCopies, type VersionCopy } from '../../artifacts/packages/version-copies.ts'
import type { VersionPart } from '../../artifacts/packages/version-draft.ts'
import { lanesOfFiles, lanesOfVersion } from '../../artifacts/packages/version-rows.ts'
import type { Digest } from '../../core/digest.ts'
import type { Hlc, HlcClock } from '../../core/hlc.ts'
import { sameLanes } from '../../core/lanes.ts'
import { canonicalJson } from '../../core/metadata.ts'
import type { PackageKey } from '../../core/package-key.ts'
import type { NodePath } from '../../core/paths.ts'
import type { Transaction } from '../../metadata/database.ts'
import { isExpired } from '../../metadata/nodes/nodes.ts'
import type { ClaimedPackage } from '../../metadata/packages/packages.ts'
import { raiseDownloads } from '../../metadata/packages/raised-downloads.ts'
import type { KeyedVersion } from '../../metadata/packages/versions.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import type { DecodedNode, DecodedPackage } from '../records/decoded.ts'
import { fileWriteOf } from './node-batch.ts'
import type { RestoredNodes } from './restore-nodes.ts'
import { readVersionFacts, type VersionFacts } from './version-facts.ts'
import type { VersionToRestore } from './version-to-restore.ts'

/** How versions of one repository are written. */
export interface VersionRules {
  readonly repository: Repository
  readonly rules: PackageRules
  readonly onConflict: 'SKIP' | 'OVERWRITE'
  readonly deferred: ReadonlyMap<NodePath, DecodedNode>
  readonly unrestored: RestoredNodes['unrestored']
  packageDoc(key: PackageKey): DecodedPackage | undefined
  /** Whether what is said of a package that was here before this run may be changed. */
  mayDescribe(owner: ClaimedPackage): boolean
}
export interface VersionOutcome {
  written: number
  unchanged: number
  kept: number
  /** Packages that were made for them. */
  readonly made: PackageKey[]
  /** Deferred files that were written. */
  readonly placed: NodePath[]
  /** Deferred files whose contents are not here any more. */
  readonly lacking: DecodedNode[]
  /** The time of a file is over. */
  readonly expired: VersionToRestore[]
  readonly refused: { readonly version: VersionToRestore; readonly reason: string }[]
}

/**
 * Judges versions as they stand in this transaction and writes all of them together, each with the files of it that were left for it.
 * No two have the same name. When contents are lacking nothing is written.
 */
export async function putVersions(
  trx: Transaction,
  how: VersionRules,
  versions: readonly VersionToRestore[],
  claim: (digests: ReadonlySet<Digest>) => Promise<ReadonlyMap<Digest, number>>,
  hlc: HlcClock,
  now: number,
): Promise<VersionOutcome> {
  const { repository, rules, deferred, packageDoc } = how
  const facts = await readVersionFacts(trx, { repository, rules, versions, deferred, packageDoc }, claim, hlc)
  const replaced = versions.flatMap((version) => facts.versionOf(version) ?? [])
  const stamp = stampOver(hlc, [...facts.rows.values(), ...facts.packages.values(), ...replaced])
  const outcome: VersionOutcome = {
    ...{ written: 0, unchanged: 0, kept: 0, made: [], placed: [], expired: [], refused: [] },
    lacking: [...lackingAmong(how, versions, facts)],
  }
  if (outcome.lacking.length > 0) return outcome
  const copies: VersionCopy[] = []
  const counted: { packageId: number; name: string; downloads: number }[] = []
  for (const version of versions) {
    const before = facts.versionOf(version)
    const owner = facts.packages.get(version.key)!
    if (before !== undefined && how.onConflict === 'SKIP') {
      outcome.kept++
      continue
    }
    if (version.files.some(({ path }) => how.unrestored.get(path) === 'expired')) {
      outcome.expired.push(version)
      continue
    }
    const parts = partsOf(how, version, facts, now)
    if (typeof parts === 'string') {
      outcome.refused.push({ version, reason: parts })
      continue
    }
    counted.push({ packageId: owner.id, name: version.name, downloads: version.downloads })
    const writes = writesOf(how, version, stamp)
    if (before !== undefined && writes.length === 0 && isSame(version, before, parts)) {
      outcome.unchanged++
      continue
    }
    outcome.written++
    outcome.placed.push(...writes.map(({ path }) => path))
    copies.push(copyOf(version, { owner, before, facts, parts, writes, stamp }))
  }
  const packages = [...facts.packages.values()].map((owner) => packageCopy(how, owner, stamp, now))
  outcome.made.push(...packages.flatMap(({ owner, isNew }) => (isNew ? [owner.key] : [])))
  await putVersionCopies(trx, repository, copies, packages, facts.rows, rules, now)
  await raiseDownloads(trx, counted, describedCounts(how, packages))
  return outcome
}

/** What the backup says of a package, in addition to what is said here; `words` undefined: what is said here stays. */
export function packageCopy(
  { packageDoc, mayDescribe }: Pick<VersionRules, 'packageDoc' | 'mayDescribe'>,
  owner: ClaimedPackage,
  hlc: Hlc,
  now: number,
): PackageCopy {
  const doc = owner.isNew || mayDescribe(owner) ? packageDoc(owner.key) : undefined
  const stamp = { at: now, hlc, origin: 0, viaLink: null }
  if (doc === undefined) {
    const saidAt = owner.modifiedAt
    return { owner, isNew: owner.isNew, words: undefined, saidBy: { by: owner.modifiedBy, ...stamp }, saidAt }
  }
  const words = {
    description: doc.description ?? owner.description,
    versionTag: { ...owner.versionTag, ...doc.versionTag },
    extension: { ...owner.extension, ...doc.extension },
  }
  return { owner, isNew: owner.isNew, words, saidBy: { by: doc.modifiedBy, ...stamp }, saidAt: doc.modifiedAt }
}

export const describedCounts = ({ packageDoc }: Pick<VersionRules, 'packageDoc'>, packages: readonly PackageCopy[]) =>
  packages.flatMap(({ owner, words }) =>
    words === undefined ? [] : [{ id: owner.id, downloads: packageDoc(owner.key)?.downloads ?? 0 }],
  )

function lackingAmong(
  { deferred }: VersionRules,
  versions: readonly VersionToRestore[],
  { here }: VersionFacts,
): Set<DecodedNode> {
  const nodes = versions.flatMap(({ files }) => files.flatMap(({ path }) => deferred.get(path) ?? []))
  return new Set(nodes.filter(({ digest, sizeBytes }) => here.get(digest!) !== sizeBytes))
}

/** @returns why there is no such version. */
function partsOf(
  { deferred, unrestored }: VersionRules,
  { files }: VersionToRestore,
  { rows }: VersionFacts,
  now: number,
): VersionPart[] | string {
  const parts: VersionPart[] = []
  for (const { path, role } of files) {
    const why = unrestored.get(path)
    if (why === 'kept') return `its file [${path}] has other content here, which was kept`
    if (why !== undefined) return `its file [${path}] was not restored`
    const row = rows.get(path)
    const standing = row === undefined || row.folder || isExpired(row, now) ? undefined : row
    const node = deferred.get(path) ?? standing
    if (node?.digest === undefined) return `its file [${path}] is not here`
    parts.push({ path, role, digest: node.digest, sizeBytes: node.sizeBytes })
  }
  return parts
}

const writesOf = ({ deferred }: VersionRules, { files }: VersionToRestore, stamp: Hlc) =>
  files.flatMap(({ path }) => {
    const node = deferred.get(path)
    return node === undefined ? [] : [fileWriteOf(node, stamp)]
  })

function isSame(version: VersionToRestore, before: KeyedVersion, parts: readonly VersionPart[]): boolean {
  const { key, name } = version
  return (
    sameLanes(before.contentLanes, lanesOfFiles(key, name, parts)) &&
    sameLanes(before.metadataLanes, lanesOfVersion(key, { name, ...wordsOf(version) })) &&
    canonicalJson(before.metadata) === canonicalJson(version.metadata) &&
    before.createdBy === version.createdBy &&
    before.createdAt === version.createdAt &&
    before.modifiedBy === version.modifiedBy &&
    before.modifiedAt === version.modifiedAt
  )
}

const wordsOf = ({ manifestPath, metadata, tags, stageTags, extension }: VersionToRestore) => ({
  ...{ manifestPath, metadata, tags, stageTags, extension },
})

interface CopyFacts {
  readonly owner: ClaimedPackage
  readonly before: KeyedVersion | undefined
  readonly facts: VersionFacts
  readonly parts: readonly VersionPart[]
  readonly writes: VersionCopy['writes']
  readonly stamp: Hlc
}
function copyOf(version: VersionToRestore, { owner, before, facts, parts, writes, stamp }: CopyFacts): VersionCopy {
  const { createdBy, createdAt, modifiedBy, modifiedAt } = version
  return {
    ...{ owner, before, beforeFiles: facts.filesOf(before), name: version.name, parts, writes },
    fileMetadata: NO_CHANGES,
    words: wordsOf(version),
    author: {
      ...{ createdBy, createdAt, modifiedBy, modifiedAt },
      ...{ origin: 0, hlc: stamp, viaLink: undefined, viaMark: undefined },
    },
  }
}
const NO_CHANGES: readonly MetadataChange[] = []
