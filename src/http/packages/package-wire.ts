import { Type } from 'typebox'
import type { PackageWithHistory, VersionNode, VersionRecord } from '../../artifacts/packages/packages.ts'
import { digestHex } from '../../core/digest.ts'
import { metadataMap } from '../../core/metadata.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import type { Dates } from '../dates.ts'
import { MetadataEntryData, toMetadataEntry } from '../nodes/node-wire.ts'

interface RepositoryName {
  readonly project: string
  readonly name: string
  readonly type: string
}

const Text = Type.String()
const WireDate = Type.String({ description: 'Without zone, e.g. 2021-05-12T12:19:08.813' })
const nullable = (schema: ReturnType<typeof Type.String>) => Type.Union([schema, Type.Null()])
const AUDIT = { createdBy: Text, createdDate: WireDate, lastModifiedBy: Text, lastModifiedDate: WireDate }
const Json = Type.Record(Type.String(), Type.Unknown())

const toAudit = (
  record: { createdBy: string; createdAt: number; modifiedBy: string; modifiedAt: number },
  dates: Dates,
) => ({
  createdBy: record.createdBy,
  createdDate: dates.format(record.createdAt),
  lastModifiedBy: record.modifiedBy,
  lastModifiedDate: dates.format(record.modifiedAt),
})

/** The package record of core.md 10. */
export const PackageInfo = Type.Object({
  ...AUDIT,
  projectId: Text,
  repoName: Text,
  name: Text,
  key: Type.String({ description: 'E.g. npm://left-pad' }),
  type: Text,
  latest: Type.String({ description: 'Where the tag `latest` points, else the highest version' }),
  downloads: Type.Integer(),
  versions: Type.Integer({ description: 'How many there are' }),
  description: nullable(Text),
  versionTag: Type.Record(Type.String(), Type.String(), { description: 'Tag to version' }),
  extension: Json,
  historyVersion: Type.Array(Text, { description: 'Versions that were deleted' }),
})
export const toPackageInfo = (one: PackageWithHistory, { project, name, type }: RepositoryName, dates: Dates) => ({
  ...toAudit(one, dates),
  projectId: project,
  repoName: name,
  name: one.name,
  key: one.key,
  type,
  latest: one.latest,
  downloads: one.downloads,
  versions: one.versions,
  description: one.description,
  versionTag: one.versionTag,
  extension: one.extension,
  historyVersion: one.deletedVersions,
})

const METADATA = { metadata: Json, nodeMetadata: Type.Array(MetadataEntryData) }
const toMetadata = ({ metadata }: VersionRecord) => ({
  metadata: metadataMap(metadata),
  nodeMetadata: metadata.map(toMetadataEntry),
})

/** The version record of core.md 10. */
export const VersionInfo = Type.Object({
  ...AUDIT,
  name: Text,
  size: Type.Integer({ description: 'Bytes of all its files' }),
  downloads: Type.Integer(),
  stageTag: Type.Array(Text),
  tags: Type.Array(Text),
  ...METADATA,
  extension: Json,
  artifactPath: Type.String({ description: 'Of its main file' }),
  manifestPath: nullable(Text),
})
export const toVersionInfo = (version: VersionRecord, dates: Dates) => ({
  ...toAudit(version, dates),
  name: version.name,
  size: version.sizeBytes,
  downloads: version.downloads,
  stageTag: version.stageTags,
  tags: version.tags,
  ...toMetadata(version),
  extension: version.extension,
  artifactPath: version.artifactPath,
  manifestPath: version.manifestPath,
})

const FileInfo = Type.Object({ role: Text, fullPath: Text, size: Type.Integer(), sha256: Text, md5: nullable(Text) })
const toFileInfo = ({ role, node }: VersionNode) => ({ role, ...contentOf(node) })
const contentOf = ({ path, sizeBytes, digest, md5 }: NodeRecord) => ({
  fullPath: path,
  size: sizeBytes,
  sha256: digestHex(digest!),
  md5,
})

/** What `ext/version/detail` tells (core.md 10): `basic` is about the main file. */
export const VersionDetail = Type.Object({
  basic: Type.Object({
    ...AUDIT,
    projectId: Text,
    repoName: Text,
    version: Text,
    fullPath: Text,
    size: Type.Integer({ description: 'Bytes of the main file' }),
    sha256: Text,
    md5: nullable(Text),
    stageTag: Type.Array(Text),
    downloadCount: Type.Integer(),
  }),
  ...METADATA,
  extension: Json,
  tags: Type.Array(Text),
  files: Type.Array(FileInfo, { description: 'Leaves first: a file never refers to a later one' }),
})
export function toVersionDetail(
  version: VersionRecord,
  main: NodeRecord,
  files: readonly VersionNode[],
  { project, name }: RepositoryName,
  dates: Dates,
) {
  return {
    basic: {
      ...toAudit(version, dates),
      projectId: project,
      repoName: name,
      version: version.name,
      ...contentOf(main),
      stageTag: version.stageTags,
      downloadCount: version.downloads,
    },
    ...toMetadata(version),
    extension: version.extension,
    tags: version.tags,
    files: files.map(toFileInfo),
  }
}
