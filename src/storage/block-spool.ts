import type { Readable } from 'node:stream'
import type { ReceiveOptions } from './blob-store.ts'
import type { ContentDigests } from './content-hashes.ts'

export type ReceivedBlock = ContentDigests & { readonly sizeBytes: number }

/**
 * Blocks of uploads whose size nobody knows before they are complete (core.md 11.4, 11.5); they survive a restart. Unlike the
 * parts of `UploadSpool` they have any size and no fixed place in the whole. A block never changes: what is sent again is another
 * block, and which of them count is written elsewhere (`block_part`). So any number of processes may share one spool.
 * Checked by `block-spool.contract.ts`.
 */
export interface BlockSpool {
  /**
   * Takes in a block, durable when it resolves; nothing is left when it fails. The source is paused then, not destroyed.
   * `uploadId` and `name`: 1 to 64 letters, digits, `-`, `_`; nobody gives one name twice.
   * @throws as `BlobStore.receive`.
   */
  put(
    uploadId: string,
    name: string,
    source: Readable,
    options: ReceiveOptions,
    signal: AbortSignal,
  ): Promise<ReceivedBlock>
  /**
   * The bytes of blocks, one block after another and only one of them open. The caller consumes or destroys the stream; it fails
   * with UPLOAD_INCONSISTENT when a block is not there.
   */
  open(uploadId: string, names: readonly string[], signal: AbortSignal): Readable
  /** Missing is fine. */
  remove(uploadId: string, name: string): Promise<void>
  /** With all its blocks. Missing is fine; a block that comes meanwhile may bring it back. */
  removeUpload(uploadId: string): Promise<void>
  /** Ids of all uploads that have something here, ascending. */
  list(signal: AbortSignal): AsyncIterable<string>
}
