import { horizonBefore } from '../../metadata/changes/change-numbers.ts'
import { netChanges } from '../../metadata/changes/change-spans.ts'
import { longReads } from '../../metadata/long-reads.ts'
import { listDivergences } from '../../metadata/replication/divergences.ts'
import type { Link } from '../../metadata/replication/links.ts'
import type { RunSpec } from '../runs/run-spec.ts'
import { checkDeleteGuard } from './delete-guard.ts'
import { sizeOfScope } from './described-files.ts'
import type { DifferenceDeps, LinkScope } from './difference.ts'
import { targetFilesAt } from './difference-by-cursor.ts'
import { findDeletions } from './find-deletions.ts'

/** Deletions that follow each other within this time are judged together: a large tree is deleted in many transactions. */
export const GUARD_HORIZON_MS = 10 * 60_000

/**
 * The guard for whoever follows changes as they come: asked about those numbered in (from, to] before the first of them is sent.
 * @param before deletions that were let through within the horizon. @returns how many these are.
 * @throws AppError TASK_FAILED: nothing of the window may be sent.
 */
export async function guardWindow(
  deps: Omit<DifferenceDeps, 'ask'>,
  { link, scope, spec, repository }: GuardedLink,
  { from, to }: Span,
  before: number,
): Promise<number> {
  const { propagateDelete, deleteGuard } = spec
  if (!propagateDelete) return 0
  const reader = longReads(deps.db)
  const changes = await netChanges(reader, scope.repository.id, { from, to, ranges: scope.ranges })
  const { counted } = await findDeletions(deps.db, scope, endedIn(changes), deps.echoes)
  const deletions = counted + before
  if (counted === 0 || deletions <= deleteGuard.maxCount) return counted
  const { files } = await sizeOfScope(deps, scope, [])
  const ledger = await listDivergences(reader, link.id, scope.ranges)
  const targetFiles = targetFilesAt(scope, files, changes, ledger) + before
  checkDeleteGuard(deleteGuard, { deletions, targetFiles }, repository)
  return counted
}

/** Deletions up to `seq` that are within the horizon of the change after it: whoever begins to follow there knows of none. */
export async function deletionsBefore(
  { db, echoes }: Pick<DifferenceDeps, 'db' | 'echoes'>,
  { scope, spec }: Pick<GuardedLink, 'scope' | 'spec'>,
  seq: number,
): Promise<number> {
  if (!spec.propagateDelete) return 0
  const from = await horizonBefore(longReads(db), scope.repository.id, seq, GUARD_HORIZON_MS)
  if (from === undefined) return 0
  const changes = await netChanges(longReads(db), scope.repository.id, { from, to: seq, ranges: scope.ranges })
  return (await findDeletions(db, scope, endedIn(changes), echoes)).counted
}

const endedIn = (changes: ReadonlyMap<string, number>) => [...changes].flatMap(([path, net]) => (net < 0 ? [path] : []))

/** Of one link. */
export interface WindowGuard {
  /** `deletionsBefore`. */
  before(seq: number): Promise<number>
  /** `guardWindow`. */
  let(span: Span, before: number): Promise<number>
}

export interface Span {
  readonly from: number
  readonly to: number
}
interface GuardedLink {
  readonly link: Pick<Link, 'id'>
  readonly scope: LinkScope
  readonly spec: Pick<RunSpec, 'propagateDelete' | 'deleteGuard'>
  readonly repository: string
}
