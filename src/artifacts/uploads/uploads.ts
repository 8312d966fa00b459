import type { Readable } from 'node:stream'
import { AppError, messageOf } from '../../core/errors.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import { checkRoom } from '../repositories/quotas.ts'
import { checkUpload, type FilePlacement, type FileUpload, hashesFor, verifyDigests } from './file-placement.ts'
import type { GroupedUploads } from './grouped-uploads.ts'
import { createSmallBodies } from './small-bodies.ts'

export type { FileUpload } from './file-placement.ts'

export interface Uploads {
  /**
   * Checks that the file is welcome, only then opens the body, takes it in, and makes it visible once it is durable. A small body
   * that comes anyway (`FileUpload.sending`) is taken in first and checked together with others. Nothing is left behind when it
   * fails or the signal aborts before that.
   * @throws AppError NODE_EXISTED, NODE_CONFLICT, METADATA_INVALID, QUOTA_EXCEEDED, METHOD_NOT_ALLOWED for a repository that
   * takes no files; RECEIVE_FAILED when the body breaks off; ARTIFACT_BROKEN when a small one is longer or shorter than announced;
   * DIGEST_MISMATCH; QUOTA_EXCEEDED of a size that nobody announced; NODE_EXISTED, NODE_CONFLICT and QUOTA_EXCEEDED when somebody
   * else was quicker.
   */
  upload(
    repository: Repository,
    file: FileUpload,
    openBody: () => Readable,
    by: string,
    signal: AbortSignal,
  ): Promise<NodeRecord>
}

interface UploadDeps {
  readonly db: Pick<MetadataDatabase, 'read'>
  readonly blobs: BlobStore
  readonly placement: FilePlacement
  /** For files whose announced size is small (`SMALL_BYTES`). */
  readonly grouped: GroupedUploads
}

export function createUploads({ db, blobs, placement, grouped }: UploadDeps): Uploads {
  const smallBodies = createSmallBodies()
  return {
    async upload(repository, file, openBody, by, signal) {
      checkUpload(repository, file)
      using memory = smallBodies.reserve(file)
      if (memory !== undefined) {
        const body = openBody()
        const content = await unlessCut(body, signal, () => memory.read(body, hashesFor(file), signal))
        return await grouped.place({ repository, file, content, by }, signal)
      }
      const { sizeBytes } = file
      const replacedBytes = await placement.check(repository, file)
      if (sizeBytes !== undefined) await checkRoom(db.read, repository, sizeBytes - replacedBytes)
      const body = openBody()
      await using staged = await unlessCut(body, signal, () => blobs.receive(body, hashesFor(file), signal))
      verifyDigests(file, staged)
      // Once more before its bytes become a blob, which a refusal would leave to the collection of garbage.
      if (sizeBytes === undefined) await checkRoom(db.read, repository, staged.sizeBytes - replacedBytes)
      // Awaited here: the staged bytes must outlive the transaction.
      return await placement.place(repository, file, staged, by, signal)
    },
  }
}

/** A body that breaks off is the sender's failure; anything else that goes wrong while it is read is ours. */
export async function unlessCut<T>(body: Readable, signal: AbortSignal, receive: () => Promise<T>): Promise<T> {
  try {
    return await receive()
  } catch (cause) {
    if (cause instanceof AppError || !(body.errored !== null || signal.aborted)) throw cause
    throw new AppError('RECEIVE_FAILED', `The upload broke off: ${messageOf(cause)}`, {}, { cause })
  }
}
