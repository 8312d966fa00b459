import type { FileWrite } from '../../artifacts/nodes/node-writer.ts'
import type { Metadata } from '../../core/metadata.ts'
import type { NodePath } from '../../core/paths.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import type { EntryFrame } from '../../remotes/cluster/frames/frame.ts'

/** The file that an entry asks for, with what this side knows of its writer. */
export function fileWriteOf(
  entry: EntryFrame,
  metadata: Metadata,
  { origin, viaLink, viaMark }: Pick<FileWrite, 'origin' | 'viaLink' | 'viaMark'>,
): FileWrite {
  return {
    path: entry.path as NodePath,
    digest: entry.digest,
    sizeBytes: entry.sizeBytes,
    md5: entry.md5 ?? undefined,
    crc64: entry.crc64 ?? undefined,
    metadata,
    expiresAt: entry.expiresAt ?? undefined,
    createdBy: entry.createdBy,
    createdAt: entry.createdAt,
    modifiedBy: entry.modifiedBy,
    modifiedAt: entry.modifiedAt,
    origin,
    hlc: entry.hlc,
    viaLink,
    viaMark,
  }
}

/** Only metadata can differ: the row stays, and takes new entries. */
export const isSameFile = ({ digest, sizeBytes, expiresAt }: EntryFrame, row: NodeRecord | undefined): boolean =>
  row?.digest === digest && row.sizeBytes === sizeBytes && row.expiresAt === expiresAt

/** The source's user entries replace ours; what a system noted stays where it was noted. Null: all of ours stay. */
export function metadataAfter(incoming: Metadata | null, row: NodeRecord | undefined): Metadata {
  if (incoming === null) return row?.metadata ?? []
  const noted = row?.metadata.filter(({ system }) => system === true) ?? []
  if (noted.length === 0 && incoming.every(({ system }) => system !== true)) return incoming
  return [...incoming.filter(({ system }) => system !== true), ...noted]
}
