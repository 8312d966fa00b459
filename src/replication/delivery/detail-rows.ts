import type { NodePath } from '../../core/paths.ts'
import type { DetailWrite } from '../../metadata/replication/record-details.ts'
import type { SourceFile } from '../../metadata/replication/source-files.ts'
import { detailIdOf } from '../runs/link-key.ts'
import { executeTypeOf, type RunObject, type RunSpec } from '../runs/run-spec.ts'
import type { Outcome } from './outcome.ts'

/** Where a detail belongs: one link of one run. */
export interface DetailPlace {
  readonly spec: RunSpec
  readonly object: RunObject
  readonly linkId: number
}

const base = ({ spec, object, linkId }: DetailPlace, path: string) => ({
  id: detailIdOf(spec.recordId, linkId, path),
  recordId: spec.recordId,
  linkId,
  path,
  executeType: executeTypeOf(object),
})

/** Of an artifact whose outcome is known. */
export function finishedDetail(place: DetailPlace, outcome: Outcome): DetailWrite {
  const { item, startedAt, endedAt, attempts } = outcome
  return {
    ...base(place, item.path),
    digest: item.kind === 'file' ? item.file.digest : null,
    sizeBytes: item.kind === 'file' ? item.file.sizeBytes : null,
    status: outcome.result === 'failed' ? 'FAILED' : 'SUCCESS',
    conflictStrategy: outcome.conflict ? place.spec.conflictStrategy : null,
    errorReason: outcome.reason ?? null,
    startedAt,
    endedAt,
    attempts,
  }
}

/** Of a transfer in parts, while it lasts (replication.md 8). */
export function runningDetail(place: DetailPlace, file: SourceFile, startedAt: number): DetailWrite {
  return {
    ...base(place, file.path),
    digest: file.digest,
    sizeBytes: file.sizeBytes,
    status: 'RUNNING',
    conflictStrategy: null,
    errorReason: null,
    startedAt,
    endedAt: null,
    attempts: 1,
  }
}

/** Of a path that the task names and that is not there. */
export function missingDetail(place: DetailPlace, path: NodePath, now: number): DetailWrite {
  return {
    ...base(place, path),
    digest: null,
    sizeBytes: null,
    status: 'FAILED',
    conflictStrategy: null,
    errorReason: `Node [${path}] not found (251010): nothing is stored at this path of the task`,
    startedAt: now,
    endedAt: now,
    attempts: 1,
  }
}
