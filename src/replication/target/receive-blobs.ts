import { Readable } from 'node:stream'
import type { BlobIntake } from '../../artifacts/blobs/blob-intake.ts'
import { mapConcurrent } from '../../core/concurrency.ts'
import { type Digest, digestHex } from '../../core/digest.ts'
import { AppError } from '../../core/errors.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type { PackAnswer } from '../../remotes/cluster/messages.ts'
import { readPack } from '../../remotes/cluster/pack.ts'
import type { BlobStore, StagedBlob } from '../../storage/blob-store.ts'

/** Blobs of other clusters. Nothing is kept that does not hash to its digest; what is kept is safe for the collection's grace time. */
export interface BlobReceiver {
  /** @throws AppError ARTIFACT_BROKEN when the body is no pack. */
  putPack(body: Readable, signal: AbortSignal): Promise<PackAnswer>
  /** @throws AppError ARTIFACT_BROKEN. */
  put(digest: Digest, body: Readable, sizeBytes: number | undefined, signal: AbortSignal): Promise<void>
}

interface BlobReceiverDeps {
  readonly db: MetadataDatabase
  readonly store: BlobStore
  readonly intake: BlobIntake
  /** Of one blob in a pack. */
  readonly inlineMaxBytes: number
}

const STAGED_AT_ONCE = 16

export function createBlobReceiver({ db, store, intake, inlineMaxBytes }: BlobReceiverDeps): BlobReceiver {
  async function keep(staged: readonly StagedBlob[], signal: AbortSignal): Promise<void> {
    await intake.prepare(staged, signal)
    await db.transact((trx) => intake.claim(trx, staged, signal))
  }

  return {
    async putPack(body, signal) {
      await using all = new AsyncDisposableStack()
      const broken: Digest[] = []
      const staged: StagedBlob[] = []
      const stageAll = async (items: readonly { digest: Digest; bytes: Buffer }[]) => {
        await mapConcurrent(
          items,
          STAGED_AT_ONCE,
          async ({ digest, bytes }, stop) => {
            const blob = all.use(await store.receive(Readable.from([bytes]), { sizeBytes: bytes.length }, stop))
            if (blob.digest === digest) staged.push(blob)
            else broken.push(digest)
          },
          signal,
        )
      }
      for await (const items of inGroups(readPack(body, inlineMaxBytes), STAGED_AT_ONCE)) await stageAll(items)
      await keep(staged, signal)
      return { broken: broken.map(digestHex) }
    },
    async put(digest, body, sizeBytes, signal) {
      await using blob = await store.receive(body, { sizeBytes }, signal)
      if (blob.digest !== digest) throw notItsDigest(digest)
      await keep([blob], signal)
    },
  }
}

export const notItsDigest = (digest: Digest): AppError =>
  new AppError('ARTIFACT_BROKEN', `replica artifact [${digestHex(digest)}] broken: the bytes do not hash to it`, {})

async function* inGroups<T>(items: AsyncIterable<T>, size: number): AsyncIterable<T[]> {
  let group: T[] = []
  for await (const item of items) {
    group.push(item)
    if (group.length < size) continue
    yield group
    group = []
  }
  if (group.length > 0) yield group
}
