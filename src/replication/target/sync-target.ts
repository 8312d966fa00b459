import type { BlobIntake } from '../../artifacts/blobs/blob-intake.ts'
import type { StoredCheck } from '../../artifacts/blobs/stored-check.ts'
import type { RulesOf } from '../../artifacts/packages/package-rules.ts'
import type { Projects } from '../../artifacts/repositories/projects.ts'
import type { Repositories } from '../../artifacts/repositories/repositories.ts'
import type { Clock } from '../../core/clock.ts'
import type { Digest } from '../../core/digest.ts'
import type { HlcClock } from '../../core/hlc.ts'
import type { Ids } from '../../core/ids.ts'
import type { Metrics } from '../../core/metrics.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type { AccessAnswer, AccessRequest } from '../../remotes/cluster/access-messages.ts'
import type { CreditFrame, PingFrame, SourceFrame, TargetFrame } from '../../remotes/cluster/frames/frame.ts'
import type { OpenAnswer, OpenRequest } from '../../remotes/cluster/messages.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import type { UploadSpool } from '../../storage/upload-spool.ts'
import { createAccessApplier } from '../access/apply-access.ts'
import { createBatchCommitter } from './commit-batch.ts'
import { createMissingBlobs } from './missing-blobs.ts'
import { createMissingInStorage } from './missing-in-storage.ts'
import { createLinkOpener } from './open-link.ts'
import { type BlobReceiver, createBlobReceiver } from './receive-blobs.ts'
import { createStreamReceiver } from './receive-stream.ts'
import { createUploadReceiver, type UploadReceiver } from './receive-uploads.ts'

/** All that other clusters may do here; `http/replication/sync-routes.ts` is its edge. */
export interface SyncTarget {
  open(linkKey: string, request: OpenRequest, by: string): Promise<Omit<OpenAnswer, 'hello'>>
  /**
   * Takes the frames of one stream, in batches as they arrive (BEGIN is the first of the first batch, END the last of the last), and
   * answers by `reply`, which resolves when more may be given: ACK, END, FENCED (the last one then). Pings are answered, and
   * credit is given with each ACK, by the edge. @throws AppError when the stream as a whole is refused, at any time: the edge knows
   * the contract's codes and makes it a REFUSED frame; whatever else was thrown is a fault of the connection or ours.
   */
  receive(
    linkKey: string,
    frames: AsyncIterable<readonly Exclude<SourceFrame, PingFrame>[]>,
    reply: (frame: Exclude<TargetFrame, CreditFrame | PingFrame>) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void>
  /** Bit `n` (most significant first) is 1 when the bytes of digest `n` are not here; the others are kept for most of the grace time. */
  missing(digests: readonly Digest[]): Promise<Buffer>
  /** The same, by a look at the storage as well: a row alone proves no bytes. */
  missingInStorage(digests: readonly Digest[], signal: AbortSignal): Promise<Buffer>
  /** Reads stored bytes again. */
  readonly stored: StoredCheck
  /** Users, roles and permissions of another cluster. @param caller stays as it is. */
  copyAccess(request: AccessRequest, caller: string): Promise<AccessAnswer>
  readonly blobs: BlobReceiver
  readonly uploads: UploadReceiver
}

export interface SyncTargetDeps {
  readonly db: MetadataDatabase
  readonly store: BlobStore
  readonly stored: StoredCheck
  readonly spool: UploadSpool
  readonly intake: BlobIntake
  readonly projects: Projects
  readonly repositories: Repositories
  readonly clock: Clock
  readonly ids: Ids
  readonly hlc: HlcClock
  readonly clusterId: string
  /** Of types that know packages. */
  readonly rulesOf: RulesOf
  readonly metrics: Pick<Metrics, 'syncReceivedBytes' | 'syncRedundantBytes'>
  /** Of the collection of blobs. */
  readonly graceMs: number
  readonly limits: { readonly inlineMaxBytes: number; readonly partSizeBytes: number }
}

export function createSyncTarget(deps: SyncTargetDeps): SyncTarget {
  const { partSizeBytes } = deps.limits
  const missing = createMissingBlobs(deps)
  return {
    open: createLinkOpener(deps),
    receive: createStreamReceiver({ ...deps, commitBatch: createBatchCommitter(deps) }),
    missing,
    missingInStorage: createMissingInStorage(deps.store, missing),
    stored: deps.stored,
    copyAccess: createAccessApplier(deps),
    blobs: createBlobReceiver(deps),
    uploads: createUploadReceiver({ ...deps, partSizeBytes }),
  }
}
