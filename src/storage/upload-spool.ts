import type { Readable } from 'node:stream'
import type { StagedBlob } from './blob-store.ts'

/** What arrived of one resumable upload. */
export interface PartStat {
  /** From 0. */
  readonly part: number
  readonly sizeBytes: number
}

/**
 * Numbered parts of large uploads, which survive a restart of the process (sync.md B.5).
 * A part is all or nothing: it is listed once its bytes are durable, and not before. Sending a part again replaces it; the same
 * bytes again change nothing. Two requests for one part at once work one after another: the last one wins, never a mix.
 * All parts have `partSizeBytes` but the last; they may arrive in any order and in parallel.
 */
export interface UploadSpool {
  /** Idempotent: opening an upload that exists keeps its parts. */
  create(uploadId: string, layout: UploadLayout, signal: AbortSignal): Promise<void>
  /** @throws AppError UPLOAD_UNKNOWN; ARTIFACT_BROKEN when the source is shorter or longer than the part. */
  putPart(
    uploadId: string,
    part: number,
    source: Readable,
    onBytes: (count: number) => void,
    signal: AbortSignal,
  ): Promise<void>
  /** Ascending by number. @throws AppError UPLOAD_UNKNOWN. */
  listParts(uploadId: string, signal: AbortSignal): Promise<PartStat[]>
  /**
   * Hashes the whole (the contiguous prefix was hashed while it arrived) and hands it over as a staged blob; the upload is gone
   * once that is disposed. @throws AppError UPLOAD_UNKNOWN, UPLOAD_INCOMPLETE naming the first missing part.
   */
  complete(uploadId: string, signal: AbortSignal): Promise<StagedBlob>
  /** Missing is fine. */
  abort(uploadId: string): Promise<void>
  /** Ids of all uploads that are open. */
  list(signal: AbortSignal): AsyncIterable<string>
}

export interface UploadLayout {
  readonly sizeBytes: number
  readonly partSizeBytes: number
}
