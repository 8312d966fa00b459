import type { MetadataEntry } from '../../core/metadata.ts'
import type { PathRange } from '../../core/path-range.ts'

/**
 * What two clusters say to each other under `/sync/v1` (docs/design/sync-protocol.md). JSON in the contract's envelope, but for
 * the blob calls, which carry raw bytes. Both sides ignore fields they do not know.
 */
export const SYNC_PROTOCOL = 1

/** Answer of `GET /hello`. */
export interface HelloAnswer {
  /** Protocol versions that are understood; both sides use the highest they share. */
  readonly protocols: readonly number[]
  readonly clusterId: string
  readonly name: string
  /** The answering side's clock, UTC epoch ms. */
  readonly now: number
  readonly limits: { readonly batchFiles: number; readonly inlineMaxBytes: number; readonly partSizeBytes: number }
}

/** Repository wanted at the target: what it is made of when it has to be created. */
export interface RepositoryWanted {
  readonly project: string
  readonly repo: string
  readonly type: string
  readonly category: string
  readonly public: boolean
  readonly description: string | null
  readonly configuration: Readonly<Record<string, unknown>>
  /** Of the source's project, for a project that has to be created. */
  readonly projectDescription: string
  /** Missing project and repository are created; otherwise REPOSITORY_NOT_FOUND. */
  readonly create: boolean
}

/** `POST /links/{linkKey}/open`: make sure of the repository and learn whether the cursor still holds. */
export interface OpenRequest {
  readonly sourceId: string
  readonly repository: RepositoryWanted
  readonly scope: readonly PathRange[]
  /** Where the target's change log stood when only this link had written in the scope; null: no cursor. */
  readonly known: LogPosition | null
}
/** A place in the target's change log. `mark` tells the row there: a log that was put back and grew again has another one. */
export interface LogPosition {
  readonly epoch: string
  readonly seq: number
  readonly mark: string
}
export interface OpenAnswer {
  /** Where the log ends. */
  readonly head: LogPosition
  /** Nobody but this link changed the scope since `known`. False without `known`. */
  readonly pure: boolean
}

/** Which run and shard speaks, and with which right: a lower fence than the last seen on the stream is refused. */
export interface StreamRef {
  readonly sourceId: string
  readonly project: string
  readonly repo: string
  /** Of the target's repository when the run was planned: with another one it is another repository, and nothing is written. */
  readonly epoch: string
  /** `<record id>/<shard number>`. */
  readonly stream: string
  readonly fence: number
  /** Names the run, 48 bits of its record's hash: tells what this run delivered from what others did. */
  readonly run: number
}

/** One file as the source has it. `sha256` in hex, `metaLanes` the four metadata lanes. */
export interface FileOffer {
  readonly path: string
  readonly sha256: string
  readonly sizeBytes: number
  readonly metaLanes: readonly [number, number, number, number]
  readonly expiresAt: number | null
}
/** `POST /links/{linkKey}/compare`, at most `limits.batchFiles` offers. */
export interface CompareRequest extends StreamRef {
  readonly includeMetadata: boolean
  readonly offers: readonly FileOffer[]
}
export interface CompareAnswer {
  /** In the order of the offers. */
  readonly verdicts: readonly Verdict[]
}
export interface Verdict {
  /**
   * `absent` no live node · `same` equal content (and metadata when asked) · `ours` differs, but this link wrote it and nobody
   * touched it since · `other` differs · `folder` a folder stands there, or a file stands where a folder is needed.
   */
  readonly there: 'absent' | 'same' | 'ours' | 'other' | 'folder'
  /** Opaque name of the row's state; echoed as the precondition of `apply`. Null when absent. */
  readonly rev: string | null
  /** With `same`: this very run delivered it, before it was interrupted. `conflict`: it replaced other content. */
  readonly delivered?: 'clean' | 'conflict'
  /** The target holds the bytes already, and keeps them for the grace time of its collection. */
  readonly hasBlob: boolean
}

/** One file to be written, if the target still stands as `expect` says. */
export interface FileEntry {
  readonly path: string
  readonly sha256: string
  readonly sizeBytes: number
  readonly md5: string | null
  /** User entries; null: leave the target's as they are (includeMetadata is false). */
  readonly metadata: readonly MetadataEntry[] | null
  /** Cluster id of the last writer. */
  readonly origin: string
  readonly hlc: string
  readonly expiresAt: number | null
  readonly createdBy: string
  readonly createdAt: number
  readonly modifiedBy: string
  readonly modifiedAt: number
  /** `rev` of the verdict; null: absent. */
  readonly expect: string | null
  /** It replaces content that neither this link delivered nor the source has. */
  readonly conflict: boolean
}
/** `POST /links/{linkKey}/apply`: one transaction at the target. */
export interface ApplyRequest extends StreamRef {
  readonly entries: readonly FileEntry[]
}
export interface ApplyAnswer {
  /** In the order of the entries. */
  readonly results: readonly ApplyResult[]
}
export interface ApplyResult {
  /**
   * `written` durable and visible · `changed` the row is not as expected: compare again · `no-blob` the bytes are not here: send
   * them · `refused` never, for `reason`.
   */
  readonly result: 'written' | 'changed' | 'no-blob' | 'refused'
  readonly reason?: string
}

/** Answer of `POST /blobs/pack`: hex digests whose bytes did not hash to them and were dropped. */
export interface PackAnswer {
  readonly broken: readonly string[]
}

/** `POST /uploads`: opens or finds the resumable upload of one large blob; its id is its digest. */
export interface UploadRequest {
  readonly sha256: string
  readonly sizeBytes: number
}
export interface UploadAnswer {
  readonly uploadId: string
  readonly partSizeBytes: number
  /** Numbers of the parts that are durable at the target. */
  readonly have: readonly number[]
  /** The blob is there already: nothing to send. */
  readonly complete: boolean
}
