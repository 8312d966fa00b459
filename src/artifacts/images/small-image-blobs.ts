import type { Clock } from '../../core/clock.ts'
import type { ContentName } from '../../core/content-name.ts'
import type { Digest } from '../../core/digest.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { keepLoose } from '../../metadata/storage/loose-blobs.ts'
import { isGivenUp } from '../../metadata/storage/packed-blobs.ts'
import type { SmallBlobs } from '../../storage/small-blobs.ts'
import type { BlobIntake, PackedBlobs } from '../blobs/blob-intake.ts'
import { createGroupQueue } from '../uploads/group-queue.ts'
import type { ImagePlace } from './image-place.ts'

/** A whole small blob, whose name was found right. */
export interface SmallImageBlob {
  readonly place: ImagePlace
  readonly name: ContentName
  readonly digest: Digest
  readonly bytes: Buffer
}

/** Small blobs become loose rows, many with one write to the disk and one transaction. */
export interface SmallImageBlobs {
  /** Durable when it resolves. @throws the signal's reason when it aborts before the blob's group begins. */
  keep(blob: SmallImageBlob, signal: AbortSignal): Promise<void>
}

interface SmallImageBlobDeps {
  readonly db: Pick<MetadataDatabase, 'transact'>
  readonly intake: Pick<BlobIntake, 'pack' | 'claimPacked'>
  readonly clock: Pick<Clock, 'now'>
  readonly smallBlobs: Pick<SmallBlobs, 'remember'>
}

/** `{`: a configuration, which the manifest that comes next has us read. */
const DOCUMENT = 0x7b
const MOST_BLOBS = 256
const MOST_BYTES = 4 * 1024 * 1024
const MOST_PACKINGS = 3
/** A group goes on for those who stay: nobody's going away ends it. */
const NEVER = new AbortController().signal

export function createSmallImageBlobs({ db, intake, clock, smallBlobs }: SmallImageBlobDeps): SmallImageBlobs {
  function pack(blobs: readonly SmallImageBlob[]): Promise<PackedBlobs> {
    const once = new Map(blobs.map(({ digest, bytes }) => [digest, bytes]))
    return intake.pack(
      [...once].map(([digest, bytes]) => ({ digest, bytes })),
      NEVER,
    )
  }
  async function commit(blobs: readonly SmallImageBlob[], packings = 1): Promise<void> {
    const packed = await pack(blobs)
    const rows = blobs.map(({ place: { repository, image }, name, digest, bytes }) => ({
      ...{ repoId: repository.id, image, name, digest, sizeBytes: bytes.length },
    }))
    try {
      await db.transact(async (trx) => {
        await intake.claimPacked(trx, packed)
        await keepLoose(trx, rows, clock.now())
      })
    } catch (error) {
      if (!isGivenUp(error) || packings === MOST_PACKINGS) throw error
      await commit(blobs, packings + 1)
    }
  }

  // What one of a group fails of, all would: their rows hold nothing that a client made up, and no row is in another's way.
  const queue = createGroupQueue<SmallImageBlob, void>({
    mostItems: MOST_BLOBS,
    mostBytes: MOST_BYTES,
    bytesOf: ({ bytes }) => bytes.length,
    keyOf: ({ place, name }) => `${place.repository.id}/${place.image}/${name}`,
    async run(blobs) {
      await commit(blobs)
      for (const { digest, bytes } of blobs) if (bytes[0] === DOCUMENT) smallBlobs.remember(digest, bytes)
      return blobs.map(() => ({ value: undefined }))
    },
  })
  return { keep: (blob, signal) => queue.add(blob, signal) }
}
