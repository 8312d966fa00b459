import type { StreamBegin } from '../../remotes/cluster/frames/frame.ts'
import { SYNC_PROTOCOL, type SyncLimits } from '../../remotes/cluster/messages.ts'
import type { BatchLimits } from '../delivery/batches.ts'
import type { RunObject, RunSpec } from './run-spec.ts'

/** What streams of a link say of themselves, whether they write or only ask what would be. */
export function beginOf(
  { spec, object }: { readonly spec: RunSpec; readonly object: RunObject },
  sourceId: string,
  epoch: string,
): Omit<StreamBegin, 'stream' | 'fence'> {
  return {
    protocol: SYNC_PROTOCOL,
    sourceId,
    project: object.remoteProject,
    repo: object.remoteRepo,
    epoch,
    run: spec.run,
    includeMetadata: spec.includeMetadata,
    conflictStrategy: spec.conflictStrategy,
    stopAtFailure: spec.errorStrategy === 'FAST_FAIL',
    honourTombstones: spec.propagateDelete,
    realTime: spec.follows !== undefined,
    fromProject: object.localProject,
    fromRepo: object.localRepo,
  }
}

/** Cluster id of the last writer of a row. @param peers by `peer.id`; 0 is this cluster. */
export const originsBy =
  (peers: ReadonlyMap<number, string>, clusterId: string) =>
  (origin: number): string =>
    origin === 0 ? clusterId : (peers.get(origin) ?? clusterId)

export function batchLimits(
  { inlineMaxBytes, batchFiles }: { readonly inlineMaxBytes: number; readonly batchFiles: number },
  limits: SyncLimits | undefined,
): BatchLimits {
  return {
    files: atMost(batchFiles, limits?.missingDigests, 1),
    inlineMaxBytes: atMost(inlineMaxBytes, limits?.inlineMaxBytes, 0),
  }
}

/** Our own limit, or the target's where that is lower; what it says must make sense. */
function atMost(ours: number, theirs: unknown, least: number): number {
  return typeof theirs === 'number' && theirs >= least ? Math.min(ours, theirs) : ours
}
