import { hash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { Clock } from '../../core/clock.ts'
import { algorithmOf, type ContentName } from '../../core/content-name.ts'
import { AppError, hasCode } from '../../core/errors.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { keepLoose } from '../../metadata/storage/loose-blobs.ts'
import type { CompletedPush, PushHash, PushSpool } from '../../storage/push-spool.ts'
import type { BlobIntake } from '../blobs/blob-intake.ts'
import { createRecentKeys } from '../proxies/recent-keys.ts'
import { checkRoom } from '../repositories/quotas.ts'
import { requireUploads } from '../repositories/repository-uploads.ts'
import { createSmallBodies, SMALL_BYTES, type SmallBody, type SmallContent } from '../uploads/small-bodies.ts'
import { unlessCut } from '../uploads/uploads.ts'
import type { ImagePlace } from './image-place.ts'
import type { SmallImageBlobs } from './small-image-blobs.ts'
import { UPLOAD_LIFE_MS, type UploadIds, type UploadSession, unknownUpload } from './upload-ids.ts'

export interface UploadChunk {
  /** Offset of its first byte, when the sender says so. */
  readonly start: number | undefined
  /** As the sender announces it; undefined: it comes until it ends. */
  readonly sizeBytes: number | undefined
  openBody(): Readable
}
export interface UploadProgress {
  /** What the client calls it from here on. */
  readonly id: string
  /** For logs. */
  readonly pushId: string
  readonly length: number
}

/**
 * Pushing blobs of images, in one request or in many (OCI distribution specification, "Pushing blobs"; docs/design/images.md). All
 * calls about an upload throw UPLOAD_UNKNOWN for one that is not open in this image; those with a chunk throw RANGE_INVALID with
 * `detail.length` when it does not begin where the upload ends, UPLOAD_INCONSISTENT while another request works on it,
 * ARTIFACT_BROKEN for a chunk of another length than announced, RECEIVE_FAILED when it breaks off (what came stays), QUOTA_EXCEEDED.
 */
export interface ImageUploads {
  /** Nothing is stored. @throws AppError METHOD_NOT_ALLOWED for a repository that takes no uploads. */
  begin(place: ImagePlace): UploadProgress
  status(place: ImagePlace, id: string, signal: AbortSignal): Promise<UploadProgress>
  append(place: ImagePlace, id: string, chunk: UploadChunk, signal: AbortSignal): Promise<UploadProgress>
  /** With the last chunk, maybe an empty one. @throws AppError DIGEST_MISMATCH: then the upload has ended. */
  finish(place: ImagePlace, id: string, name: ContentName, chunk: UploadChunk, signal: AbortSignal): Promise<void>
  /** All at once, without an upload before. @throws AppError METHOD_NOT_ALLOWED, DIGEST_MISMATCH; nothing is left behind. */
  push(place: ImagePlace, name: ContentName, chunk: UploadChunk, signal: AbortSignal): Promise<void>
  cancel(place: ImagePlace, id: string, signal: AbortSignal): Promise<void>
  /** Drops bytes of uploads that nobody may go on with. @returns how many. */
  sweep(signal: AbortSignal): Promise<number>
}

interface ImageUploadDeps {
  readonly db: Pick<MetadataDatabase, 'read' | 'transact'>
  readonly intake: Pick<BlobIntake, 'prepare' | 'claim'>
  readonly spool: PushSpool
  readonly small: SmallImageBlobs
  readonly ids: UploadIds
  readonly clock: Pick<Clock, 'now'>
  /** Bytes that could not be removed. The sweep tries again. */
  readonly onLeftover: (error: unknown) => void
}

/** Uploads that ended, as far as this process remembers: for clients that go on with a name from before the first bytes. */
const MOST_ENDED = 10_000
/** A request that began in time is not disturbed. */
const SWEPT_AFTER_MS = UPLOAD_LIFE_MS + 3_600_000

export function createImageUploads(deps: ImageUploadDeps): ImageUploads {
  const { db, intake, spool, small, ids, clock, onLeftover } = deps
  const bodies = createSmallBodies()
  const ended = createRecentKeys(clock, UPLOAD_LIFE_MS, MOST_ENDED)
  /** Uploads whose only chunk is being taken into memory. */
  const inMemory = new Set<string>()

  function open(place: ImagePlace, id: string): UploadSession {
    const session = ids.open(place, id)
    if (ended.has(session.pushId)) throw unknownUpload(id)
    return session
  }
  /** @throws AppError UPLOAD_UNKNOWN when bytes have come and are not there any more. */
  async function lengthOf({ pushId, state, begunId }: UploadSession, signal: AbortSignal): Promise<number | undefined> {
    const length = await spool.length(pushId, signal)
    if (length === undefined && state === 'begun') throw unknownUpload(begunId)
    return length
  }
  async function take(
    place: ImagePlace,
    session: UploadSession,
    chunk: UploadChunk,
    more: TakeOptions,
  ): Promise<number> {
    const { pushId, state } = session
    const { start, sizeBytes } = chunk
    const { withHash, signal } = more
    if (inMemory.has(pushId)) throw atWork(pushId)
    if (place.repository.quota !== null && sizeBytes !== undefined) {
      await checkRoom(db.read, place.repository, ((await lengthOf(session, signal)) ?? 0) + sizeBytes)
    }
    const body = chunk.openBody()
    const to = state === 'begun' ? state : undefined
    return unlessCut(body, signal, () => spool.append(pushId, { to, start, sizeBytes, withHash }, body, signal))
  }

  /** A whole blob that comes in one small chunk is never written by itself. */
  async function readSmall(place: ImagePlace, memory: SmallBody, chunk: UploadChunk, signal: AbortSignal) {
    await checkRoom(db.read, place.repository, chunk.sizeBytes ?? 0)
    const body = chunk.openBody()
    return unlessCut(body, signal, () => memory.read(body, {}, signal))
  }
  async function keepSmall(
    place: ImagePlace,
    name: ContentName,
    { digest, bytes }: SmallContent,
    signal: AbortSignal,
  ): Promise<void> {
    verify(name, digest, sha512Of(name, bytes))
    await small.keep({ place, name, digest, bytes }, signal)
  }
  /**
   * Of an upload of which nothing came under this name before. What is not the whole blob may be its end, when the rest came to another
   * process, or for a client that goes on with the first name. @returns what is still to be appended; undefined: nothing, the blob is there.
   */
  async function finishSmall(
    place: ImagePlace,
    pushId: string,
    name: ContentName,
    memory: SmallBody,
    chunk: UploadChunk,
    signal: AbortSignal,
  ): Promise<UploadChunk | undefined> {
    // Where it says that it begins, or that there is no more, counts for what is there.
    const isEnd = chunk.start !== undefined || chunk.sizeBytes === 0
    if (isEnd && (await spool.length(pushId, signal)) !== undefined) return chunk
    const content = await readSmall(place, memory, chunk, signal)
    const { bytes, digest } = content
    const isWhole = nameOf(digest, sha512Of(name, bytes)) === name
    if (!isWhole && !isEnd && (await spool.length(pushId, signal)) !== undefined) {
      return { ...chunk, sizeBytes: bytes.length, openBody: () => Readable.from([bytes], { objectMode: false }) }
    }
    await keepSmall(place, name, content, signal)
    return undefined
  }

  /** @throws AppError DIGEST_MISMATCH: then the push has ended; after anything else it goes on. */
  async function complete(place: ImagePlace, pushId: string, name: ContentName, signal: AbortSignal): Promise<void> {
    const push = await spool.complete(pushId, wantedHash(name), signal)
    try {
      verify(name, push.digest, push.sha512)
      await checkRoom(db.read, place.repository, push.sizeBytes)
      await keep(place, name, push, signal)
    } catch (error) {
      await (hasCode(error, 'DIGEST_MISMATCH') ? end(pushId, push) : push.giveBack().catch(onLeftover))
      throw error
    }
    await end(pushId, push)
  }
  async function end(pushId: string, push: CompletedPush): Promise<void> {
    ended.add(pushId)
    await push[Symbol.asyncDispose]().catch(onLeftover)
  }
  async function keep(place: ImagePlace, name: ContentName, push: CompletedPush, signal: AbortSignal): Promise<void> {
    const { digest, sizeBytes } = push
    if (sizeBytes <= SMALL_BYTES) return small.keep({ place, name, digest, bytes: await push.read() }, signal)
    await intake.prepare([push], signal)
    signal.throwIfAborted()
    const row = { repoId: place.repository.id, image: place.image, name, digest, sizeBytes }
    await db.transact(async (trx) => {
      await intake.claim(trx, [push], signal)
      await keepLoose(trx, [row], clock.now())
    })
  }

  return {
    begin(place) {
      requireUploads(place.repository)
      const { id, pushId } = ids.make(place)
      return { id, pushId, length: 0 }
    },
    async status(place, id, signal) {
      const session = open(place, id)
      const length = await lengthOf(session, signal)
      return { id: length === undefined ? session.id : session.begunId, pushId: session.pushId, length: length ?? 0 }
    },
    async append(place, id, chunk, signal) {
      requireUploads(place.repository)
      const session = open(place, id)
      const length = await take(place, session, chunk, { withHash: undefined, signal })
      return { id: session.begunId, pushId: session.pushId, length }
    },
    async finish(place, id, name, chunk, signal) {
      requireUploads(place.repository)
      const session = open(place, id)
      const { pushId, state } = session
      if (inMemory.has(pushId)) throw atWork(pushId)
      const isFresh = state === 'fresh' && (chunk.start ?? 0) === 0
      using memory = isFresh ? bodies.reserve({ sizeBytes: chunk.sizeBytes }) : undefined
      let left: UploadChunk | undefined = chunk
      if (memory !== undefined && !inMemory.has(pushId)) {
        inMemory.add(pushId)
        try {
          left = await finishSmall(place, pushId, name, memory, chunk, signal)
          if (left === undefined) ended.add(pushId)
        } catch (error) {
          if (hasCode(error, 'DIGEST_MISMATCH')) ended.add(pushId)
          throw error
        } finally {
          inMemory.delete(pushId)
        }
      }
      if (left === undefined) return
      // Nothing to append: only whether it would begin at the end is to be seen.
      if (left.sizeBytes === 0 && left.start === undefined) left.openBody().resume()
      else await take(place, session, left, { withHash: wantedHash(name), signal })
      await complete(place, pushId, name, signal)
    },
    async push(place, name, chunk, signal) {
      requireUploads(place.repository)
      using memory = bodies.reserve({ sizeBytes: chunk.sizeBytes })
      if (memory !== undefined)
        return await keepSmall(place, name, await readSmall(place, memory, chunk, signal), signal)
      const session = ids.make(place)
      try {
        await take(place, session, chunk, { withHash: wantedHash(name), signal })
        await complete(place, session.pushId, name, signal)
      } catch (error) {
        await spool.cancel(session.pushId).catch(onLeftover)
        throw error
      }
    },
    async cancel(place, id, signal) {
      const session = open(place, id)
      await lengthOf(session, signal)
      if (inMemory.has(session.pushId)) throw atWork(session.pushId)
      await spool.cancel(session.pushId)
      ended.add(session.pushId)
    },
    async sweep(signal) {
      let swept = 0
      for await (const { pushId, changedAt } of spool.list(signal)) {
        if (changedAt >= clock.now() - SWEPT_AFTER_MS) continue
        await spool.cancel(pushId).catch(onLeftover)
        swept++
      }
      return swept
    },
  }
}

interface TakeOptions {
  readonly withHash: PushHash | undefined
  readonly signal: AbortSignal
}

const wantedHash = (name: ContentName): PushHash | undefined => (algorithmOf(name) === 'sha512' ? 'sha512' : undefined)

const sha512Of = (name: ContentName, bytes: Buffer): string | undefined => wantedHash(name) && hash('sha512', bytes)
const nameOf = (digest: string, sha512: string | undefined): string =>
  sha512 === undefined ? digest : `sha512:${sha512}`

function verify(name: ContentName, digest: string, sha512: string | undefined): void {
  const found = nameOf(digest, sha512)
  if (found === name) return
  const message = `Digest mismatch: the content is ${found}, the request says ${name}; the upload has ended, push it again`
  throw new AppError('DIGEST_MISMATCH', message, { name: 'digest' })
}

const atWork = (pushId: string): AppError =>
  new AppError(
    'UPLOAD_INCONSISTENT',
    `Upload [${pushId}] is being worked on by another request`,
    {},
    { retryable: true },
  )
