import type { Clock } from '../../core/clock.ts'
import { mapConcurrent } from '../../core/concurrency.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { claimBlobs, knownBlobs } from '../../metadata/storage/blobs.ts'
import type { BlobStore, StagedBlob } from '../../storage/blob-store.ts'

/**
 * How staged bytes become a blob that rows may refer to. Invariant: a row of `blob` that is not marked as unneeded has its file.
 * The row is the lock: a file is removed, and put back, by who holds its row only (docs/design/blobs.md).
 *
 *     await using staged = await store.receive(…)
 *     await intake.prepare([staged], signal)
 *     await db.transact(async (trx) => { lock nodes; await intake.claim(trx, [staged], signal); write nodes })
 */
export interface BlobIntake {
  /** Before the transaction: publishes what nobody has yet, so that the transaction need not wait for the disk. */
  prepare(staged: readonly StagedBlob[], signal: AbortSignal): Promise<void>
  /**
   * In the transaction that refers to the blobs, after it has locked nodes: makes or touches their rows and makes sure of their
   * files. May run again with the transaction. A rollback leaves files that no row knows; the collection finds them.
   */
  claim(trx: Transaction, staged: readonly StagedBlob[], signal: AbortSignal): Promise<void>
}

interface BlobIntakeDeps {
  readonly db: Pick<MetadataDatabase, 'read'>
  readonly store: BlobStore
  readonly clock: Pick<Clock, 'now'>
}

/** The file system adapter has four threads to work with. */
const PUBLISH_AT_ONCE = 8

export function createBlobIntake({ db, store, clock }: BlobIntakeDeps): BlobIntake {
  const published = new WeakSet<StagedBlob>()

  async function publish(blob: StagedBlob, signal: AbortSignal): Promise<void> {
    await blob.publish(signal)
    published.add(blob)
  }
  /** A file that is there counts only if we have published it: another's may not be durable yet. */
  async function makeSure(blob: StagedBlob, signal: AbortSignal): Promise<void> {
    if (published.has(blob) && (await store.find(blob.digest, signal)) !== undefined) return
    await publish(blob, signal)
  }

  return {
    async prepare(staged, signal) {
      const digests = staged.map(({ digest }) => digest)
      const known = await knownBlobs(db.read, digests)
      // The row promises the file; somebody may have taken it away all the same, and here are its bytes.
      const unlessThere = async (blob: StagedBlob, stop: AbortSignal) => {
        const there = known.has(blob.digest) ? await store.find(blob.digest, stop) : undefined
        if (there?.sizeBytes !== blob.sizeBytes) await publish(blob, stop)
      }
      await mapConcurrent(staged, PUBLISH_AT_ONCE, unlessThere, signal)
    },
    async claim(trx, staged, signal) {
      const uncertain = await claimBlobs(trx, staged, clock.now())
      const wanted = staged.filter(({ digest }) => uncertain.has(digest))
      await mapConcurrent(wanted, PUBLISH_AT_ONCE, makeSure, signal)
    },
  }
}
