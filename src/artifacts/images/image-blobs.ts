import type { Clock } from '../../core/clock.ts'
import { algorithmOf, type ContentName, digestNamed } from '../../core/content-name.ts'
import { AppError } from '../../core/errors.ts'
import type { HlcClock } from '../../core/hlc.ts'
import type { MetadataDatabase, Reader } from '../../metadata/database.ts'
import { findNode, isExpired, liveAt, type NodeRecord } from '../../metadata/nodes/nodes.ts'
import { claimsAt } from '../../metadata/packages/version-files.ts'
import { untilCommit } from '../../metadata/sql/until-commit.ts'
import { touchBlobs } from '../../metadata/storage/blobs.ts'
import { dropLoose, findLoose, keepLoose } from '../../metadata/storage/loose-blobs.ts'
import type { BlobStat } from '../../storage/blob-store.ts'
import { deleteFiles, lockLive } from '../nodes/node-writer.ts'
import { settle, stampAbove } from '../nodes/settle.ts'
import { checkRoom } from '../repositories/quotas.ts'
import { requireOwnFiles, requireUploads } from '../repositories/repository-uploads.ts'
import { blobPath, type ImageName } from './image-paths.ts'
import type { ImagePlace } from './image-place.ts'

/** A blob of an image; `node`: a manifest names it, or did. */
export interface ImageBlob extends BlobStat {
  readonly node: NodeRecord | undefined
}

/** Blobs as clients of one image know them: by the digest that they gave them (docs/design/images.md). */
export interface ImageBlobs {
  /** @throws AppError BLOB_UNKNOWN. */
  get(place: ImagePlace, name: ContentName): Promise<ImageBlob>
  /** Gives the blob to another image, without its bytes. @returns whether the source has it. @throws AppError METHOD_NOT_ALLOWED, QUOTA_EXCEEDED. */
  mount(place: ImagePlace, name: ContentName, source: ImagePlace): Promise<boolean>
  /** @throws AppError BLOB_UNKNOWN; METHOD_NOT_ALLOWED while a manifest names it. */
  remove(place: ImagePlace, name: ContentName, by: string): Promise<void>
}

interface ImageBlobDeps {
  readonly db: MetadataDatabase
  readonly clock: Pick<Clock, 'now'>
  readonly hlc: HlcClock
}

export function createImageBlobs({ db, clock, hlc }: ImageBlobDeps): ImageBlobs {
  const found = untilCommit(db, (repoId, image, name) =>
    findOne(db.read, Number(repoId), image as ImageName, name as ContentName, clock.now()),
  )
  return {
    async get({ repository, image }, name) {
      const blob = await found(String(repository.id), image, name)
      if (blob === undefined || (blob.node !== undefined && isExpired(blob.node, clock.now()))) throw blobUnknown(name)
      return blob
    },
    async mount({ repository, image }, name, source) {
      requireUploads(repository)
      return db.transact(async (trx) => {
        const now = clock.now()
        const [from, by] = [source.repository.id, source.image]
        const blob = (await findImageBlobs(trx, from, by, [name], now)).get(name)
        if (blob === undefined) return false
        const { digest, sizeBytes } = blob
        await checkRoom(trx, repository, sizeBytes)
        if ((await touchBlobs(trx, [digest], now)).get(digest) !== sizeBytes) return false
        await keepLoose(trx, [{ repoId: repository.id, image, name, digest, sizeBytes }], now)
        return true
      })
    },
    async remove({ repository, image }, name, by) {
      requireOwnFiles(repository)
      const path = blobPath(image, name)
      await settle(() =>
        db.transact(async (trx) => {
          const at = clock.now()
          const node = (await lockLive(trx, repository.id, [path])).get(path)
          const claims = await claimsAt(trx, repository.id, [path])
          if (node !== undefined && claims.length > 0) throw stillNamed(name)
          const isFile = node !== undefined && !node.folder && fits(name, node)
          if (isFile) {
            const stamp = stampAbove(hlc, node.hlc)
            await deleteFiles(trx, repository, [node], { by, at, hlc: stamp, origin: 0, viaLink: null })
          }
          if (!(await dropLoose(trx, repository.id, image, name)) && !isFile) throw blobUnknown(name)
        }),
      )
    },
  }
}

/**
 * Those of the names that the image has, as a node or as a loose row. Nothing keeps their content: whoever refers to it touches it in
 * the same transaction (`touchBlobs`).
 */
export async function findImageBlobs(
  reader: Reader,
  repoId: number,
  image: ImageName,
  names: readonly ContentName[],
  now: number,
): Promise<Map<ContentName, ImageBlob>> {
  const paths = new Map(names.map((name) => [blobPath(image, name), name]))
  const nodes = await liveAt(reader, repoId, [...paths.keys()])
  const foreign = [...paths].flatMap(([path, name]) => (algorithmOf(name) === 'sha256' ? [] : [path]))
  const claimed = new Set((await claimsAt(reader, repoId, foreign)).map(({ path }) => path))
  const found = new Map<ContentName, ImageBlob>()
  for (const [path, name] of paths) {
    const node = nodes.get(path)
    if (node === undefined || node.folder || isExpired(node, now)) continue
    if (fits(name, node) && (digestNamed(name) !== undefined || claimed.has(path))) found.set(name, blobOf(node))
  }
  const left = names.filter((name) => !found.has(name))
  for (const [name, { digest, sizeBytes }] of await findLoose(reader, repoId, image, left)) {
    found.set(name, { digest, sizeBytes, node: undefined })
  }
  return found
}

/** `findImageBlobs` of one, as every pull asks it. */
async function findOne(
  reader: Reader,
  repoId: number,
  image: ImageName,
  name: ContentName,
  now: number,
): Promise<ImageBlob | undefined> {
  if (digestNamed(name) === undefined) return (await findImageBlobs(reader, repoId, image, [name], now)).get(name)
  const node = await findNode(reader, repoId, blobPath(image, name), now)
  if (node !== undefined && !node.folder && fits(name, node)) return blobOf(node)
  const loose = (await findLoose(reader, repoId, image, [name])).get(name)
  return loose && { digest: loose.digest, sizeBytes: loose.sizeBytes, node: undefined }
}

const blobOf = (node: NodeRecord): ImageBlob => ({ digest: node.digest!, sizeBytes: node.sizeBytes, node })

/** Other bytes may have been copied or replicated to the path. What sha512 says of them, nobody knows here. */
const fits = (name: ContentName, { digest }: NodeRecord): boolean => (digestNamed(name) ?? digest) === digest

export const blobUnknown = (name: ContentName): AppError =>
  new AppError('BLOB_UNKNOWN', `Blob [${name}] is not in this image: push it, or mount it from another one`, { name })
const stillNamed = (name: ContentName): AppError =>
  new AppError('METHOD_NOT_ALLOWED', `Method not allowed: a manifest names blob [${name}]; delete that first`, { name })
