import { Type } from 'typebox'
import type { DeletedNode, TreeOperation } from '../../artifacts/trees/trees.ts'
import { digestHex } from '../../core/digest.ts'
import { metadataMap } from '../../core/metadata.ts'
import type { Dates } from '../dates.ts'

const Text = Type.String()
const MaybeText = Type.Union([Text, Type.Null()])

/** An operation on a large tree. */
export function toOperationInfo(operation: TreeOperation, dates: Dates) {
  const { id, request, state, totals, by, startedAt, endedAt, error } = operation
  const target = 'target' in request ? request : undefined
  return {
    id,
    kind: request.kind.toUpperCase(),
    status: state,
    fullPath: request.path,
    destProjectId: target?.target.project ?? null,
    destRepoName: target?.target.name ?? null,
    destFullPath: target?.targetPath ?? null,
    fileNumber: totals.files,
    folderNumber: totals.folders,
    size: totals.bytes,
    createdBy: by,
    startTime: dates.format(startedAt),
    endTime: dates.format(endedAt),
    errorReason: error?.message ?? null,
  }
}
export const OperationData = Type.Object({
  id: Text,
  kind: Type.String({ description: 'DELETE, COPY, MOVE, RESTORE' }),
  status: Type.String({ description: 'RUNNING, DONE, FAILED' }),
  fullPath: Text,
  destProjectId: MaybeText,
  destRepoName: MaybeText,
  destFullPath: MaybeText,
  fileNumber: Type.Integer({ description: 'Done so far' }),
  folderNumber: Type.Integer(),
  size: Type.Integer({ description: 'Bytes' }),
  createdBy: Text,
  startTime: Text,
  endTime: MaybeText,
  errorReason: MaybeText,
})

/** What can be restored at a path. */
export const toDeletedPoint = (node: DeletedNode, dates: Dates) => ({
  id: String(node.id),
  fullPath: node.path,
  folder: node.folder,
  size: node.sizeBytes,
  sha256: node.digest === undefined ? null : digestHex(node.digest),
  metadata: metadataMap(node.metadata),
  deletedBy: node.deletedBy,
  deletedTime: dates.format(node.deletedAt),
})
export const DeletedPointData = Type.Object({
  id: Text,
  fullPath: Text,
  folder: Type.Boolean(),
  size: Type.Integer({ description: 'Bytes; 0 for folders' }),
  sha256: MaybeText,
  metadata: Type.Record(Type.String(), Type.Unknown()),
  deletedBy: Text,
  deletedTime: Text,
})
