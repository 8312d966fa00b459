import type { Clock } from '../../core/clock.ts'
import type { ContentName } from '../../core/content-name.ts'
import { digestNamed } from '../../core/content-name.ts'
import type { Digest } from '../../core/digest.ts'
import { AppError } from '../../core/errors.ts'
import { type PackageKey, packageKey } from '../../core/package-key.ts'
import type { RepositoryType } from '../../core/repository-type.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { isExpired, type NodeRecord } from '../../metadata/nodes/nodes.ts'
import { findMainByName, findMainsByDigest, type MainFile } from '../../metadata/packages/main-files.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { untilCommit } from '../../metadata/sql/until-commit.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import type { SmallBlobs } from '../../storage/small-blobs.ts'
import { type ImageName, manifestPath, type Reference } from './coordinates.ts'
import { type Manifest, parseManifest } from './manifest.ts'

/** An image of a repository. */
export interface Place {
  readonly repository: Repository
  readonly image: ImageName
}
/** A manifest that is here. */
export type StoredManifest = MainFile & { readonly node: NodeRecord & { readonly digest: Digest } }

/** Manifests as they lie in the repository. */
export interface ManifestStore {
  /** One query, none when it was asked since the last commit on SQLite. */
  find(place: Place, reference: Reference): Promise<StoredManifest | undefined>
  /** @throws AppError CONTENT_MISSING. */
  bytesOf(content: { readonly digest: Digest; readonly sizeBytes: number }, signal: AbortSignal): Promise<Buffer>
  /** Remembered by content. @throws AppError MANIFEST_INVALID when somebody put other bytes at its path. */
  mediaTypeOf(stored: StoredManifest, signal: AbortSignal): Promise<string> | string
  parse(stored: StoredManifest, signal: AbortSignal): Promise<Manifest>
}

export interface ManifestStoreDeps {
  readonly db: MetadataDatabase
  readonly clock: Pick<Clock, 'now'>
  readonly blobs: Pick<BlobStore, 'readMany'>
  readonly smallBlobs: SmallBlobs
}

export const keyOf = ({ repository, image }: Place): PackageKey => packageKey(repository.type as RepositoryType, image)

const MAX_REMEMBERED = 10_000

export function createManifestStore({ db, clock, blobs, smallBlobs }: ManifestStoreDeps): ManifestStore {
  const byTag = untilCommit(db, async (repoId, key, tag) => {
    const found = await findMainByName(db.read, Number(repoId), key as PackageKey, tag!)
    return found === undefined ? [] : [found]
  })
  const byDigest = untilCommit(db, (repoId, key, name, image) =>
    findMainsByDigest(
      db.read,
      Number(repoId),
      key as PackageKey,
      name!,
      pathsOf(image as ImageName, name as ContentName),
    ),
  )
  const mediaTypes = new Map<Digest, string>()
  const isThere = (found: MainFile): found is StoredManifest =>
    found.node.digest !== undefined && !isExpired(found.node, clock.now())

  async function bytesOf({ digest, sizeBytes }: StoredManifest['node'], signal: AbortSignal): Promise<Buffer> {
    if (sizeBytes <= smallBlobs.maxBlobBytes) return smallBlobs.read(digest, sizeBytes, signal)
    const bytes = (await blobs.readMany([{ digest, sizeBytes }], signal)).get(digest)
    if (bytes === undefined) throw new AppError('CONTENT_MISSING', `The content ${digest} is missing`, { digest })
    return bytes
  }
  async function readMediaType({ node }: StoredManifest, signal: AbortSignal): Promise<string> {
    const { mediaType } = parseManifest(await bytesOf(node, signal), undefined)
    if (mediaTypes.size >= MAX_REMEMBERED) mediaTypes.clear()
    mediaTypes.set(node.digest, mediaType)
    return mediaType
  }
  return {
    async find(place, reference) {
      const [repoId, key] = [String(place.repository.id), keyOf(place)]
      if (reference.kind === 'tag') return (await byTag(repoId, key, reference.tag)).find(isThere)
      const { name } = reference
      const content = digestNamed(name)
      const found = await byDigest(repoId, key, name, place.image)
      // Other bytes may have been copied to the path, or to that of a tag.
      return found.filter(isThere).find(({ node }) => content === undefined || node.digest === content)
    },
    bytesOf: (content, signal) => bytesOf(content as StoredManifest['node'], signal),
    mediaTypeOf: (stored, signal) => mediaTypes.get(stored.node.digest) ?? readMediaType(stored, signal),
    parse: async ({ node }, signal) => parseManifest(await bytesOf(node, signal), undefined),
  }
}

const pathsOf = (image: ImageName, name: ContentName) =>
  [manifestPath(image, name, 'manifest'), manifestPath(image, name, 'index')] as const
