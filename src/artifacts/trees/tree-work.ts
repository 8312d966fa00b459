import type { Hlc } from '../../core/hlc.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import type { TreeRequest, TreeTotals } from '../../metadata/nodes/tree-operations.ts'
import type { FileWrite } from '../nodes/node-rows.ts'

/** One operation on a tree, for whoever works on a slice of it. */
export interface TreeWork<R extends TreeRequest = TreeRequest> {
  readonly request: R
  /** Rows with a higher id came later and are left alone. */
  readonly upToId: number
  readonly by: string
  /** UTC epoch milliseconds. All that one deletion takes away has this time: it is its restore point. */
  readonly startedAt: number
}

/** What one slice did. */
export type SliceResult = Partial<TreeTotals>

export const addTotals = (totals: TreeTotals, more: SliceResult): TreeTotals => ({
  files: totals.files + (more.files ?? 0),
  folders: totals.folders + (more.folders ?? 0),
  bytes: totals.bytes + (more.bytes ?? 0),
  skipped: totals.skipped + (more.skipped ?? 0),
  conflicts: totals.conflicts + (more.conflicts ?? 0),
})

/** Who writes the nodes of a slice, when (UTC epoch ms), and with which stamp. */
export interface WriteStamp {
  readonly by: string
  readonly now: number
  readonly stamp: Hlc
}

/** A write of what a file holds, by a local user: all of it travels, but for its place and its authors. */
export function contentOf(file: NodeRecord, { by, now, stamp }: WriteStamp): FileWrite {
  return {
    path: file.path,
    digest: file.digest!,
    sizeBytes: file.sizeBytes,
    md5: file.md5 ?? undefined,
    crc64: file.crc64 ?? undefined,
    metadata: file.metadata,
    expiresAt: file.expiresAt ?? undefined,
    createdBy: file.createdBy,
    createdAt: file.createdAt,
    modifiedBy: by,
    modifiedAt: now,
    origin: 0,
    hlc: stamp,
    viaLink: undefined,
    viaMark: undefined,
  }
}

export const sumOfSizes = (files: readonly { readonly sizeBytes: number }[]): number =>
  files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
