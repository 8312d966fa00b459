import type { BlobIntake } from '../artifacts/blobs/blob-intake.ts'
import { createContentReads } from '../artifacts/downloads/content-reads.ts'
import { createBlobSources } from '../artifacts/images/blob-sources.ts'
import { createImageBlobs } from '../artifacts/images/image-blobs.ts'
import { createImageCatalog } from '../artifacts/images/image-catalog.ts'
import { createImageUploads } from '../artifacts/images/image-uploads.ts'
import { sweepLooseBlobs } from '../artifacts/images/loose-blob-sweep.ts'
import { createSmallImageBlobs } from '../artifacts/images/small-image-blobs.ts'
import { createUploadIds } from '../artifacts/images/upload-ids.ts'
import type { PackageDeletion } from '../artifacts/packages/package-deletion.ts'
import type { Packages } from '../artifacts/packages/packages.ts'
import type { Publishing } from '../artifacts/packages/publishing.ts'
import type { RepositoryPasswords } from '../artifacts/proxies/repository-passwords.ts'
import type { Repositories } from '../artifacts/repositories/repositories.ts'
import type { Rights } from '../auth/rights.ts'
import type { HlcClock } from '../core/hlc.ts'
import type { ForeignDeps, ForeignSources } from '../formats/foreign.ts'
import { blobOperations } from '../formats/oci/blobs.ts'
import { ociForeignSources } from '../formats/oci/foreign-source.ts'
import { createManifestStore } from '../formats/oci/manifest-store.ts'
import { manifestOperations } from '../formats/oci/manifests.ts'
import type { Operations } from '../formats/oci/operation.ts'
import { operationsByCategory } from '../formats/oci/operations-by-category.ts'
import { listReferrers } from '../formats/oci/referrers.ts'
import { listTags } from '../formats/oci/tags.ts'
import { uploadOperations } from '../formats/oci/uploads.ts'
import { virtualOperations } from '../formats/oci/virtual-repository.ts'
import type { OutgoingRules } from '../remotes/outgoing-url.ts'
import type { SmallBlobs } from '../storage/small-blobs.ts'
import type { Ground } from './ground.ts'
import { createImageFetching } from './image-fetching.ts'

export interface ImageParts {
  readonly rights: Rights
  readonly smallBlobs: SmallBlobs
  readonly repositories: Repositories
  readonly intake: BlobIntake
  readonly hlc: HlcClock
  readonly packages: Packages
  readonly publishing: Publishing
  readonly deletion: PackageDeletion
  readonly passwordsOfProxies: RepositoryPasswords
  readonly rules: OutgoingRules
}

/** What the registry of images is made of. */
export function createImages(ground: Ground, parts: ImageParts) {
  const { rights, smallBlobs, repositories, intake, hlc, packages, publishing, deletion } = parts
  const { db, store, clock, config } = ground
  const keptMs = config.images.looseBlobHours * 3_600_000
  const blobs = createImageBlobs({ db, clock, hlc })
  const uploads = createImageUploads({
    ...{ db, intake, clock, spool: ground.pushes },
    small: createSmallImageBlobs({ db, intake, clock, smallBlobs }),
    ids: createUploadIds(ground),
    onLeftover: (err) => ground.warn('bytes of an upload were not removed', { err }),
  })
  const manifests = createManifestStore({ db, clock, blobs: store, smallBlobs })
  const own: Operations = {
    ...manifestOperations({ db, clock, manifests, publishing, deletion }),
    ...blobOperations(blobs),
    ...uploadOperations({ uploads, blobs, repositories }),
    listTags: listTags({ db }),
    listReferrers: listReferrers({ db, manifests }),
  }
  const fetching = createImageFetching(ground, { ...parts, own, blobs, manifests })
  const virtual = virtualOperations({ db, own, fetching: fetching.operations })
  const operations = operationsByCategory(own, fetching.operations, virtual)
  return {
    operations,
    run: fetching.run,
    /** By repository type: how images come from registries of others, to stay. */
    sources(foreign: ForeignDeps): ReadonlyMap<string, ForeignSources> {
      const all = ociForeignSources({ ...foreign, db, manifests, packages, publishing, arrivals: fetching.arrivals })
      return new Map(['DOCKER', 'OCI'].map((type) => [type, all]))
    },
    uploads,
    sweepLooseBlobs: (signal: AbortSignal) => sweepLooseBlobs({ db, clock, keptMs }, signal),
    contents: createContentReads({ blobs: store, smallBlobs }),
    catalog: createImageCatalog({ db, rights, types: ['DOCKER', 'OCI'] }),
    blobSources: createBlobSources({ db, rights, types: ['DOCKER', 'OCI'] }),
  }
}
