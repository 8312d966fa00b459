import type { PathRange } from '../../core/path-range.ts'

/**
 * What two clusters say to each other under `/sync/v1` (docs/design/sync-protocol.md). JSON in the contract's envelope, but for
 * the blob calls, which carry raw bytes. Both sides ignore fields they do not know.
 */
export const SYNC_PROTOCOL = 2

/** Answer of `GET /hello`. */
export interface HelloAnswer {
  /** Protocol versions that are understood; both sides use the highest they share. */
  readonly protocols: readonly number[]
  readonly clusterId: string
  readonly name: string
  /** The answering side's clock, UTC epoch ms. */
  readonly now: number
  readonly features: SyncFeatures
  readonly limits: SyncLimits
}

/** What the answering side can do; a field that is not there is false. */
export interface SyncFeatures {
  /** It takes bundles of frames, and bodies with `content-encoding: zstd`. */
  readonly zstd: boolean
  /** Small contents that come inline share large files. */
  readonly segments: boolean
  /** It answers while the request is open. */
  readonly duplex: boolean
  /** It takes DELETE. */
  readonly deletes: boolean
  /** It takes VERSION. */
  readonly packages: boolean
  /** It takes users, roles and permissions. */
  readonly permissions: boolean
  /** It takes `dryRun` in `open` and BEGIN. */
  readonly plans: boolean
  /** It reads stored bytes again when it is asked to. */
  readonly checks: boolean
  /** It takes `earlierRuns` in BEGIN. */
  readonly earlierRuns: boolean
  /** It takes streams as blocks with sums, and answers so. */
  readonly sealed: boolean
}
export interface SyncLimits {
  /** Of one frame without its inline content. */
  readonly frameBytes: number
  /** Of the inline content of one ENTRY. */
  readonly inlineMaxBytes: number
  readonly partSizeBytes: number
  /** Items that are written in one transaction at most. */
  readonly batchItems: number
  /** Of one `POST /blobs/missing`. */
  readonly missingDigests: number
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
  /** Of the source: a target that does not speak it refuses. */
  readonly protocol: number
  readonly sourceId: string
  readonly repository: RepositoryWanted
  readonly scope: readonly PathRange[]
  /** Where the target's change log stood when only this link had written in the scope; null: no cursor. */
  readonly known: LogPosition | null
  /** Nothing is made: the answer says what would be. */
  readonly dryRun?: boolean
}
/** A place in the target's change log. `mark` tells the row there: a log that was put back and grew again has another one. */
export interface LogPosition {
  readonly epoch: string
  readonly seq: number
  readonly mark: string
}
export interface OpenAnswer {
  /** As `GET /hello` answers. */
  readonly hello: HelloAnswer
  /** Where the log ends. */
  readonly head: LogPosition
  /** Nobody but this link changed the scope since `known`. False without `known`. */
  readonly pure: boolean
  /** Of a `dryRun` about a repository that is not there: what would be made. Epoch and mark of `head` are empty then. */
  readonly creates?: RepositoryCreation | undefined
}
export interface RepositoryCreation {
  readonly project: boolean
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

/** What was found out about stored bytes that were to be read again: of the first `done` digests which are wrong, and bytes read. */
export interface CheckAnswer {
  readonly done: number
  readonly wrong: readonly { readonly at: number; readonly fault: 'DAMAGED' | 'MISSING' }[]
  readonly bytes: number
}
