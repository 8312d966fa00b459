import { headSeq } from '../../metadata/changes/change-numbers.ts'
import { changeSpan, netChanges } from '../../metadata/changes/change-spans.ts'
import { numberChanges } from '../../metadata/changes/sequencer.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { longReads } from '../../metadata/long-reads.ts'
import { listDivergences } from '../../metadata/replication/divergences.ts'
import type { Link } from '../../metadata/replication/links.ts'
import type { OpenAnswer } from '../../remotes/cluster/messages.ts'
import type { RunSpec } from '../runs/run-spec.ts'
import { whole } from './described-files.ts'
import { type Changes, type Difference, type DifferenceDeps, type LinkScope, NO_CHANGES } from './difference.ts'
import { byCursor } from './difference-by-cursor.ts'
import { byRanges } from './difference-by-ranges.ts'
import { findDeletions, NO_DELETIONS } from './find-deletions.ts'
import { NOTHING_UNSETTLED, unsettledPaths } from './unsettled-paths.ts'

/** A cursor that lies further back than this is slower than reconciling. */
const MAX_CURSOR_CHANGES = 200_000

/**
 * With a valid cursor: the paths that changed since. Otherwise both sides compare range fingerprints (sync.md B.4). This is the one
 * place that decides what is looked at.
 */
export async function findDifference(
  deps: DifferenceDeps,
  link: Link,
  scope: LinkScope,
  spec: RunSpec,
  answer: OpenAnswer,
  signal: AbortSignal,
): Promise<Difference> {
  const { db } = deps
  await numberChanges(db)
  const toSeq = await headSeq(db.read, scope.repository.id)
  const ledger = await listDivergences(longReads(db), link.id, scope.ranges)
  const fromSeq = await knownSince(db, link, scope, toSeq)
  const changed = fromSeq === undefined ? NO_CHANGES : await changedSince(db, scope, fromSeq, toSeq)
  const remote = answer.head
  // Asked what would be: the target has no such repository, and so nothing of the scope.
  if (answer.creates !== undefined) {
    const work = { ranges: scope.ranges, paths: [], kept: [], ledger: { looked: [], found: [] } }
    const plan = { mode: 'ranges', toSeq, remote } as const
    return whole(deps, scope, plan, { work, deletions: NO_DELETIONS, targetFiles: () => 0 })
  }
  const canTell = answer.hello.features.earlierRuns
  const unsettled = canTell ? await unsettledPaths(deps, link, scope, spec) : NOTHING_UNSETTLED
  if (fromSeq !== undefined && answer.pure && !(await mayBeLeftThere(deps, scope, spec, changed))) {
    return byCursor(deps, scope, spec, { ledger, unsettled }, { mode: 'cursor', toSeq, remote }, changed)
  }
  const known = { ledger, unsettled, isNewScope: link.scopeHash !== scope.scopeHash }
  return byRanges(deps, scope, spec, known, { mode: 'ranges', toSeq, remote }, changed, signal)
}

/**
 * Whether a file came and went since the cursor, where deletions travel: a run that went on after it had looked, or was given up, may have
 * brought it over in between, which only a comparison tells.
 */
async function mayBeLeftThere(
  { db, echoes }: DifferenceDeps,
  scope: LinkScope,
  { propagateDelete }: RunSpec,
  changed: Changes,
): Promise<boolean> {
  if (!propagateDelete) return false
  const asBefore = [...changed].flatMap(([path, net]) => (net === 0 ? [path] : []))
  return (await findDeletions(db, scope, asBefore, echoes)).planned.length > 0
}

/** The position since which our own log tells all that changed here; undefined when it does not. */
async function knownSince(db: MetadataDatabase, link: Link, scope: LinkScope, toSeq: number) {
  const { cursor } = link
  const { repository } = scope
  if (cursor === undefined || link.scopeHash !== scope.scopeHash) return undefined
  if (cursor.repoEpoch !== repository.epoch || cursor.ackedSeq < repository.floorSeq || cursor.ackedSeq > toSeq)
    return undefined
  const span = await changeSpan(longReads(db), repository.id, {
    from: cursor.ackedSeq,
    to: toSeq,
    limit: MAX_CURSOR_CHANGES + 1,
  })
  return span > MAX_CURSOR_CHANGES ? undefined : cursor.ackedSeq
}

async function changedSince(db: MetadataDatabase, scope: LinkScope, from: number, to: number): Promise<Changes> {
  const changes = await netChanges(longReads(db), scope.repository.id, { from, to, ranges: scope.ranges })
  const { filter } = scope
  return filter === undefined ? changes : new Map([...changes].filter(([path]) => filter(path)))
}
