import type { Digest } from '../../core/digest.ts'
import type { StagedBlob } from '../blob-store.ts'
import type { BlobPlaces } from './blob-places.ts'

export interface FinishedFile {
  /** Complete and synced. */
  readonly path: string
  readonly digest: Digest
  readonly sizeBytes: number
  readonly md5: string | undefined
  remove(): Promise<void>
}

/** A finished file as a blob that can be published. */
export function stagedFile(places: BlobPlaces, { path, digest, sizeBytes, md5, remove }: FinishedFile): StagedBlob {
  return {
    digest,
    sizeBytes,
    md5,
    async publish(signal) {
      signal.throwIfAborted()
      await places.publish(path, digest)
    },
    [Symbol.asyncDispose]: remove,
  }
}
