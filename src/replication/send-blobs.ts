import { buffer } from 'node:stream/consumers'
import { mapConcurrent } from '../core/concurrency.ts'
import { type Digest, digestHex } from '../core/digest.ts'
import { hasCode, messageOf } from '../core/errors.ts'
import { type ClusterClient, type PackItem, packedBytes } from '../remotes/cluster/cluster-client.ts'
import type { UploadAnswer } from '../remotes/cluster/messages.ts'
import { RemoteRefusal } from '../remotes/transport/failures.ts'
import type { BlobStore } from '../storage/blob-store.ts'

export interface WantedBlob {
  readonly digest: Digest
  readonly sizeBytes: number
}
export interface BlobFailure {
  readonly reason: string
  readonly retryable: boolean
}
/** Hears of what goes out. */
export interface TransferProgress {
  /** Bytes handed to the connection. */
  sent(count: number): void
  /** A blob, or a part of one, is durable at the target: an outage before it is over. */
  stored(): void
}
export interface BlobSender {
  /**
   * Sends blobs the target lacks: small ones packed, large ones in resumable parts, several at a time. Blobs that arrived are
   * durable there, also when a later one breaks the connection.
   * @returns those that failed, with the answer that says why. @throws LinkDown, NotOurProtocol.
   */
  send(blobs: readonly WantedBlob[], progress: TransferProgress, signal: AbortSignal): Promise<Map<Digest, BlobFailure>>
}
export interface SendLimits {
  readonly inlineMaxBytes: number
  readonly partThresholdBytes: number
  readonly concurrency: number
}

const PACK_BYTES = 4 * 1024 * 1024
/** Of one large blob: two saturate two cores, more only help over a long line (sync.md 2.2). */
const PARTS_AT_ONCE = 2
/** Contract codes of an upload that is unknown, or lost a part: somebody else completed or dropped it. */
const UPLOAD_GONE: readonly number[] = [251201, 251212]
const MAX_UPLOADS = 5

export function createBlobSender(client: ClusterClient, store: BlobStore, limits: SendLimits): BlobSender {
  async function sendPack(blobs: readonly WantedBlob[], progress: TransferProgress, signal: AbortSignal) {
    const items: PackItem[] = []
    for (const { digest } of blobs) {
      items.push({ digest, bytes: await buffer(await store.open(digest, undefined, signal)) })
    }
    const { broken } = await client.putPack(items, signal)
    progress.sent(items.reduce((sum, { bytes }) => sum + bytes.length, 0))
    progress.stored()
    return broken
  }

  async function sendOne({ digest, sizeBytes }: WantedBlob, progress: TransferProgress, signal: AbortSignal) {
    const body = await store.open(digest, undefined, signal)
    body.on('data', (chunk: Buffer) => progress.sent(chunk.length))
    await client.putBlob(digest, sizeBytes, body, signal)
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
    const { partSizeBytes } = upload
    const have = new Set(upload.have)
    const parts = Array.from({ length: Math.ceil(sizeBytes / partSizeBytes) }, (_, part) => part)
    await mapConcurrent(
      parts.filter((part) => !have.has(part)),
      PARTS_AT_ONCE,
      async (part, partSignal) => {
        const range = { start: part * partSizeBytes, end: Math.min((part + 1) * partSizeBytes, sizeBytes) }
        const body = await store.open(digest, range, partSignal)
        body.on('data', (chunk: Buffer) => progress.sent(chunk.length))
        await client.putPart(upload.uploadId, part, range.end - range.start, body, partSignal)
        progress.stored()
      },
      signal,
    )
  }

  async function send(blobs: readonly WantedBlob[], progress: TransferProgress, signal: AbortSignal) {
    const failures = new Map<Digest, BlobFailure>()
    const note = (failed: readonly WantedBlob[], error: unknown) => {
      const failure = asFailure(error)
      for (const { digest } of failed) failures.set(digest, failure)
    }
    const small = blobs.filter(({ sizeBytes }) => sizeBytes <= limits.inlineMaxBytes)
    const packs = intoPacks(small).map((pack) => async (stop: AbortSignal) => {
      try {
        const broken = new Set(await sendPack(pack, progress, stop))
        const lost = pack.filter(({ digest }) => broken.has(digestHex(digest)))
        note(lost, new RemoteRefusal('the bytes that arrived do not hash to the digest (250311)', 400, 250311))
      } catch (error) {
        note(pack, error)
      }
    })
    const singles = blobs
      .filter(({ sizeBytes }) => sizeBytes > limits.inlineMaxBytes)
      .map((blob) => async (stop: AbortSignal) => {
        const way = blob.sizeBytes > limits.partThresholdBytes ? sendParts : sendOne
        try {
          await way(blob, progress, stop)
        } catch (error) {
          note([blob], error)
        }
      })
    await mapConcurrent([...packs, ...singles], limits.concurrency, (work, stop) => work(stop), signal)
    return failures
  }
  return { send }
}

function intoPacks(blobs: readonly WantedBlob[]): WantedBlob[][] {
  const packs: WantedBlob[][] = []
  let room = 0
  for (const blob of blobs) {
    const bytes = packedBytes(blob.sizeBytes)
    if (bytes > room || packs.length === 0) {
      packs.push([])
      room = PACK_BYTES
    }
    packs.at(-1)!.push(blob)
    room -= bytes
  }
  return packs
}

/** An answer about these bytes becomes their failure; everything else is no fault of theirs and goes up. */
function asFailure(error: unknown): BlobFailure {
  if (error instanceof RemoteRefusal) return { reason: messageOf(error), retryable: error.retryable }
  if (hasCode(error, 'BLOB_UNKNOWN')) {
    return {
      reason: 'its content is missing at the source: run a scrub of the source, or upload it again',
      retryable: false,
    }
  }
  throw error
}
