import { parsePackagePath } from '../../core/package-key.ts'
import type { DetailWrite } from '../../metadata/replication/record-details.ts'
import { isPackageWords } from '../../tasks/constraints/package-words.ts'
import { detailIdOf } from '../runs/link-key.ts'
import { executeTypeOf, type RunObject, type RunSpec } from '../runs/run-spec.ts'
import type { AnyOutcome } from './outcome.ts'
import { type EndedItem, sizeOf, type WorkItem } from './work-item.ts'

/** Where a detail belongs: one link of one run. */
export interface DetailPlace {
  readonly spec: RunSpec
  readonly object: RunObject
  readonly linkId: number
  /** Of changes that are followed as they come. */
  readonly executeType?: 'DELTA'
}

const base = ({ spec, object, linkId, executeType }: DetailPlace, path: string) => ({
  id: detailIdOf(spec.recordId, linkId, path),
  recordId: spec.recordId,
  linkId,
  path,
  packageKey: parsePackagePath(path)?.key ?? null,
  version: parsePackagePath(path)?.version ?? null,
  executeType: executeType ?? executeTypeOf(object),
})

/** A version has no digest of its own. */
const contentOf = (item: EndedItem) => ({
  digest: item.kind === 'file' ? item.file.digest : null,
  sizeBytes: sizeIn(item),
})

const sizeIn = (item: EndedItem): number | null =>
  item.kind === 'import' ? item.sizeBytes : item.kind === 'file' || item.kind === 'version' ? sizeOf(item) : null

/** Of an artifact whose outcome is known. */
export function finishedDetail(place: DetailPlace, outcome: AnyOutcome): DetailWrite {
  const { item, startedAt, endedAt, attempts } = outcome
  return {
    ...base(place, item.path),
    ...contentOf(item),
    status: outcome.result === 'failed' ? 'FAILED' : 'SUCCESS',
    conflictStrategy: outcome.conflict ? place.spec.conflictStrategy : null,
    errorReason: outcome.reason ?? null,
    startedAt,
    endedAt,
    attempts,
  }
}

/** Of a transfer in parts, while it lasts (replication.md 8). */
export function runningDetail(place: DetailPlace, item: WorkItem, startedAt: number): DetailWrite {
  return {
    ...base(place, item.path),
    ...contentOf(item),
    status: 'RUNNING',
    conflictStrategy: null,
    errorReason: null,
    startedAt,
    endedAt: null,
    attempts: 1,
  }
}

/** Of a path, a package or a version that the task names and that is not there, or a pattern of it that nothing fits. */
export function missingDetail(place: DetailPlace, path: string, now: number): DetailWrite {
  return {
    ...base(place, path),
    digest: null,
    sizeBytes: null,
    status: 'FAILED',
    conflictStrategy: null,
    errorReason: whyMissing(path),
    startedAt: now,
    endedAt: now,
    attempts: 1,
  }
}

/** What the task names, and nobody stored. */
export function whyMissing(path: string): string {
  if (isPackageWords(path))
    return `No version fits ${path} (251019): look at the packages of the repository, or change the constraint`
  const place = parsePackagePath(path)
  if (place === undefined)
    return `Node [${path}] not found (251010): the task names it, and nothing that is stored fits`
  const { key, version } = place
  return version === undefined
    ? `Package [${key}] not found (251017): the task names it, and the repository has no such package`
    : `Version [${version}] of package [${key}] not found (251019): the task names it, and the package has no such version`
}
