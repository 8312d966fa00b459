import type { ComparedLanes } from '../../core/fingerprint.ts'
import type { SourceFile } from '../../metadata/replication/source-files.ts'
import type { Precondition } from '../../remotes/cluster/frames/frame.ts'
import type { RunSpec } from '../runs/run-spec.ts'

/** A file to bring over, and what the target had at its path when the run was planned. */
export interface WorkItem {
  readonly file: SourceFile
  readonly expect: Precondition
  /** The target said that it needs the content. */
  readonly wanted?: true
}

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
