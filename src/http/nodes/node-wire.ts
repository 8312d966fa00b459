import { type TSchema, Type } from 'typebox'
import { digestHex } from '../../core/digest.ts'
import { type MetadataEntry, metadataMap } from '../../core/metadata.ts'
import { nameOf, parentOf, ROOT } from '../../core/paths.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import type { Dates } from '../dates.ts'

interface RepositoryName {
  readonly project: string
  readonly name: string
}

/** One metadata entry (core.md 8), all keys present. */
export const toMetadataEntry = ({ key, value, system, description, link, color }: MetadataEntry) => ({
  key,
  value,
  system: system ?? false,
  description: description ?? null,
  link: link ?? null,
  color: color ?? null,
})

/** The node record of core.md 7.1. Metadata is null when it was not asked for. */
export function toNodeInfo(
  node: NodeRecord,
  repository: RepositoryName,
  dates: Dates,
  metadata: 'with-metadata' | 'without-metadata' = 'with-metadata',
) {
  const parent = parentOf(node.path)
  const shown = metadata === 'with-metadata' ? node.metadata : undefined
  return {
    createdBy: node.createdBy,
    createdDate: dates.format(node.createdAt),
    lastModifiedBy: node.modifiedBy,
    lastModifiedDate: dates.format(node.modifiedAt),
    lastAccessDate: dates.format(node.accessedAt),
    projectId: repository.project,
    repoName: repository.name,
    folder: node.folder,
    path: parent === ROOT ? ROOT : `${parent}/`,
    name: nameOf(node.path),
    fullPath: node.path,
    size: node.sizeBytes,
    sha256: node.digest === undefined ? null : digestHex(node.digest),
    md5: node.md5,
    crc64ecma: node.crc64,
    metadata: shown === undefined ? null : metadataMap(shown),
    nodeMetadata: shown === undefined ? null : shown.map(toMetadataEntry),
    stageTag: null,
    expireDate: dates.format(node.expiresAt),
    nodeNum: null,
    deleted: null,
    clusterNames: null,
    federatedSource: null,
  }
}

const nullable = (schema: TSchema) => Type.Union([schema, Type.Null()])
const Text = Type.String()
const WireDate = Type.String({ description: 'Without zone, e.g. 2021-05-12T12:19:08.813' })

export const MetadataEntryData = Type.Object({
  key: Text,
  value: Type.Unknown(),
  system: Type.Boolean(),
  description: nullable(Text),
  link: nullable(Text),
  color: nullable(Text),
})

/** Schema of `toNodeInfo`, for the OpenAPI document. */
export const NodeInfo = Type.Object({
  createdBy: Text,
  createdDate: WireDate,
  lastModifiedBy: Text,
  lastModifiedDate: WireDate,
  lastAccessDate: nullable(WireDate),
  projectId: Text,
  repoName: Text,
  folder: Type.Boolean(),
  path: Type.String({ description: 'Of the folder it lies in, with a slash at the end' }),
  name: Text,
  fullPath: Text,
  size: Type.Integer({ description: 'Bytes; 0 for folders, whose size `node/size` counts' }),
  sha256: nullable(Text),
  md5: nullable(Type.String({ description: 'Known when the uploader sent it' })),
  crc64ecma: nullable(Type.String({ description: 'Known when the uploader sent it' })),
  metadata: nullable(Type.Record(Type.String(), Type.Unknown())),
  nodeMetadata: nullable(Type.Array(MetadataEntryData)),
  stageTag: Type.Null(),
  expireDate: nullable(WireDate),
  nodeNum: Type.Null(),
  deleted: Type.Null(),
  clusterNames: Type.Null(),
  federatedSource: Type.Null(),
})
