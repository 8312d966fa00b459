import { canonicalJson } from '../../core/metadata.ts'
import type { NodePath } from '../../core/paths.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import type { DecodedNode } from '../records/decoded.ts'

/** What stands where a node shall be restored. */
export interface NodeStanding {
  /** As users see it. */
  readonly row: NodeRecord | undefined
  /** A file where a folder is needed. */
  readonly fileAbove: NodePath | undefined
}
export type NodeVerdict =
  | { readonly is: 'write' | 'describe' | 'unchanged' }
  /** `differs`: the content, too. */
  | { readonly is: 'kept'; readonly differs: boolean }
  | { readonly is: 'refused'; readonly reason: string }

const WRITE: NodeVerdict = { is: 'write' }

/** The row `node` of the table in backup.md 8. `describe`: the content is here, what is said of it is not. Pure. */
export function judgeNode(node: DecodedNode, standing: NodeStanding, onConflict: 'SKIP' | 'OVERWRITE'): NodeVerdict {
  const { row, fileAbove } = standing
  if (fileAbove !== undefined) return refused(`a file is at [${fileAbove}], where it needs a folder`)
  if (row === undefined) return WRITE
  if (row.folder !== node.folder) {
    return refused(
      node.folder ? 'a file is there, and the backup has a folder' : 'a folder is there, and the backup has a file',
    )
  }
  const sameContent = row.digest === node.digest
  if (onConflict === 'SKIP') return { is: 'kept', differs: !sameContent }
  if (isSame(node, row)) return { is: 'unchanged' }
  return node.folder || (sameContent && isSameRow(node, row)) ? { is: 'describe' } : WRITE
}

/** What a change of metadata leaves as it is. */
const isSameRow = (node: DecodedNode, row: NodeRecord): boolean =>
  row.sizeBytes === node.sizeBytes &&
  row.expiresAt === node.expiresAt &&
  row.createdBy === node.createdBy &&
  row.createdAt === node.createdAt

/** Of a folder that was made on the way nobody knows by whom it once was: that does not count. */
function isSame(node: DecodedNode, row: NodeRecord): boolean {
  const said = row.modifiedBy === node.modifiedBy && row.modifiedAt === node.modifiedAt && sameMetadata(node, row)
  return said && (node.folder || (row.digest === node.digest && isSameRow(node, row)))
}
const sameMetadata = (node: DecodedNode, row: NodeRecord): boolean =>
  (node.metadata.length === 0 && row.metadata.length === 0) ||
  canonicalJson(node.metadata) === canonicalJson(row.metadata)

const refused = (reason: string): NodeVerdict => ({ is: 'refused', reason })
