import type { Principal } from '../../auth/principal.ts'
import type { Rights } from '../../auth/rights.ts'
import { type ContentName, digestNamed } from '../../core/content-name.ts'
import type { Digest } from '../../core/digest.ts'
import type { RepositoryType } from '../../core/repository-type.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { pathsOfContent } from '../../metadata/nodes/paths-of-content.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { type BlobPlace, placesOfBlob } from '../../metadata/storage/blob-places.ts'
import { looseImagesOf } from '../../metadata/storage/loose-blobs.ts'
import { type CallerReach, callerReach } from './caller-reach.ts'
import { blobPath, type ImageName } from './image-paths.ts'

/** Images that a blob may be mounted from when the client names none. */
export interface BlobSources {
  /**
   * As `{project}/{repo}/{image}`, a few that the caller may pull, those of this repository first. None for a digest that contents are not
   * known by here: sha512. What the caller may not pull is not looked at, and makes no difference.
   */
  list(principal: Principal, repository: Repository, name: ContentName): Promise<string[]>
}

const MOST_OF_ONE = 8
const MOST = 16

/** @param types of repositories that hold images. */
export function createBlobSources({
  db,
  rights,
  types,
}: {
  readonly db: Pick<MetadataDatabase, 'read'>
  readonly rights: Pick<Rights, 'grantsOf'>
  readonly types: readonly RepositoryType[]
}): BlobSources {
  async function within({ id, project, name: repo, public: open }: Repository, digest: Digest): Promise<BlobPlace[]> {
    const at = { project, repo, repoId: id, public: open }
    const loose = await looseImagesOf(db.read, id, digest, MOST_OF_ONE)
    const paths = await pathsOfContent(db.read, id, digest, MOST_OF_ONE)
    return [
      ...loose.map((one) => ({ ...at, path: undefined, loose: one })),
      ...paths.map((path) => ({ ...at, path, loose: undefined })),
    ]
  }
  return {
    async list(principal, repository, name) {
      const digest = digestNamed(name)
      if (digest === undefined) return []
      const reach = callerReach(principal, await rights.grantsOf(principal))
      const own = readable(await within(repository, digest), name, reach)
      if (own.length > 0) return own
      return readable(await placesOfBlob(db.read, digest, { types, visible: reach.visible }), name, reach).slice(
        0,
        MOST,
      )
    },
  }
}

function readable(places: readonly BlobPlace[], name: ContentName, { may }: CallerReach): string[] {
  const found = places.flatMap((place) => {
    const image = imageOf(place, name)
    const repository = { project: place.project, name: place.repo, id: place.repoId, public: place.public }
    return image !== undefined && may('DOWNLOAD', repository, image) ? [`${place.project}/${place.repo}/${image}`] : []
  })
  return [...new Set(found)]
}

/** Undefined: the content lies there as something else. */
function imageOf({ path, loose }: BlobPlace, name: ContentName): string | undefined {
  if (loose !== undefined) return loose.name === name ? loose.image : undefined
  const image = path!.slice(1, path!.lastIndexOf('/blobs/')) as ImageName
  return path === blobPath(image, name) ? image : undefined
}
