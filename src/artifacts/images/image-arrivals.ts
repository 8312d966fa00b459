import { createHash } from 'node:crypto'
import { type Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Clock } from '../../core/clock.ts'
import { algorithmOf, type ContentName, digestNamed } from '../../core/content-name.ts'
import type { Digest } from '../../core/digest.ts'
import { AppError, hasCode } from '../../core/errors.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { findRepositoryById } from '../../metadata/repositories/repositories.ts'
import { knownBlobs, touchBlobs } from '../../metadata/storage/blobs.ts'
import { keepLoose } from '../../metadata/storage/loose-blobs.ts'
import type { BlobStore, StagedBlob } from '../../storage/blob-store.ts'
import type { BlobIntake } from '../blobs/blob-intake.ts'
import { type Arrival, createArrivingBody, type StoredContent } from '../proxies/arrival.ts'
import { upstreamFailed } from '../proxies/upstream-answer.ts'
import { hasChannel, type UpstreamChannel } from '../proxies/upstream-channel.ts'
import { checkRoom } from '../repositories/quotas.ts'
import type { ImagePlace } from './image-place.ts'

/** A blob that a registry of somebody else is asked for. */
export interface BlobOrder {
  readonly place: ImagePlace
  readonly name: ContentName
  /** URL of the registry. */
  readonly from: string
  /** Of a repository that fetches: only while it has it. */
  readonly channel?: UpstreamChannel
}

/** Blobs of others become blobs of an image that no manifest names yet, as if somebody had pushed them. */
export interface ImageArrivals {
  /** Reads, verifies and stores what comes; nothing of it is visible before all is right. */
  store(
    order: BlobOrder,
    coming: { readonly sizeBytes: number | undefined; readonly stream: Readable },
    signal: AbortSignal,
  ): Arrival<StoredContent>
  /** Some other image has the content, as far as is known. */
  isHere(order: Pick<BlobOrder, 'name'>): Promise<boolean>
  /** A content that is here already is not fetched again, once the registry has said that the image has it. @returns undefined: it is not here. */
  adopt(order: BlobOrder): Promise<StoredContent | undefined>
}

interface ImageArrivalDeps {
  readonly db: Pick<MetadataDatabase, 'read' | 'transact'>
  readonly blobs: Pick<BlobStore, 'receive' | 'open'>
  readonly intake: Pick<BlobIntake, 'prepare' | 'claim'>
  readonly clock: Pick<Clock, 'now'>
}

export function createImageArrivals({ db, blobs, intake, clock }: ImageArrivalDeps): ImageArrivals {
  const open = (digest: Digest, start: number, signal: AbortSignal) => blobs.open(digest, { start }, signal)

  async function receive(
    order: BlobOrder,
    sizeBytes: number | undefined,
    body: Readable,
    foreign: () => ContentName,
    signal: AbortSignal,
  ): Promise<StagedBlob> {
    let staged: StagedBlob
    try {
      staged = await blobs.receive(body, { sizeBytes }, signal)
    } catch (error) {
      signal.throwIfAborted()
      if (hasCode(error, 'UPSTREAM_FAILED')) throw error
      throw hasCode(error, 'ARTIFACT_BROKEN') ? notTrue(order, error.message) : upstreamFailed(placeOf(order), error)
    }
    const found = algorithmOf(order.name) === 'sha256' ? staged.digest : foreign()
    if (found === order.name) return staged
    await staged[Symbol.asyncDispose]()
    throw notTrue(order, `it was asked for ${order.name}, and sent ${found}`)
  }

  /** @throws AppError REPOSITORY_NOT_FOUND when it fetches from somewhere else since. */
  async function keep(trx: Transaction, { place, name, channel }: BlobOrder, content: StoredContent): Promise<void> {
    const { repository, image } = place
    const today = await findRepositoryById(trx, repository.id)
    if (today === undefined || (channel !== undefined && !hasChannel(today, channel))) {
      throw new AppError('REPOSITORY_NOT_FOUND', `Repository [${repository.name}] was changed during the download`, {})
    }
    await keepLoose(trx, [{ repoId: repository.id, image, name, ...content }], clock.now())
  }

  return {
    store(order, { sizeBytes, stream }, signal) {
      const { tap, algorithm } = hashing(order.name)
      const arriving = createArrivingBody<StoredContent>({ sizeBytes, digest: digestNamed(order.name) }, { open })
      const work = async () => {
        if (sizeBytes !== undefined) await checkRoom(db.read, order.place.repository, sizeBytes)
        const moved = pipeline(stream, tap, arriving.tap, { signal })
        moved.catch(() => {})
        await using staged = await receive(order, sizeBytes, arriving.tap, algorithm, signal)
        await moved
        await intake.prepare([staged], signal)
        const content = { digest: staged.digest, sizeBytes: staged.sizeBytes }
        await db.transact(async (trx) => {
          await intake.claim(trx, [staged], signal)
          await keep(trx, order, content)
        })
        return content
      }
      work().then(
        (content) => arriving.finish(content, content),
        (error) => {
          stream.on('error', () => {}).destroy()
          arriving.fail(error)
        },
      )
      return arriving.arrival
    },
    async isHere({ name }) {
      const digest = digestNamed(name)
      return digest !== undefined && (await knownBlobs(db.read, [digest])).has(digest)
    },
    async adopt(order) {
      const digest = digestNamed(order.name)
      if (digest === undefined) return undefined
      return db.transact(async (trx) => {
        const sizeBytes = (await touchBlobs(trx, [digest], clock.now())).get(digest)
        if (sizeBytes === undefined) return undefined
        await keep(trx, order, { digest, sizeBytes })
        return { digest, sizeBytes }
      })
    },
  }
}

/** The name of what passes, for those that our own hash does not tell. */
function hashing(name: ContentName): { readonly tap: Transform; readonly algorithm: () => ContentName } {
  const wanted = algorithmOf(name)
  const hash = wanted === 'sha256' ? undefined : createHash(wanted)
  const tap = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash?.update(chunk)
      done(null, chunk)
    },
  })
  return { tap, algorithm: () => `${wanted}:${hash?.digest('hex')}` as ContentName }
}

/** Asking again would change nothing. */
const notTrue = (order: BlobOrder, why: string): AppError =>
  new AppError('UPSTREAM_FAILED', `The upstream ${placeOf(order)} failed: ${why}`, { upstream: order.from })

/** As users know it. */
const placeOf = ({ place: { repository }, from }: BlobOrder): string =>
  `${new URL(from).host} of repository [${repository.project}/${repository.name}]`
