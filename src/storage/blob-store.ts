import type { Readable } from 'node:stream'
import type { Digest } from '../core/digest.ts'
import type { HashOptions } from './content-hashes.ts'

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

export interface ReceiveOptions extends HashOptions {
  /** Refused with ARTIFACT_BROKEN when the source ends before or after it. */
  readonly sizeBytes?: number | undefined
  /** Called for every chunk, with its length; for progress and metrics. */
  readonly onBytes?: ((count: number) => void) | undefined
}

/**
 * Content-addressed bytes: same digest, same bytes, forever.
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
  /** Opens bytes of a blob. The caller consumes or destroys the stream. @throws AppError BLOB_UNKNOWN. */
  open(digest: Digest, range: ByteRange | undefined, signal: AbortSignal): Promise<Readable>
  find(digest: Digest, signal: AbortSignal): Promise<BlobStat | undefined>
  /** All blobs, ascending by digest, one page in memory at a time. */
  list(signal: AbortSignal): AsyncIterable<BlobStat>
  /** Missing is fine: deleting twice equals deleting once. */
  delete(digest: Digest, signal: AbortSignal): Promise<void>
  /** Takes the bytes of a blob away from readers and keeps them for whoever wants to look. Missing is fine. */
  quarantine(digest: Digest, signal: AbortSignal): Promise<void>
}
