import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { mapConcurrent } from '../../core/concurrency.ts'
import { type Digest, digestHex, parseDigest } from '../../core/digest.ts'
import { AppError, messageOf } from '../../core/errors.ts'
import { storageTrouble, tellingOfStorage } from '../../core/storage-trouble.ts'
import type { BlobStat, SmallContent, StagedBlob } from '../../storage/blob-store.ts'
import { freeing, giveOn } from '../../storage/given-chunks.ts'
import type { Pace } from '../contents/pace.ts'
import type { RestoreContext } from './restore-deps.ts'

/** Contents that were read from the backup and are what their digests say; nobody here refers to them yet. */
export interface Fetched extends AsyncDisposable {
  /** To be packed. */
  readonly small: ReadonlyMap<Digest, SmallContent>
  readonly staged: ReadonlyMap<Digest, StagedBlob>
  /** Why the backup does not give the others. */
  readonly broken: ReadonlyMap<Digest, AppError>
}

/** Reads contents of a backup. Disk trouble and the end of the run are thrown; what is wrong with one content is told of that one. */
export interface Contents {
  fetch(blobs: readonly BlobStat[], signal: AbortSignal): Promise<Fetched>
}

/** Up to this size contents share segments, and are read many at a time. */
export const SMALL_BYTES = 64 * 1024
/** The small ones of a batch are one of them. */
const READS_AT_ONCE = 4

/** Into the store. */
export function createContents({ deps, ...context }: RestoreContext): Contents {
  return createReading(context, async (source, { digest, sizeBytes }, onBytes, signal) => {
    const staged = await tellingOfStorage(() => deps.store.receive(source, { sizeBytes, onBytes }, signal))
    if (staged.digest === digest) return staged
    await staged[Symbol.asyncDispose]()
    throw notItsDigest(digest)
  })
}

/** For a rehearsal: all is read and hashed, and nothing is kept. */
export function createRehearsedContents(context: ReadingContext): Contents {
  return createReading(context, async (source, { digest }, onBytes) => {
    const hash = createHash('sha256')
    const free = freeing(source)
    for await (const chunk of source as AsyncIterable<Buffer>) {
      hash.update(chunk)
      onBytes(chunk.length)
      free(chunk)
    }
    if (parseDigest(hash.digest('hex')) !== digest) throw notItsDigest(digest)
    return undefined
  })
}

type ReadingContext = Pick<RestoreContext, 'reader' | 'run' | 'space' | 'pace'>
type TakeLarge = (
  source: Readable,
  blob: BlobStat,
  onBytes: (count: number) => void,
  signal: AbortSignal,
) => Promise<StagedBlob | undefined>

function createReading({ reader, run, space, pace }: ReadingContext, take: TakeLarge) {
  async function fetchSmall(blobs: readonly BlobStat[], into: Kept, signal: AbortSignal): Promise<void> {
    if (blobs.length === 0) return
    await pace.take(
      blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      signal,
    )
    const found = await reader.readSmall(blobs, signal)
    for (const { digest } of blobs) {
      const bytes = found.get(digest)
      if (bytes === undefined) into.broken.set(digest, absent(digest))
      else into.small.set(digest, { digest, bytes })
    }
    const bytes = [...found.values()].reduce((sum, { length }) => sum + length, 0)
    run.progress.add({ bytes })
    await space.wrote(bytes)
  }
  async function fetchLarge(blob: BlobStat, into: Kept, signal: AbortSignal): Promise<void> {
    let source: Readable | undefined
    try {
      source = await reader.open(blob, signal)
      const paced = run.task.setting.rateLimit === null ? source : slowed(source, pace, signal)
      const staged = await take(paced, blob, (bytes) => run.progress.add({ bytes }), signal)
      if (staged !== undefined) into.staged.set(blob.digest, staged)
    } catch (error) {
      signal.throwIfAborted()
      into.broken.set(blob.digest, brokenBy(error, blob.digest))
    } finally {
      source?.destroy()
    }
    await space.wrote(blob.sizeBytes)
  }

  return {
    async fetch(blobs: readonly BlobStat[], signal: AbortSignal): Promise<Fetched> {
      const kept = new Kept()
      try {
        const once = [...new Map(blobs.map((blob) => [blob.digest, blob])).values()]
        const large = once.filter(({ sizeBytes }) => sizeBytes > SMALL_BYTES)
        const small = once.filter(({ sizeBytes }) => sizeBytes <= SMALL_BYTES)
        const reads = [
          (stop: AbortSignal) => fetchSmall(small, kept, stop),
          ...large.map((blob) => (stop: AbortSignal) => fetchLarge(blob, kept, stop)),
        ]
        await mapConcurrent(reads, READS_AT_ONCE, (read, stop) => read(stop), signal)
        return kept
      } catch (error) {
        await kept[Symbol.asyncDispose]()
        throw error
      }
    },
  }
}

/** Each chunk waits until so many bytes may pass. */
function slowed(source: Readable, pace: Pace, signal: AbortSignal): Readable {
  async function* chunks(): AsyncGenerator<Buffer> {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      await pace.take(chunk.length, signal)
      yield chunk
    }
  }
  return giveOn(source, Readable.from(chunks(), { objectMode: false }))
}

class Kept implements Fetched {
  readonly small = new Map<Digest, SmallContent>()
  readonly staged = new Map<Digest, StagedBlob>()
  readonly broken = new Map<Digest, AppError>()
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([...this.staged.values()].map((blob) => blob[Symbol.asyncDispose]()))
  }
}

/** @throws what is not about this content: no room, a disk that fails. */
function brokenBy(error: unknown, digest: Digest): AppError {
  const trouble = storageTrouble(error)
  if (trouble !== undefined) throw trouble
  if (error instanceof AppError) {
    if (error.code === 'STORAGE_UNAVAILABLE') throw error
    return error.code === 'BLOB_UNKNOWN' ? absent(digest) : error
  }
  return new AppError('ARTIFACT_BROKEN', `its content cannot be read: ${messageOf(error)}`, {}, { cause: error })
}
const absent = (digest: Digest): AppError =>
  new AppError(
    'ARTIFACT_BROKEN',
    `its content [${digestHex(digest)}] is missing in the backup, or is not what it was`,
    {},
  )
const notItsDigest = (digest: Digest): AppError =>
  new AppError('ARTIFACT_BROKEN', `its content [${digestHex(digest)}] in the backup is not what it was`, {})
