import type { Readable } from 'node:stream'
import type { BlobIntake } from '../../artifacts/blobs/blob-intake.ts'
import { type Digest, digestHex } from '../../core/digest.ts'
import { AppError } from '../../core/errors.ts'
import type { Metrics } from '../../core/metrics.ts'
import { tellingOfStorage } from '../../core/storage-trouble.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { knownBlobs } from '../../metadata/storage/blobs.ts'
import type { BlobStore, StagedBlob } from '../../storage/blob-store.ts'

/** Blobs of other clusters. Nothing is kept that does not hash to its digest; what is kept is safe for the collection's grace time. */
export interface BlobReceiver {
  /** @throws AppError ARTIFACT_BROKEN. */
  put(digest: Digest, body: Readable, sizeBytes: number | undefined, signal: AbortSignal): Promise<void>
}

interface BlobReceiverDeps {
  readonly db: MetadataDatabase
  readonly store: BlobStore
  readonly intake: BlobIntake
  readonly metrics: Pick<Metrics, 'syncReceivedBytes' | 'syncRedundantBytes'>
}

export function createBlobReceiver({ db, store, intake, metrics }: BlobReceiverDeps): BlobReceiver {
  async function keep(staged: readonly StagedBlob[], signal: AbortSignal): Promise<void> {
    await intake.prepare(staged, signal)
    await db.transact((trx) => intake.claim(trx, staged, signal))
  }

  return {
    async put(digest, body, sizeBytes, signal) {
      const wasHere = (await knownBlobs(db.read, [digest])).has(digest)
      await tellingOfStorage(async () => {
        await using blob = await store.receive(body, { sizeBytes, onBytes: metrics.syncReceivedBytes }, signal)
        if (blob.digest !== digest) throw notItsDigest(digest)
        await keep([blob], signal)
        if (wasHere) metrics.syncRedundantBytes(blob.sizeBytes)
      })
    },
  }
}

export const notItsDigest = (digest: Digest): AppError =>
  new AppError('ARTIFACT_BROKEN', `replica artifact [${digestHex(digest)}] broken: the bytes do not hash to it`, {})
