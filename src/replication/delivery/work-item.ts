import type { ComparedLanes, FingerprintRow } from '../../core/fingerprint.ts'
import { parsePackagePath } from '../../core/package-key.ts'
import type { Tombstone } from '../../metadata/nodes/tombstones.ts'
import type { PackageRecord } from '../../metadata/packages/packages.ts'
import type { SourceFile } from '../../metadata/replication/source-files.ts'
import type { SourceVersion } from '../../metadata/replication/source-versions.ts'
import type { Precondition } from '../../remotes/cluster/frames/frame.ts'
import type { RunSpec } from '../runs/run-spec.ts'

/** An artifact to bring over: a file as it is, its end, or a version with all its files; and what is said about a package, which is none. */
export type WorkItem = FileItem | DeletionItem | VersionItem | PackageItem
/** What ends in one way or another, and is told. */
export type EndedItem = WorkItem | ImportItem
interface Item {
  readonly path: string
  /** What the target had at the path when the run was planned. */
  readonly expect: Precondition
}
export interface FileItem extends Item {
  readonly kind: 'file'
  readonly file: SourceFile
  /** Large, and nobody knows what the target has there: it is asked before the content goes. */
  readonly unsure?: true
  /** The target said that it needs the content. */
  readonly wanted?: true
}
/** Nothing is at the path any more; whoever deleted it, and when, stands in its tombstone. */
export interface DeletionItem extends Pick<Item, 'path'> {
  readonly kind: 'deletion'
  readonly tombstone: Tombstone
  /** The file that ended: whoever has it just so had a copy of it. Undefined: nobody remembers. */
  readonly last: Omit<FingerprintRow, 'path'> | undefined
}

/** A version of a package; `path` is its place among paths. */
export interface VersionItem extends Item {
  readonly kind: 'version'
  readonly source: SourceVersion
  /** It was found by a path of one of its files, and stands in no order of its own. */
  readonly derived?: true
  /** The target said that it needs the contents. */
  readonly wanted?: true
}
/** Description, tags and the like of a package whose versions are there. It counts nowhere, unless it fails. */
export interface PackageItem extends Item {
  readonly kind: 'package'
  readonly owner: PackageRecord
}

/** A version that comes from a registry of somebody else to us. */
export interface ImportItem extends Pick<Item, 'path'> {
  readonly kind: 'import'
  /** Null: it did not come. */
  readonly sizeBytes: number | null
}

export const fileItem = (file: SourceFile, expect: Precondition): FileItem => ({
  kind: 'file',
  path: file.path,
  file,
  expect,
})
/** What has to be at the target before the item is. */
export function filesOf(item: WorkItem): readonly SourceFile[] {
  if (item.kind === 'file') return [item.file]
  return item.kind === 'version' ? item.source.files.map(({ file }) => file) : []
}
/** Of its contents; a deletion has none. */
export const sizeOf = (item: WorkItem): number =>
  item.kind === 'file' ? item.file.sizeBytes : item.kind === 'version' ? item.source.version.sizeBytes : 0
/** As reasons call it. */
export function nameOf(item: WorkItem): string {
  const place = parsePackagePath(item.path)
  if (place === undefined) return `File [${item.path}]`
  const { key, version } = place
  return version === undefined ? `Package [${key}]` : `Version [${version}] of package [${key}]`
}
export const isArtifact = ({ kind }: Pick<EndedItem, 'kind'>): boolean => kind !== 'package'

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
