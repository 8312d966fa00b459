import type { Readable } from 'node:stream'
import type { BlobIntake } from '../../artifacts/blobs/blob-intake.ts'
import type { Clock } from '../../core/clock.ts'
import { type Digest, digestHex } from '../../core/digest.ts'
import { hasCode, invalid } from '../../core/errors.ts'
import type { Metrics } from '../../core/metrics.ts'
import { storageTrouble, tellingOfStorage } from '../../core/storage-trouble.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { knownBlobs, touchBlobs } from '../../metadata/storage/blobs.ts'
import { deleteUpload, expiredUploads, findUpload, keepUpload } from '../../metadata/storage/uploads.ts'
import type { UploadAnswer } from '../../remotes/cluster/messages.ts'
import type { UploadSpool } from '../../storage/upload-spool.ts'
import { notItsDigest } from './receive-blobs.ts'

/** Large blobs of other clusters, in parts that survive a restart of either side. The id of an upload is its blob's digest. */
export interface UploadReceiver {
  /** Finds the upload, or begins it; the parts that are durable need not be sent. @throws AppError PARAMETER_INVALID over 5 TiB. */
  open(digest: Digest, sizeBytes: number, signal: AbortSignal): Promise<UploadAnswer>
  /** @throws AppError UPLOAD_UNKNOWN, ARTIFACT_BROKEN. */
  putPart(digest: Digest, part: number, body: Readable, signal: AbortSignal): Promise<void>
  /** @throws AppError UPLOAD_UNKNOWN, UPLOAD_INCOMPLETE; ARTIFACT_BROKEN when the whole is not what was announced: it is dropped. */
  complete(digest: Digest, signal: AbortSignal): Promise<void>
  /** Drops uploads that nobody asked for since their time ended. @returns how many. */
  sweep(signal: AbortSignal): Promise<number>
}

interface UploadReceiverDeps {
  readonly db: MetadataDatabase
  readonly spool: UploadSpool
  readonly intake: BlobIntake
  readonly clock: Clock
  readonly metrics: Pick<Metrics, 'syncReceivedBytes' | 'syncRedundantBytes'>
  readonly partSizeBytes: number
}

/** An upload that is not asked for during this time is given up. */
const KEPT_MS = 24 * 60 * 60_000
const SWEPT_AT_ONCE = 100
/** What object stores take as one object, and file systems as one file. */
export const MAX_UPLOAD_BYTES = 5 * 1024 ** 4

export function createUploadReceiver(deps: UploadReceiverDeps): UploadReceiver {
  const { db, spool, intake, clock, metrics, partSizeBytes } = deps

  async function drop(uploadId: string): Promise<void> {
    await spool.abort(uploadId)
    await db.transact((trx) => deleteUpload(trx, uploadId))
  }

  return {
    async open(digest, sizeBytes, signal) {
      if (sizeBytes > MAX_UPLOAD_BYTES) throw invalid('sizeBytes', `it is more than ${MAX_UPLOAD_BYTES}`)
      const uploadId = digestHex(digest)
      const here = await db.transact((trx) => touchBlobs(trx, [digest], clock.now()))
      const known = await findUpload(db.read, uploadId)
      // Somebody announced the same digest with another size: one of the two lied, and the bytes will tell.
      if (known !== undefined && known.sizeBytes !== sizeBytes) await drop(uploadId)
      const layout = { sizeBytes, partSizeBytes: known?.sizeBytes === sizeBytes ? known.partSizeBytes : partSizeBytes }
      const answer = { uploadId, partSizeBytes: layout.partSizeBytes }
      if (here.has(digest)) return { ...answer, have: [], complete: true }
      const now = clock.now()
      await db.transact((trx) => keepUpload(trx, { uploadId, digest, ...layout }, now, now + KEPT_MS))
      try {
        await tellingOfStorage(() => spool.create(uploadId, layout, signal))
      } catch (error) {
        // Parts that came before stay.
        if (known?.sizeBytes !== sizeBytes) await drop(uploadId)
        throw error
      }
      const have = (await spool.listParts(uploadId, signal)).map(({ part }) => part)
      return { ...answer, have, complete: false }
    },
    async putPart(digest, part, body, signal) {
      const uploadId = digestHex(digest)
      const wasHere = (await spool.listParts(uploadId, signal)).some((done) => done.part === part)
      const onBytes = (count: number) => {
        metrics.syncReceivedBytes(count)
        if (wasHere) metrics.syncRedundantBytes(count)
      }
      await tellingOfStorage(() => spool.putPart(uploadId, part, body, onBytes, signal))
    },
    async complete(digest, signal) {
      const uploadId = digestHex(digest)
      try {
        await using whole = await spool.complete(uploadId, signal)
        if (whole.digest === digest) {
          // The source may be gone by now: giving up would drop bytes that are whole and right.
          const unhurried = new AbortController().signal
          await intake.prepare([whole], unhurried)
          await db.transact(async (trx) => {
            await intake.claim(trx, [whole], unhurried)
            await deleteUpload(trx, uploadId)
          })
          return
        }
      } catch (error) {
        // The same call came twice, and the other one was first.
        if (hasCode(error, 'UPLOAD_UNKNOWN') && (await knownBlobs(db.read, [digest])).has(digest)) return
        throw storageTrouble(error) ?? error
      }
      await drop(uploadId)
      throw notItsDigest(digest)
    },
    async sweep(signal) {
      let swept = 0
      for (;;) {
        const expired = await expiredUploads(db.read, clock.now(), SWEPT_AT_ONCE)
        if (expired.length === 0) return swept
        for (const uploadId of expired) {
          signal.throwIfAborted()
          await drop(uploadId)
          swept++
        }
      }
    },
  }
}
