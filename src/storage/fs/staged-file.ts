import type { StagedBlob } from '../blob-store.ts'
import type { BlobPlaces } from './blob-places.ts'
import type { ReceivedContent } from './incoming-file.ts'

export interface FinishedFile extends ReceivedContent {
  /** Complete and synced. */
  readonly path: string
  remove(): Promise<void>
}

/** A finished file as a blob that can be published. */
export function stagedFile(
  places: BlobPlaces,
  { path, digest, sizeBytes, md5, crc64, remove }: FinishedFile,
): StagedBlob {
  return {
    digest,
    sizeBytes,
    md5,
    crc64,
    async publish(signal) {
      signal.throwIfAborted()
      await places.publish(path, digest)
    },
    [Symbol.asyncDispose]: remove,
  }
}
