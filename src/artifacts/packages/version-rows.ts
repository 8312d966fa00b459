import type { Digest } from '../../core/digest.ts'
import { descriptionLanes, type Lanes, versionContentLanes } from '../../core/lanes.ts'
import { canonicalMetadata } from '../../core/metadata.ts'
import { type PackageKey, packagePath, versionPath } from '../../core/package-key.ts'
import type { NodePath } from '../../core/paths.ts'
import type { Change, FileLanes } from '../../metadata/changes/change-log.ts'
import type { PackageRecord } from '../../metadata/packages/packages.ts'
import type { KeyedVersion, VersionRecord } from '../../metadata/packages/versions.ts'

/** Who changed something, and where: what a row of the change log says besides the change. */
export interface ChangeSource {
  readonly at: number
  readonly origin: number
  readonly viaLink: number | null
}

export function lanesOfFiles(
  key: PackageKey,
  version: string,
  files: readonly { readonly path: NodePath; readonly role: string; readonly digest: Digest }[],
): Lanes {
  return versionContentLanes(versionPath(key, version), files)
}

/** Bytes of a version. Where its clients know it by the digest of a document, such documents are not among them. */
export function sizeOfFiles(
  digest: string | null,
  files: readonly { readonly role: string; readonly sizeBytes: number }[],
): number {
  const isCounted = (role: string) => digest === null || (role !== 'main' && role !== 'manifest')
  return files.reduce((sum, { role, sizeBytes }) => (isCounted(role) ? sum + sizeBytes : sum), 0)
}

/** What replication compares besides the files; order of tags does not count. */
export function lanesOfVersion(
  key: PackageKey,
  version: Pick<VersionRecord, 'name' | 'manifestPath' | 'metadata' | 'tags' | 'stageTags' | 'extension'>,
): Lanes {
  const { name, manifestPath, metadata, tags, stageTags, extension } = version
  const said = { manifestPath, extension, metadata: canonicalMetadata(metadata) }
  return descriptionLanes(versionPath(key, name), { ...said, tags: [...tags].sort(), stageTags: [...stageTags].sort() })
}

/** `latest` and the counts are derived and take no part. */
export function lanesOfPackage(
  one: Pick<PackageRecord, 'key' | 'name' | 'description' | 'versionTag' | 'extension'>,
): Lanes {
  const { key, name, description, versionTag, extension } = one
  return descriptionLanes(packagePath(key), { name, description, versionTag, extension })
}

/** Both sides undefined where there was, or will be, none. */
export function changeOfVersion(
  before: KeyedVersion | undefined,
  after: KeyedVersion | undefined,
  source: ChangeSource,
): Change {
  const { repoId, packageKey, name } = (after ?? before)!
  const path = versionPath(packageKey, name)
  return { repoId, path, op: after === undefined ? 5 : 4, ...source, before: lanesIn(before), after: lanesIn(after) }
}
export function changeOfPackage(
  before: PackageRecord | undefined,
  after: PackageRecord | undefined,
  source: ChangeSource,
): Change {
  const { repoId, key } = (after ?? before)!
  const only = (one: PackageRecord | undefined): FileLanes | undefined =>
    one && { content: [0, 0, 0, 0], metadata: one.metadataLanes }
  const path = packagePath(key)
  return { repoId, path, op: after === undefined ? 7 : 6, ...source, before: only(before), after: only(after) }
}

const lanesIn = (version: VersionRecord | undefined): FileLanes | undefined =>
  version && { content: version.contentLanes, metadata: version.metadataLanes }
