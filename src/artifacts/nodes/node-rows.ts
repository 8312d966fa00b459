import { type Digest, digestBytes } from '../../core/digest.ts'
import { HLC_ZERO, type Hlc } from '../../core/hlc.ts'
import { contentLanes, metadataLanes } from '../../core/lanes.ts'
import type { Metadata } from '../../core/metadata.ts'
import { type NodePath, parentOf } from '../../core/paths.ts'
import type { NewNode } from '../../metadata/nodes/node-writes.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'

/** A file as it shall be. Times are UTC epoch milliseconds; authors and times may be another cluster's. */
export interface FileWrite {
  readonly path: NodePath
  readonly digest: Digest
  readonly sizeBytes: number
  readonly md5: string | undefined
  /** Unsigned decimal (`core/crc64.ts`); left out: not known. */
  readonly crc64?: string | undefined
  readonly metadata: Metadata
  readonly expiresAt: number | undefined
  readonly createdBy: string
  readonly createdAt: number
  readonly modifiedBy: string
  readonly modifiedAt: number
  /** `peer.id`; 0: written here. */
  readonly origin: number
  readonly hlc: Hlc
  /** `peer_link.id` and mark of the run; undefined: a local user. */
  readonly viaLink: number | undefined
  readonly viaMark: number | undefined
  /** Left out: nobody has read it yet. */
  readonly accessedAt?: number | null
}

/** As it will read back, but for its id. Written out, here and below: copying objects costs more than the database's work on a row. */
export function recordOf(repoId: number, write: FileWrite): NodeRecord {
  return {
    id: 0,
    repoId,
    path: write.path,
    folder: false,
    digest: write.digest,
    md5: write.md5 ?? null,
    crc64: write.crc64 ?? null,
    sizeBytes: write.sizeBytes,
    metadata: write.metadata,
    origin: write.origin,
    hlc: write.hlc,
    viaLink: write.viaLink ?? null,
    viaMark: write.viaMark ?? null,
    contentLanes: contentLanes(write.path, write.digest, write.sizeBytes),
    metadataLanes: metadataLanes(write.path, write.metadata),
    expiresAt: write.expiresAt ?? null,
    createdBy: write.createdBy,
    createdAt: write.createdAt,
    modifiedBy: write.modifiedBy,
    modifiedAt: write.modifiedAt,
    accessedAt: write.accessedAt ?? null,
  }
}

export function fileRow(file: NodeRecord): NewNode {
  const { contentLanes: content, metadataLanes: metadata } = file
  return {
    repo_id: file.repoId,
    path: file.path,
    parent: parentOf(file.path),
    folder: 0,
    sha256: digestBytes(file.digest!),
    md5: file.md5,
    crc64: file.crc64,
    size: file.sizeBytes,
    metadata: file.metadata.length === 0 ? '[]' : JSON.stringify(file.metadata),
    origin: file.origin,
    hlc: file.hlc,
    via_link: file.viaLink,
    via_mark: file.viaMark,
    c0: content[0],
    c1: content[1],
    c2: content[2],
    c3: content[3],
    m0: metadata[0],
    m1: metadata[1],
    m2: metadata[2],
    m3: metadata[3],
    expires_at: file.expiresAt,
    created_by: file.createdBy,
    created_at: file.createdAt,
    modified_by: file.modifiedBy,
    modified_at: file.modifiedAt,
    accessed_at: file.accessedAt,
    deleted_by: null,
    deleted_at: null,
  }
}

/** Folders take no part in fingerprints and leave no change log row: a target makes them as it needs them. */
export function folderRow(repoId: number, path: NodePath, by: string, at: number): NewNode {
  return {
    repo_id: repoId,
    path,
    parent: parentOf(path),
    folder: 1,
    sha256: null,
    md5: null,
    crc64: null,
    size: 0,
    metadata: '[]',
    origin: 0,
    hlc: HLC_ZERO,
    via_link: null,
    via_mark: null,
    c0: 0,
    c1: 0,
    c2: 0,
    c3: 0,
    m0: 0,
    m1: 0,
    m2: 0,
    m3: 0,
    expires_at: null,
    created_by: by,
    created_at: at,
    modified_by: by,
    modified_at: at,
    accessed_at: null,
    deleted_by: null,
    deleted_at: null,
  }
}
