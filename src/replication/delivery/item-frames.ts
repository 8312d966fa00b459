import { rowIdOf } from '../../core/fingerprint.ts'
import type { OutgoingItem } from '../../remotes/cluster/frame-stream.ts'
import type { DeliveryContext } from './deliver-batch.ts'
import { packageFrameOf, userEntries, versionFrameOf } from './version-frames.ts'
import { comparedLanes, type DeletionItem, type FileItem, UNKNOWN, type WorkItem } from './work-item.ts'

type FrameContext = Pick<DeliveryContext, 'includeMetadata' | 'originOf'>

/** An artifact as it is sent. @param content of a file, where it goes along. */
export function frameOf(item: WorkItem, content: Buffer | undefined, ctx: FrameContext): OutgoingItem {
  switch (item.kind) {
    case 'file':
      return entryOf(item, content, ctx)
    case 'deletion':
      return deleteOf(item, ctx)
    case 'version':
      return versionFrameOf(item, ctx)
    case 'package':
      return packageFrameOf(item, ctx)
  }
}

function entryOf({ file, expect }: FileItem, content: Buffer | undefined, ctx: FrameContext): OutgoingItem {
  return {
    type: 'entry',
    path: file.path,
    digest: file.digest,
    sizeBytes: file.sizeBytes,
    md5: file.md5,
    crc64: file.crc64,
    metadata: ctx.includeMetadata ? userEntries(file) : null,
    origin: ctx.originOf(file.origin),
    hlc: file.hlc,
    via: [],
    expiresAt: file.expiresAt,
    createdBy: file.createdBy,
    createdAt: file.createdAt,
    modifiedBy: file.modifiedBy,
    modifiedAt: file.modifiedAt,
    expect,
    content,
  }
}
function deleteOf({ path, tombstone, last }: DeletionItem, ctx: FrameContext): OutgoingItem {
  const { hlc, origin, deletedBy } = tombstone
  const id = last && rowIdOf(last, comparedLanes(ctx.includeMetadata))
  const expect = id === undefined ? UNKNOWN : ({ is: 'row', id } as const)
  return { type: 'delete', path, origin: ctx.originOf(origin), hlc, deletedBy, expect }
}
