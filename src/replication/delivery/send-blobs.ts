import { mapConcurrent } from '../../core/concurrency.ts'
import { type Digest, digestHex } from '../../core/digest.ts'
import { hasCode, messageOf } from '../../core/errors.ts'
import type { PullSource } from '../../core/pull-source.ts'
import type { ClusterClient } from '../../remotes/cluster/cluster-client.ts'
import type { UploadAnswer } from '../../remotes/cluster/messages.ts'
import { RemoteRefusal } from '../../remotes/transport/failures.ts'
import type { BlobStore, ByteRange } from '../../storage/blob-store.ts'
import type { RateLimit } from '../limits/rate-limiter.ts'
import type { TransferProgress } from './transfer-progress.ts'

export interface WantedBlob {
  readonly digest: Digest
  readonly sizeBytes: number
}
export interface BlobFailure {
  readonly reason: string
  readonly retryable: boolean
  /** The target asked to be left alone for so long. */
  readonly retryAfterMs?: number | undefined
}
export const MISSING_HERE: BlobFailure = {
  reason: 'its content is missing at the source: run a scrub of the source, or upload it again',
  retryable: false,
}

export interface BlobSender {
  /**
   * Sends blobs that are too large for a frame: in one request each, the largest in resumable parts, several at a time. Blobs that
   * arrived are durable there, also when a later one breaks the connection.
   * @returns those that failed, with the answer that says why. @throws LinkDown, NotOurProtocol.
   */
  send(blobs: readonly WantedBlob[], progress: TransferProgress, signal: AbortSignal): Promise<Map<Digest, BlobFailure>>
}
export interface SendLimits {
  readonly partThresholdBytes: number
  readonly concurrency: number
}

/** Of one large blob: two saturate two cores, more only help over a long line (sync.md 2.2). */
const PARTS_AT_ONCE = 2
/** Contract codes of an upload that is unknown, or lost a part: somebody else completed or dropped it. */
const UPLOAD_GONE: readonly number[] = [251201, 251212]
const MAX_UPLOADS = 5

export function createBlobSender(
  client: ClusterClient,
  store: BlobStore,
  rate: RateLimit,
  limits: SendLimits,
): BlobSender {
  async function open(digest: Digest, range: ByteRange | undefined, progress: TransferProgress, signal: AbortSignal) {
    return paced(await store.pull(digest, range, signal), rate, progress)
  }

  async function sendOne({ digest, sizeBytes }: WantedBlob, progress: TransferProgress, signal: AbortSignal) {
    await client.putBlob(digest, sizeBytes, await open(digest, undefined, progress, signal), signal)
    progress.stored()
  }

  /**
   * The id of an upload is its digest, so another link may be sending the same bytes, and complete them first: then the upload is
   * not open any more, and asking again tells that the blob is there.
   */
  async function sendParts(blob: WantedBlob, progress: TransferProgress, signal: AbortSignal) {
    for (let attempts = 1; ; attempts++) {
      const upload = await client.openUpload({ sha256: digestHex(blob.digest), sizeBytes: blob.sizeBytes }, signal)
      if (upload.complete) return
      try {
        await sendMissing(blob, upload, progress, signal)
        return await client.completeUpload(upload.uploadId, signal)
      } catch (error) {
        const elsewhere = error instanceof RemoteRefusal && UPLOAD_GONE.includes(error.wireCode ?? 0)
        if (!elsewhere || attempts === MAX_UPLOADS) throw error
      }
    }
  }

  async function sendMissing(
    { digest, sizeBytes }: WantedBlob,
    upload: UploadAnswer,
    progress: TransferProgress,
    signal: AbortSignal,
  ) {
    const parts = missingParts(sizeBytes, upload)
    const sendNext = async (_lane: number, laneSignal: AbortSignal) => {
      for (const { part, range } of parts) {
        laneSignal.throwIfAborted()
        const body = await open(digest, range, progress, laneSignal)
        await client.putPart(upload.uploadId, part, range.end - range.start, body, laneSignal)
        progress.stored()
      }
    }
    await mapConcurrent([...Array(PARTS_AT_ONCE).keys()], PARTS_AT_ONCE, sendNext, signal)
  }

  return {
    async send(blobs, progress, signal) {
      const failures = new Map<Digest, BlobFailure>()
      const sendBlob = async (blob: WantedBlob, stop: AbortSignal) => {
        const way = blob.sizeBytes > limits.partThresholdBytes ? sendParts : sendOne
        try {
          await way(blob, progress, stop)
        } catch (error) {
          failures.set(blob.digest, asFailure(error))
        }
      }
      await mapConcurrent(blobs, limits.concurrency, sendBlob, signal)
      return failures
    },
  }
}

/** One at a time: who takes the next says when. */
function* missingParts(sizeBytes: number, { partSizeBytes, have }: UploadAnswer) {
  const there = new Set(have)
  for (let part = 0; part * partSizeBytes < sizeBytes; part++) {
    if (there.has(part)) continue
    yield { part, range: { start: part * partSizeBytes, end: Math.min((part + 1) * partSizeBytes, sizeBytes) } }
  }
}

/** As the limits allow. */
function paced(content: PullSource, rate: RateLimit, progress: TransferProgress): PullSource {
  return {
    async read(into, signal) {
      const length = await content.read(into, signal)
      if (length > 0) await rate.take(length, signal)
      progress.sent(length)
      return length
    },
    [Symbol.asyncDispose]: () => content[Symbol.asyncDispose](),
  }
}

/** An answer about these bytes becomes their failure; everything else is no fault of theirs and goes up. */
function asFailure(error: unknown): BlobFailure {
  if (error instanceof RemoteRefusal) {
    return { reason: messageOf(error), retryable: error.retryable, retryAfterMs: error.retryAfterMs }
  }
  if (hasCode(error, 'BLOB_UNKNOWN')) return MISSING_HERE
  throw error
}
