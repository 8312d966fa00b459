import type { Readable } from 'node:stream'
import type { Digest } from '../core/digest.ts'
import type { PullSource } from '../core/pull-source.ts'
import type { HashOptions } from './content-hashes.ts'
import type { SegmentRef } from './segments/segment-index.ts'

export interface BlobStat {
  readonly digest: Digest
  readonly sizeBytes: number
}

/** Half-open range of bytes, offsets from 0; `end` missing means to the end. */
export interface ByteRange {
  readonly start: number
  readonly end?: number
}

/** Bytes that were taken in, hashed in the same pass and made durable, but that nobody can see yet. */
export interface StagedBlob extends AsyncDisposable {
  readonly digest: Digest
  readonly sizeBytes: number
  /** Hex; only when asked for. */
  readonly md5: string | undefined
  /** Unsigned decimal (`core/crc64.ts`); only when asked for. */
  readonly crc64: string | undefined
  /**
   * Makes the bytes readable under their digest, durably, in place of what lies there. Idempotent, also after the blob was deleted
   * in between: it may be called again until the staged bytes are disposed.
   */
  publish(signal: AbortSignal): Promise<void>
  /** Drops the staged copy; a published blob stays. */
  [Symbol.asyncDispose](): Promise<void>
}

/** Whole content of a small blob. */
export interface SmallContent {
  readonly digest: Digest
  readonly bytes: Buffer
}

/** Where a packed blob lies. */
export interface PackPlace extends SegmentRef {
  /** Of its first byte, from 0. */
  readonly offset: number
}

export interface ReceiveOptions extends HashOptions {
  /** Refused with ARTIFACT_BROKEN when the source ends before or after it. */
  readonly sizeBytes?: number | undefined
  /** Called for every chunk, with its length; for progress and metrics. */
  readonly onBytes?: ((count: number) => void) | undefined
}

/**
 * Content-addressed bytes: same digest, same bytes, forever. A blob has a file of its own, or lies in a segment with others.
 * Adapters promise: nothing is visible before `publish` resolves; a failed or aborted `receive` leaves nothing behind;
 * read-after-write holds; what was staged when the process died is gone after the next start; a stream that is open goes on
 * when its blob is deleted.
 * Whether a blob may be deleted is not theirs to know: see `artifacts/blobs/garbage-collection.ts`.
 * Checked by `blob-store.contract.ts` for every adapter.
 */
export interface BlobStore {
  readonly capabilities: { readonly presignedUrl: boolean }
  /**
   * Takes in bytes whose digest is not known yet: one pass, never a second read, never in memory as a whole. When it fails, the
   * source is paused, not destroyed: the caller may have to answer on the same connection.
   * @throws AppError ARTIFACT_BROKEN; RECEIVE_FAILED when the source closed before its end; the source's own error.
   */
  receive(source: Readable, options: ReceiveOptions, signal: AbortSignal): Promise<StagedBlob>
  /**
   * Appends small contents to a segment; durable when it resolves, and readable once their rows name these places. The caller has
   * hashed them. Calls at the same time share one sync. Not to be called inside a transaction.
   * @returns places, in the order of the contents.
   */
  putMany(contents: readonly SmallContent[], signal: AbortSignal): Promise<PackPlace[]>
  /** The index takes no blobs there any more: `putMany` appends no more to it, should it be open here. */
  leaveSegment(segment: SegmentRef): void
  /** Whole contents of small blobs, wherever they lie, in few reads. Those that are not in the store as they should be are left out. */
  readMany(blobs: readonly BlobStat[], signal: AbortSignal): Promise<Map<Digest, Buffer>>
  /** Opens bytes of a blob. The caller consumes or destroys the stream. @throws AppError BLOB_UNKNOWN. */
  open(digest: Digest, range: ByteRange | undefined, signal: AbortSignal): Promise<Readable>
  /** The same, for whoever brings memory of his own. The caller disposes it. @throws AppError BLOB_UNKNOWN. */
  pull(digest: Digest, range: ByteRange | undefined, signal: AbortSignal): Promise<PullSource>
  find(digest: Digest, signal: AbortSignal): Promise<BlobStat | undefined>
  /** All blobs that have a file of their own, ascending by digest, one page in memory at a time. Packed ones are known to rows only. */
  list(signal: AbortSignal): AsyncIterable<BlobStat>
  /** Of a blob's own file; a packed blob goes with its row. Missing is fine: deleting twice equals deleting once. */
  delete(digest: Digest, signal: AbortSignal): Promise<void>
  /**
   * Takes the bytes of a blob away from readers and keeps them for whoever wants to look. Of a packed blob, whose row was withdrawn
   * before, a copy is kept. Missing is fine.
   */
  quarantine(digest: Digest, signal: AbortSignal): Promise<void>
  /** The segments of all owners, as they lie about. */
  listSegments(signal: AbortSignal): AsyncIterable<StoredSegment>
  /** Removes a segment that no row names. Missing is fine; open streams go on. */
  removeSegment(segment: SegmentRef): Promise<void>
}

export interface StoredSegment extends SegmentRef {
  readonly sizeBytes: number
}
