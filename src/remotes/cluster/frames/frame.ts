import type { Digest } from '../../../core/digest.ts'
import type { Hlc } from '../../../core/hlc.ts'
import type { Lanes } from '../../../core/lanes.ts'
import type { Metadata } from '../../../core/metadata.ts'

/**
 * What travels on the stream of a link, in both directions (docs/design/sync-protocol.md):
 *
 *     frame := u32 length of what follows | u8 type | u8 flags (1 = payload is zstd) | u32 item | payload
 *
 * `item` numbers the artifacts of one stream from 1, ascending; 0 where a frame is about none.
 */
export type Frame = SourceFrame | TargetFrame
export type SourceFrame =
  | BeginFrame
  | EntryFrame
  | DeleteFrame
  | MetadataFrame
  | BarrierFrame
  | VersionFrame
  | ContentFrame
  | PingFrame
  | EndFrame
export type TargetFrame = AckFrame | CreditFrame | PingFrame | FencedFrame | EndFrame | RefusedFrame

/** Type 7. First on every stream; the payload is JSON. */
export interface BeginFrame {
  readonly type: 'begin'
  readonly begin: StreamBegin
}
export interface StreamBegin {
  readonly protocol: number
  readonly sourceId: string
  readonly project: string
  readonly repo: string
  /** Of the target's repository when the run was planned: with another one nothing is written. */
  readonly epoch: string
  /** `<record id>/<shard number>`; a lower fence than the last seen on it is refused. */
  readonly stream: string
  readonly fence: number
  /** Names the run, 48 bits of its record's hash. */
  readonly run: number
  /**
   * Runs of this link that ended without hearing of all that they had sent: what one of them wrote, and is as it comes, is `delivered` with
   * the run's number as reason. At most 1,000.
   */
  readonly earlierRuns?: readonly number[] | undefined
  /** False: user metadata of the target stays as it is, and a difference in metadata alone is none. */
  readonly includeMetadata: boolean
  /** replication.md 3.5. */
  readonly conflictStrategy: 'SKIP' | 'OVERWRITE' | 'FAST_FAIL'
  /** After an artifact that failed, those that follow on the stream are answered `not-tried`. */
  readonly stopAtFailure: boolean
  /** An artifact that was deleted here later than it was written there stays deleted. */
  readonly honourTombstones: boolean
  /** Of a REAL_TIME task: with one of the target in the opposite direction, tombstones are honoured as well. */
  readonly realTime?: boolean | undefined
  /** The repository that is brought, at the source: what comes back to it is told from what goes elsewhere. Both or none. */
  readonly fromProject?: string | undefined
  readonly fromRepo?: string | undefined
  /** Items are judged and acknowledged, and nothing is written. Only where `features.plans` is true. */
  readonly dryRun?: boolean | undefined
}

/** What the sender believes to be at the target: nothing it knows of, no live row, or the row with this id (`rowIdOf`, 8 bytes). */
export type Precondition =
  | { readonly is: 'unknown' }
  | { readonly is: 'absent' }
  | { readonly is: 'row'; readonly id: Buffer }

/** Type 1: a file as the source has it now. */
export interface EntryFrame {
  readonly type: 'entry'
  readonly item: number
  readonly path: string
  readonly digest: Digest
  readonly sizeBytes: number
  readonly md5: string | null
  readonly crc64: string | null
  /** User entries; null: leave the target's as they are. */
  readonly metadata: Metadata | null
  /** Cluster id of the last writer. */
  readonly origin: string
  readonly hlc: Hlc
  /** Cluster ids that the row came through, oldest first. */
  readonly via: readonly string[]
  readonly expiresAt: number | null
  readonly createdBy: string
  readonly createdAt: number
  readonly modifiedBy: string
  readonly modifiedAt: number
  readonly expect: Precondition
  /** The whole content; undefined: the target has it, or it came by another request. */
  readonly content: Buffer | undefined
}

/** Type 2. */
export interface DeleteFrame {
  readonly type: 'delete'
  readonly item: number
  readonly path: string
  readonly origin: string
  readonly hlc: Hlc
  readonly deletedBy: string
  readonly expect: Precondition
}
/** Type 3: new user metadata of a file that stays as it is. */
export interface MetadataFrame {
  readonly type: 'metadata'
  readonly item: number
  readonly path: string
  readonly metadata: Metadata
  readonly origin: string
  readonly hlc: Hlc
  readonly modifiedBy: string
  readonly modifiedAt: number
  readonly expect: Precondition
}
/** Type 4: acknowledge all that came before; `seq` of the source's change log is reached with it. */
export interface BarrierFrame {
  readonly type: 'barrier'
  readonly seq: number
}
/**
 * Type 5: a version with all its files, whose contents are at the target or were sent before. With an empty `version`: only what is said
 * about the package.
 */
export interface VersionFrame {
  readonly type: 'version'
  readonly item: number
  readonly packageKey: string
  readonly version: string
  /** Cluster id of the last writer, of the package where no version is named. */
  readonly origin: string
  readonly hlc: Hlc
  readonly document: VersionDocument
  readonly expect: Precondition
}
/** JSON in the frame; fields that are not known are ignored. Times are UTC epoch milliseconds. */
export interface VersionDocument {
  /** Leaves first: a file never refers to a later one. */
  readonly files: readonly VersionFileEntry[]
  readonly manifestPath: string | null
  /** User entries; null: leave the target's, and its tags, as they are. */
  readonly metadata: Metadata | null
  readonly tags: readonly string[]
  readonly stageTags: readonly string[]
  /** The format's own document. */
  readonly extension: Readonly<Record<string, unknown>>
  readonly written: Authors
  readonly package: PackageWords
}
export interface Authors {
  readonly createdBy: string
  readonly createdAt: number
  readonly modifiedBy: string
  readonly modifiedAt: number
}
export interface VersionFileEntry extends Authors {
  readonly path: string
  /** `main`, or a word of the format. */
  readonly role: string
  readonly digest: Digest
  readonly sizeBytes: number
  readonly md5: string | null
  readonly crc64: string | null
  /** User entries; null: leave the target's as they are. */
  readonly metadata: Metadata | null
  /** Cluster id of the last writer. */
  readonly origin: string
  readonly hlc: Hlc
  readonly expiresAt: number | null
}
/** What is said about the package of a version. */
export interface PackageWords extends Authors {
  readonly description: string | null
  /** Tag → version; the target takes those whose version it has. */
  readonly versionTag: Readonly<Record<string, string>>
  readonly extension: Readonly<Record<string, unknown>>
  readonly origin: string
  readonly hlc: Hlc
}
/** Type 14: a content for a VERSION that follows, on this stream or on another. Acknowledged when it is durable. */
export interface ContentFrame {
  readonly type: 'content'
  readonly item: number
  readonly digest: Digest
  readonly content: Buffer
}
/** Type 10. Answered with one of the same token. */
export interface PingFrame {
  readonly type: 'ping'
  readonly token: number
}
/** Type 12: nothing follows. */
export interface EndFrame {
  readonly type: 'end'
}

/** Type 8: all items up to `hi` are settled, durably and visibly; those not in `exceptions` were written. */
export interface AckFrame {
  readonly type: 'ack'
  readonly hi: number
  /** `seq` of the last barrier; 0: none. */
  readonly seq: number
  readonly exceptions: readonly ItemException[]
}
/**
 * `unchanged` equal already · `replaced` written, in place of content of somebody else (a conflict) · `delivered`, `delivered-replaced` equal,
 * because this very run wrote it before it was interrupted · `kept` a conflict, left as it is (SKIP) · `conflict` refused by
 * FAST_FAIL · `superseded` the target deleted or changed it later · `changed` the precondition does not hold · `no-blob` the bytes are not here ·
 * `refused` never, for `reason` · `retry` not now, for `reason` · `not-tried` an earlier one failed.
 */
export type ItemResult =
  | 'written'
  | 'unchanged'
  | 'replaced'
  | 'delivered'
  | 'delivered-replaced'
  | 'kept'
  | 'conflict'
  | 'superseded'
  | 'changed'
  | 'no-blob'
  | 'refused'
  | 'retry'
  | 'not-tried'
export interface ItemException {
  readonly item: number
  readonly result: Exclude<ItemResult, 'written'>
  /** Empty where the result says it all. */
  readonly reason: string
  /** What stands at the target, with `kept`, `conflict`, `superseded` and `changed`; null: no live file. */
  readonly remote: RemoteRow | null
}
/** Lanes of the target's row: the ledger adds them to its sums. */
export interface RemoteRow {
  readonly content: Lanes
  readonly metadata: Lanes
}
/** Type 9: so many more bytes of frames may be sent. */
export interface CreditFrame {
  readonly type: 'credit'
  readonly bytes: number
}
/** Type 11: a higher fence was here; nothing more of this stream is written. */
export interface FencedFrame {
  readonly type: 'fenced'
  readonly fence: number
}
/** Type 13: the stream as a whole is refused, for good or for now. `code` of the contract's error codes. */
export interface RefusedFrame {
  readonly type: 'refused'
  readonly code: number
  readonly status: number
  readonly reason: string
}
