import { changedMeanwhile, lockLive } from '../../artifacts/nodes/node-writer.ts'
import { type PackageRules, packageNamed } from '../../artifacts/packages/package-rules.ts'
import { newPackage } from '../../artifacts/packages/version-copies.ts'
import { keptPlace } from '../../artifacts/packages/version-keeping.ts'
import type { Digest } from '../../core/digest.ts'
import { sameLanes } from '../../core/lanes.ts'
import { type PackageKey, parsePackagePath, versionPath } from '../../core/package-key.ts'
import { ancestorsOf, type NodePath } from '../../core/paths.ts'
import type { Transaction } from '../../metadata/database.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import { type Tombstone, tombstonesAt } from '../../metadata/nodes/tombstones.ts'
import { type ClaimedPackage, claimPackages, lockPackagesNamed } from '../../metadata/packages/packages.ts'
import { claimsAt, filesOfVersions, type VersionFile } from '../../metadata/packages/version-files.ts'
import { type KeyedVersion, versionsNamed } from '../../metadata/packages/versions.ts'
import type { DeleteFrame, VersionFrame } from '../../remotes/cluster/frames/frame.ts'
import type { StreamSession } from './apply-batch.ts'
import { visible } from './checked.ts'

export type PackageFrame = VersionFrame | DeleteFrame

/** What the items of a batch are about, as it stands in this transaction; nodes, blobs and packages are locked. */
export interface VersionFacts {
  /** Live rows at the paths of files, old and new, and of the folders above them; expired ones among them. */
  readonly rows: ReadonlyMap<NodePath, NodeRecord>
  /** As users see it. */
  visibleAt(path: NodePath): NodeRecord | undefined
  /** Contents that are here, with their sizes. */
  readonly here: ReadonlyMap<Digest, number>
  readonly packages: ReadonlyMap<PackageKey, ClaimedPackage>
  /** By place among paths. */
  readonly versions: ReadonlyMap<string, KeyedVersion>
  /** Files of a version so far, leaves first. */
  filesOf(version: KeyedVersion | undefined): readonly VersionFile[]
  /** A version that is replaced may stay under the name of its digest (`PackageRules.keptAs`). */
  mayBeKept(version: KeyedVersion | undefined): boolean
  /** Files of a version so far. */
  pathsOf(version: KeyedVersion | undefined): readonly NodePath[]
  /** Ids of the versions that claim a file. */
  claimantsOf(path: NodePath): readonly number[]
  readonly tombstones: ReadonlyMap<string, Tombstone>
}

/** What an item is about. */
export interface Named {
  readonly path: string
  readonly key: PackageKey
  /** Empty: the package itself. */
  readonly name: string
}
export function namedBy(frame: PackageFrame): Named {
  if (frame.type === 'version') {
    const key = frame.packageKey as PackageKey
    return { path: versionPath(key, frame.version), key, name: frame.version }
  }
  const { key, version = '' } = parsePackagePath(frame.path)!
  return { path: frame.path, key, name: version }
}

/**
 * Reads and locks in the order of docs/design/packages.md: nodes, blobs, packages. What was read before the packages were locked is read
 * again. @throws AppError NODE_EXISTED, retryable, when somebody else changed a version meanwhile.
 */
export async function readVersionFacts(
  trx: Transaction,
  { repository, via }: StreamSession,
  frames: readonly PackageFrame[],
  rules: PackageRules,
  { claim, originOf, now }: FactsDeps,
): Promise<VersionFacts> {
  const named = frames.map(namedBy)
  const wanted = named.filter(({ name }) => name !== '')
  const known = await versionsNamed(trx, repository.id, wanted)
  const files = await filesOfVersions(
    trx,
    known.map(({ id }) => id),
  )
  const ownPaths = Map.groupBy(files, ({ versionId }) => versionId)
  const entries = frames.flatMap((frame) => (frame.type === 'version' ? frame.document.files : []))
  const kept = known.flatMap((version) => keptPlace(rules, version) ?? [])
  const paths = [...new Set([...entries, ...files, ...kept].map(({ path }) => path as NodePath))]
  const rows = await lockLive(trx, repository.id, [...new Set([...paths, ...paths.flatMap(ancestorsOf)])])
  const mains = kept.length === 0 ? [] : known.flatMap(({ artifactPath }) => rows.get(artifactPath)?.digest ?? [])
  const here = await claim(new Set([...entries.map(({ digest }) => digest), ...mains]))

  const made = new Map<PackageKey, Parameters<typeof claimPackages>[2][number]>()
  for (const frame of frames) {
    if (frame.type !== 'version' || frame.version === '' || made.has(frame.packageKey as PackageKey)) continue
    const { origin, ...words } = frame.document.package
    const { hlc, createdBy, createdAt, modifiedBy, modifiedAt } = words
    const author = { hlc, createdBy, createdAt, modifiedBy, modifiedAt, origin: originOf(origin), viaLink: via }
    const called = packageNamed(rules, repository, frame.packageKey)
    made.set(called.key, newPackage(repository.id, called, frame.version, author))
  }
  const claimed = await claimPackages(trx, repository.id, [...made.values()])
  const others = [...new Set(named.map(({ key }) => key))].filter((key) => !made.has(key))
  const locked = await lockPackagesNamed(trx, repository.id, others)
  const packages = [...claimed, ...locked.map((one) => ({ ...one, isNew: false }))]

  const versions = byPlace(await versionsNamed(trx, repository.id, wanted))
  refuseChanges(byPlace(known), versions)
  const claims = Map.groupBy(await claimsAt(trx, repository.id, paths), ({ path }) => path)
  const absent = named.flatMap(({ path }) => (versions.has(path) ? [] : [path]))
  return {
    ...{ rows, here, versions, tombstones: await tombstonesAt(trx, repository.id, absent) },
    visibleAt: (path) => visible(rows.get(path), now),
    packages: new Map(packages.map((one) => [one.key, one])),
    filesOf: (version) => (version === undefined ? [] : (ownPaths.get(version.id) ?? [])),
    mayBeKept: (version) => keptPlace(rules, version) !== undefined,
    pathsOf: (version) => (version === undefined ? [] : (ownPaths.get(version.id) ?? []).map(({ path }) => path)),
    claimantsOf: (path) => (claims.get(path) ?? []).map(({ versionId }) => versionId),
  }
}

export interface FactsDeps {
  /** Which of the digests are here, with their sizes; keeps them. */
  claim(digests: ReadonlySet<Digest>): Promise<ReadonlyMap<Digest, number>>
  /** `peer.id` of a cluster. */
  originOf(clusterId: string): number
  readonly now: number
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
