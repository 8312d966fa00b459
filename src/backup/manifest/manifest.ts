import type { BackupContent } from '../tasks/backup-task.ts'

/** Part of a record file that is an object of its own (repository layout), so that what did not change is not written again. */
export interface RecordPart {
  /** What names it in its place. */
  readonly id: string
  /** Key of its first record: the full path of a node, `key@version` of a version. */
  readonly first: string
  readonly sizeBytes: number
  readonly records: number
}

/** A file of JSON Lines, one record each, UTF-8, `\n`. */
export interface RecordFile {
  /** Below the run, e.g. `node.json` or `project/repository/node.json`. */
  readonly path: string
  readonly sizeBytes: number
  /** Hex, of its bytes; with parts: of their ids, each followed by `\n`. */
  readonly sha256: string
  readonly records: number
  readonly parts?: readonly RecordPart[]
}

/** How far the snapshot saw a repository, so that a later run reads what changed since. */
export interface RepositoryState {
  readonly projectId: string
  readonly repoName: string
  readonly repoId: number
  readonly epoch: string
  /** Change log number up to which all is in the backup. */
  readonly seq: number
  /** What changes without a change log row (folders, download counts), summed up: equal means unchanged. */
  readonly quiet: string
}

/** What a run holds (backup.md 6). Written last: without it a run is incomplete. */
export interface Manifest {
  readonly formatVersion: 1
  readonly serverVersion: string
  readonly clusterId: string
  readonly taskId: string
  readonly runId: string
  readonly name: string
  /** ISO 8601, UTC. */
  readonly startDate: string
  /** Change log number of the snapshot. */
  readonly snapshotSeq: number
  /** Tells that change from one that gets the same number when the database was put back to an earlier state. Empty: it was trimmed. */
  readonly snapshotMark: string
  /** Of an increment: changes from here on; null: all. */
  readonly fromSeq: number | null
  /** Of an increment: ISO 8601, UTC. */
  readonly since: string | null
  readonly content: BackupContent
  readonly repositories: readonly RepositoryState[]
  readonly files: readonly RecordFile[]
  readonly blobCount: number
  readonly blobBytes: number
  /** Runs without which this one is not whole. */
  readonly basedOn: readonly string[]
  readonly result: 'SUCCESS' | 'PARTIAL'
  /** Lines of `errors.json`. */
  readonly errors: number
}
