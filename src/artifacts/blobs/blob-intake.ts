import { Readable } from 'node:stream'
import type { Clock } from '../../core/clock.ts'
import { mapConcurrent } from '../../core/concurrency.ts'
import type { Digest } from '../../core/digest.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { claimBlobs, knownBlobs, unpackBlobs } from '../../metadata/storage/blobs.ts'
import { claimPackedBlobs, findPacked, isGivenUp, standingOf } from '../../metadata/storage/packed-blobs.ts'
import type { BlobStat, BlobStore, PackPlace, SmallContent, StagedBlob } from '../../storage/blob-store.ts'

/**
 * How staged bytes become a blob that rows may refer to. Invariant: a row of `blob` that is not marked as unneeded has its bytes, in
 * a file of its own or where it says in a segment.
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
  /**
   * Before the transaction: makes small contents durable in a segment, but for those that the store holds already. The caller has
   * hashed them. Never called inside a transaction.
   */
  pack(contents: readonly SmallContent[], signal: AbortSignal): Promise<PackedBlobs>
  /**
   * `claim` for packed contents: those that a row promises already keep their old place. May run again with the transaction.
   * @throws AppError RECEIVE_FAILED, retryable (`isGivenUp`), when the database has given a segment up since `pack`: long after it,
   * when the disk failed, or when the database has lost its last seconds. Packing again uses another segment.
   */
  claimPacked(trx: Transaction, packed: PackedBlobs): Promise<void>
}

/** Small contents that are durable, and not yet promised to anybody. */
export type PackedBlobs = readonly (PlacedContent | KnownContent)[]
interface PlacedContent extends BlobStat {
  readonly place: PackPlace
  /** It had a row that promised nothing: a file of its own may lie about, and be wrong. */
  readonly wasMarked?: boolean
}
/** A row promised it when it was packed. The bytes are for the case that it no longer does, or that they were lost. */
interface KnownContent extends BlobStat {
  readonly place: undefined
  readonly bytes: Buffer
  readonly wasLost: boolean
}

interface BlobIntakeDeps {
  readonly db: Pick<MetadataDatabase, 'read'>
  readonly store: BlobStore
  readonly clock: Pick<Clock, 'now'>
}

/** The file system adapter has four threads to work with. */
const PUBLISH_AT_ONCE = 8
/** A transaction is not left half-way for somebody who went away. */
const NEVER = new AbortController().signal

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
      const known = await knownBlobs(db.read, digestsOf(staged))
      // The row promises the file; somebody may have taken it away all the same, and here are its bytes.
      const unlessThere = async (blob: StagedBlob, stop: AbortSignal) => {
        const there = known.has(blob.digest) ? await store.find(blob.digest, stop) : undefined
        if (there?.sizeBytes !== blob.sizeBytes) await publish(blob, stop)
      }
      await mapConcurrent(staged, PUBLISH_AT_ONCE, unlessThere, signal)
    },
    async claim(trx, staged, signal) {
      const { uncertain, packed } = await claimBlobs(trx, staged, clock.now())
      // Published although a segment has them: that was lost, or came in between. Only ours were hashed just now.
      const unpacked = staged.filter((blob) => packed.has(blob.digest) && published.has(blob))
      await unpackBlobs(trx, digestsOf(unpacked))
      await mapConcurrent(unpacked, PUBLISH_AT_ONCE, publish, signal)
      const wanted = staged.filter(({ digest }) => uncertain.has(digest))
      await mapConcurrent(wanted, PUBLISH_AT_ONCE, makeSure, signal)
    },
    async pack(contents, signal) {
      const standings = await standingOf(db.read, digestsOf(contents))
      const fresh = contents.filter(({ digest }) => standings.get(digest) !== 'promised')
      const known = contents.filter(({ digest }) => standings.get(digest) === 'promised')
      const places = await store.putMany(fresh, signal)
      const placed = fresh.map(({ digest, bytes }, index): PlacedContent => {
        const wasMarked = standings.get(digest) === 'withdrawn'
        return { digest, sizeBytes: bytes.length, place: places[index]!, wasMarked }
      })
      const look = async ({ digest, bytes }: SmallContent, stop: AbortSignal): Promise<KnownContent> => {
        const wasLost = (await store.find(digest, stop))?.sizeBytes !== bytes.length
        return { digest, sizeBytes: bytes.length, place: undefined, bytes, wasLost }
      }
      return [...placed, ...(await mapConcurrent(known, PUBLISH_AT_ONCE, look, signal))]
    },
    async claimPacked(trx, packed) {
      const placed = packed.filter((blob) => blob.place !== undefined)
      try {
        await claimPackedBlobs(trx, placed, clock.now())
      } catch (error) {
        if (isGivenUp(error)) for (const { place } of placed) store.leaveSegment(place)
        throw error
      }
      await removeFiles(
        trx,
        placed.filter(({ wasMarked }) => wasMarked),
      )
      const known = packed.filter((blob) => blob.place === undefined)
      if (known.length > 0) await claimKnown(trx, known)
    },
  }

  /** Readers may look for a file first. The transaction holds the rows. */
  async function removeFiles(trx: Transaction, placed: readonly PlacedContent[]): Promise<void> {
    const now = new Map((await findPacked(trx, digestsOf(placed), 'promised')).map((blob) => [blob.digest, blob.place]))
    for (const { digest, place } of placed) {
      const { segment, offset } = now.get(digest) ?? {}
      if (segment === place.segment && offset === place.offset) await store.delete(digest, NEVER)
    }
  }
  /** What is not here any more gets a file of its own, while the transaction waits. */
  async function claimKnown(trx: Transaction, known: readonly KnownContent[]): Promise<void> {
    const { uncertain } = await claimBlobs(trx, known, clock.now())
    const wanted = known.filter(({ digest, wasLost }) => wasLost || uncertain.has(digest))
    await unpackBlobs(trx, digestsOf(wanted))
    for (const { bytes } of wanted) {
      await using staged = await store.receive(Readable.from([bytes], { objectMode: false }), {}, NEVER)
      await staged.publish(NEVER)
    }
  }
}

const digestsOf = (blobs: readonly { readonly digest: Digest }[]): Digest[] => blobs.map(({ digest }) => digest)
