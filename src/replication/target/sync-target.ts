import type { BlobIntake } from '../../artifacts/blobs/blob-intake.ts'
import type { Projects } from '../../artifacts/repositories/projects.ts'
import type { Repositories } from '../../artifacts/repositories/repositories.ts'
import type { Clock } from '../../core/clock.ts'
import type { HlcClock } from '../../core/hlc.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type {
  ApplyAnswer,
  ApplyRequest,
  CompareAnswer,
  CompareRequest,
  OpenAnswer,
  OpenRequest,
} from '../../remotes/cluster/messages.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import type { UploadSpool } from '../../storage/upload-spool.ts'
import { createApplier } from './apply.ts'
import { createComparer } from './compare.ts'
import { createLinkOpener } from './open-link.ts'
import { type BlobReceiver, createBlobReceiver } from './receive-blobs.ts'
import { createUploadReceiver, type UploadReceiver } from './receive-uploads.ts'

/** All that other clusters may do here; `http/replication/sync-routes.ts` is its edge. */
export interface SyncTarget {
  open(linkKey: string, request: OpenRequest, by: string): Promise<OpenAnswer>
  compare(linkKey: string, request: CompareRequest): Promise<CompareAnswer>
  apply(linkKey: string, request: ApplyRequest): Promise<ApplyAnswer>
  readonly blobs: BlobReceiver
  readonly uploads: UploadReceiver
}

export interface SyncTargetDeps {
  readonly db: MetadataDatabase
  readonly store: BlobStore
  readonly spool: UploadSpool
  readonly intake: BlobIntake
  readonly projects: Projects
  readonly repositories: Repositories
  readonly clock: Clock
  readonly hlc: HlcClock
  readonly clusterId: string
  readonly limits: { readonly inlineMaxBytes: number; readonly partSizeBytes: number }
}

export function createSyncTarget(deps: SyncTargetDeps): SyncTarget {
  const { inlineMaxBytes, partSizeBytes } = deps.limits
  return {
    open: createLinkOpener(deps),
    compare: createComparer(deps),
    apply: createApplier(deps),
    blobs: createBlobReceiver({ ...deps, inlineMaxBytes }),
    uploads: createUploadReceiver({ ...deps, partSizeBytes }),
  }
}
