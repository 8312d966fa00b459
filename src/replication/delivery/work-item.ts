import type { ComparedLanes } from '../../core/fingerprint.ts'
import type { Tombstone } from '../../metadata/nodes/tombstones.ts'
import type { SourceFile } from '../../metadata/replication/source-files.ts'
import type { Precondition } from '../../remotes/cluster/frames/frame.ts'
import type { RunSpec } from '../runs/run-spec.ts'

/** An artifact to bring over: a file as it is, or its end. */
export type WorkItem = FileItem | DeletionItem
interface Item {
  readonly path: string
  /** What the target had at the path when the run was planned. */
  readonly expect: Precondition
}
export interface FileItem extends Item {
  readonly kind: 'file'
  readonly file: SourceFile
  /** The target said that it needs the content. */
  readonly wanted?: true
}
/** Nothing is at the path any more; whoever deleted it, and when, stands in its tombstone. */
export interface DeletionItem extends Item {
  readonly kind: 'deletion'
  readonly tombstone: Tombstone
}

export const fileItem = (file: SourceFile, expect: Precondition): FileItem => ({
  kind: 'file',
  path: file.path,
  file,
  expect,
})
/** Of its content; a deletion has none. */
export const sizeOf = (item: WorkItem): number => (item.kind === 'file' ? item.file.sizeBytes : 0)

export const UNKNOWN: Precondition = { is: 'unknown' }
export const ABSENT: Precondition = { is: 'absent' }

/** What a task compares. */
export const comparedLanes = (includeMetadata: RunSpec['includeMetadata']): ComparedLanes =>
  includeMetadata ? 'content+metadata' : 'content'

/** As `exec_path.expect` keeps it. */
export function storedPrecondition(expect: Precondition): Uint8Array | null {
  if (expect.is === 'unknown') return null
  return expect.is === 'absent' ? Buffer.alloc(0) : expect.id
}
export function readPrecondition(stored: Uint8Array | null): Precondition {
  if (stored === null) return UNKNOWN
  return stored.length === 0 ? ABSENT : { is: 'row', id: Buffer.from(stored) }
}
