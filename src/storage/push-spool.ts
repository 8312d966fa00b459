import type { Readable } from 'node:stream'
import type { StagedBlob } from './blob-store.ts'

/** Also computed while bytes come; sha256 always is. */
export type PushHash = 'sha512'

export interface PushChunk {
  /** `begun`: refused with UPLOAD_UNKNOWN when the push is not there any more. */
  readonly to?: 'begun' | undefined
  /** Offset of its first byte; undefined: wherever the push ends. */
  readonly start?: number | undefined
  /** As the sender announces it. */
  readonly sizeBytes?: number | undefined
  readonly withHash?: PushHash | undefined
}

/**
 * Growing files: uploads that come from their first byte to their last, in chunks of any size, whose length nobody knows before
 * they are complete (OCI distribution specification, "Pushing a blob in chunks"). They survive a restart of the process.
 * One request works on a push at a time, also when several processes share the spool; another one is refused, so bytes never mix.
 * Checked by `push-spool.contract.ts`.
 */
export interface PushSpool {
  /** Bytes that have come; undefined: there is no such push. */
  length(pushId: string, signal: AbortSignal): Promise<number | undefined>
  /**
   * Appends, durable when it resolves; begins the push when there is none. A source that breaks off leaves what came of it, one of
   * another length than announced leaves nothing. A failing disk ends the push. The source is paused on failure, not destroyed.
   * `pushId`: 1 to 128 letters, digits, `-`, `_`. @returns its length.
   * @throws AppError RANGE_INVALID, `detail.length` telling where the push ends; UPLOAD_INCONSISTENT, retryable, while another
   * request works on it; UPLOAD_UNKNOWN when it was completed, or is not there (`to`); ARTIFACT_BROKEN; RECEIVE_FAILED; the source's own error.
   */
  append(pushId: string, chunk: PushChunk, source: Readable, signal: AbortSignal): Promise<number>
  /**
   * Hands the whole over; until it is disposed or given back nobody else works on it. A push whose content was published before the
   * process died can be completed again. @throws AppError UPLOAD_UNKNOWN, UPLOAD_INCONSISTENT.
   */
  complete(pushId: string, withHash: PushHash | undefined, signal: AbortSignal): Promise<CompletedPush>
  /** Ends the push; an `append` at work on it fails with UPLOAD_UNKNOWN. Missing is fine. @throws AppError UPLOAD_INCONSISTENT while it is completed. */
  cancel(pushId: string): Promise<void>
  /** All that are there. */
  list(signal: AbortSignal): AsyncIterable<PushStat>
}

export interface PushStat {
  readonly pushId: string
  /** When bytes came last, UTC epoch ms. */
  readonly changedAt: number
}

/** Disposing it ends the push. */
export interface CompletedPush extends StagedBlob {
  /** 128 lower-case hex digits; only when asked for. */
  readonly sha512: string | undefined
  /** Whole content. For small ones. */
  read(): Promise<Buffer>
  /** The push goes on, instead of being disposed; once it was published, it can be completed again and takes no bytes. */
  giveBack(): Promise<void>
}
