import { changedMeanwhile, lockLive } from '../../artifacts/nodes/node-writer.ts'
import { type PackageRules, packageNamed } from '../../artifacts/packages/package-rules.ts'
import { newPackage } from '../../artifacts/packages/version-copies.ts'
import { keptPlace } from '../../artifacts/packages/version-keeping.ts'
import type { Digest } from '../../core/digest.ts'
import type { HlcClock } from '../../core/hlc.ts'
import { sameLanes } from '../../core/lanes.ts'
import { type PackageKey, versionPath } from '../../core/package-key.ts'
import { ancestorsOf, type NodePath } from '../../core/paths.ts'
import type { Transaction } from '../../metadata/database.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import { type ClaimedPackage, claimPackages, lockPackagesNamed } from '../../metadata/packages/packages.ts'
import { filesOfVersions, type VersionFile } from '../../metadata/packages/version-files.ts'
import { type KeyedVersion, versionsNamed } from '../../metadata/packages/versions.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import type { DecodedNode, DecodedPackage } from '../records/decoded.ts'
import type { VersionToRestore } from './version-to-restore.ts'

/** What versions of a batch are about, as it stands in this transaction; nodes, blobs and packages are locked. */
export interface VersionFacts {
  /** Live rows at the paths of files, old and new, and of the folders above them. */
  readonly rows: ReadonlyMap<NodePath, NodeRecord>
  /** Contents of deferred files that are here, with their sizes. */
  readonly here: ReadonlyMap<Digest, number>
  readonly packages: ReadonlyMap<PackageKey, ClaimedPackage>
  versionOf(wanted: Pick<VersionToRestore, 'key' | 'name'>): KeyedVersion | undefined
  /** Files of a version so far, leaves first. */
  filesOf(version: KeyedVersion | undefined): readonly VersionFile[]
}

interface FactsWanted {
  readonly repository: Repository
  readonly rules: PackageRules
  readonly versions: readonly VersionToRestore[]
  readonly deferred: ReadonlyMap<NodePath, DecodedNode>
  /** What the backup says of a package. */
  packageDoc(key: PackageKey): DecodedPackage | undefined
}

/**
 * Reads and locks in the order of docs/design/packages.md: nodes, blobs, packages. What was read before the packages were locked is read
 * again. @throws AppError NODE_EXISTED, retryable, when somebody else changed a version meanwhile.
 */
export async function readVersionFacts(
  trx: Transaction,
  { repository, rules, versions, deferred, packageDoc }: FactsWanted,
  claim: (digests: ReadonlySet<Digest>) => Promise<ReadonlyMap<Digest, number>>,
  hlc: HlcClock,
): Promise<VersionFacts> {
  const known = await versionsNamed(trx, repository.id, versions)
  const files = await filesOfVersions(
    trx,
    known.map(({ id }) => id),
  )
  const kept = known.flatMap((version) => keptPlace(rules, version) ?? [])
  const own = versions.flatMap((version) => version.files)
  const paths = [...new Set([...own, ...files, ...kept].map(({ path }) => path))]
  const rows = await lockLive(trx, repository.id, [...new Set([...paths, ...paths.flatMap(ancestorsOf)])])
  const mains = kept.length === 0 ? [] : known.flatMap(({ artifactPath }) => rows.get(artifactPath)?.digest ?? [])
  const arriving = own.flatMap(({ path }) => deferred.get(path)?.digest ?? [])
  const here = await claim(new Set([...arriving, ...mains]))

  const made = new Map(versions.map((version) => [version.key, version]))
  const stamp = hlc.next()
  const packages = await claimPackages(
    trx,
    repository.id,
    [...made.values()].map((version) => {
      const { createdBy, createdAt, modifiedBy, modifiedAt } = packageDoc(version.key) ?? version
      const author = { createdBy, createdAt, modifiedBy, modifiedAt, origin: 0, hlc: stamp, viaLink: undefined }
      return newPackage(repository.id, packageNamed(rules, repository, version.key), version.name, author)
    }),
  )
  const now = byPlace(await versionsNamed(trx, repository.id, versions))
  refuseChanges(byPlace(known), now)
  const filesOf = Map.groupBy(files, ({ versionId }) => versionId)
  return {
    ...{ rows, here },
    packages: new Map(packages.map((one) => [one.key, one])),
    versionOf: ({ key, name }) => now.get(versionPath(key, name)),
    filesOf: (version) => (version === undefined ? [] : (filesOf.get(version.id) ?? [])),
  }
}

/** Packages that the backup says something about, locked. */
export async function lockedPackages(
  trx: Transaction,
  repoId: number,
  keys: readonly PackageKey[],
): Promise<ClaimedPackage[]> {
  return (await lockPackagesNamed(trx, repoId, keys)).map((one) => ({ ...one, isNew: false }))
}

const byPlace = (versions: readonly KeyedVersion[]): Map<string, KeyedVersion> =>
  new Map(versions.map((one) => [versionPath(one.packageKey, one.name), one]))

function refuseChanges(before: ReadonlyMap<string, KeyedVersion>, now: ReadonlyMap<string, KeyedVersion>): void {
  for (const path of new Set([...before.keys(), ...now.keys()])) {
    const [was, is] = [before.get(path), now.get(path)]
    const isSame = was !== undefined && is?.id === was.id && sameLanes(was.contentLanes, is.contentLanes)
    if (!isSame) throw changedMeanwhile('a version')
  }
}
