import { type RangeSum, sumOfRow } from '../../core/fingerprint.ts'
import { type PathRange, rangeHolds } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import { changedPaths, changeSpan, headSeq } from '../../metadata/change-log.ts'
import type { MetadataDatabase, Reader } from '../../metadata/database.ts'
import { type Divergence, listDivergences } from '../../metadata/replication/divergences.ts'
import type { LinkPlan } from '../../metadata/replication/exec-links.ts'
import type { Link } from '../../metadata/replication/links.ts'
import { countExpired, filesAt } from '../../metadata/replication/source-files.ts'
import { numberChanges } from '../../metadata/sequencer.ts'
import type { Precondition } from '../../remotes/cluster/frames/frame.ts'
import type { OpenAnswer } from '../../remotes/cluster/messages.ts'
import { ABSENT, comparedLanes, UNKNOWN } from '../delivery/work-item.ts'
import { type Fingerprints, sumsOf } from '../recon/fingerprints.ts'
import { type Differences, reconcile } from '../recon/reconcile.ts'
import type { RunSpec } from '../runs/run-spec.ts'

/** Where a link's files are, and since when the link knows them. */
export interface LinkScope {
  readonly repository: { readonly id: number; readonly epoch: string; readonly floorSeq: number }
  readonly ranges: readonly PathRange[]
  readonly scopeHash: string
}

export interface PlannedFile {
  readonly path: string
  readonly sizeBytes: number
  readonly expect: Precondition
}

/** What has to be looked at so that the target equals the scope, and what is known without a look. */
export interface Difference {
  readonly plan: LinkPlan
  /** The target has nothing in these: all that the source has there is to be sent. */
  readonly ranges: readonly PathRange[]
  /** Ascending by path bytes. */
  readonly paths: readonly PlannedFile[]
  /** Known to differ, and to be left as they are. */
  readonly kept: readonly PlannedFile[]
  /** Files of the scope that are proven to be equal. */
  readonly unchanged: number
  /** What the ledger holds afterwards of the paths in `looked`. */
  readonly ledger: { readonly looked: readonly string[]; readonly found: readonly Divergence[] }
}

export interface DifferenceDeps {
  readonly db: MetadataDatabase
  /** Of the source's repository. */
  readonly fingerprints: Fingerprints
  /** One round of reconciliation at the target. */
  ask(message: Buffer, signal: AbortSignal): Promise<Buffer>
  readonly now: number
}

/** A cursor that lies further back than this is slower than reconciling. */
const MAX_CURSOR_CHANGES = 200_000
/** More scattered differences than this are not named one by one: the target is offered the whole scope. */
const MAX_NAMED = 200_000
/** Files. */
const SMALL_RANGE = 1_000
const PATHS_PER_QUERY = 500

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
  const fromSeq = await validCursor(db, link, scope, answer, toSeq)
  const remote = answer.head
  if (fromSeq !== undefined) {
    const plan = { mode: 'cursor', fromSeq, toSeq, remote } as const
    return byCursor(deps, scope, spec, ledger, plan)
  }
  const plan = { mode: 'ranges', fromSeq: null, toSeq, remote } as const
  return byRanges(deps, scope, spec, ledger, plan, signal)
}

/** Planning may read long: on SQLite not in this thread. */
export const longReads = (db: MetadataDatabase): Reader => (db.dialect === 'sqlite' ? db.slow : db.read)

/** The position to go on from; undefined when it proves nothing any more. */
async function validCursor(db: MetadataDatabase, link: Link, scope: LinkScope, answer: OpenAnswer, toSeq: number) {
  const { cursor } = link
  const { repository } = scope
  if (cursor === undefined || !answer.pure || link.scopeHash !== scope.scopeHash) return undefined
  if (cursor.repoEpoch !== repository.epoch || cursor.ackedSeq < repository.floorSeq || cursor.ackedSeq > toSeq)
    return undefined
  const span = await changeSpan(longReads(db), repository.id, {
    from: cursor.ackedSeq,
    to: toSeq,
    limit: MAX_CURSOR_CHANGES + 1,
  })
  return span > MAX_CURSOR_CHANGES ? undefined : cursor.ackedSeq
}

/** What SKIP leaves as it is, as long as neither side changes it. */
const isAccepted = ({ reason, delta }: Divergence, { conflictStrategy }: RunSpec): boolean =>
  reason === 'conflict' && delta !== undefined && conflictStrategy === 'SKIP'

type Plan = Omit<LinkPlan, 'scopeFiles' | 'plannedFiles'>

async function byCursor(
  deps: DifferenceDeps,
  scope: LinkScope,
  spec: RunSpec,
  ledger: readonly Divergence[],
  plan: Plan & { readonly fromSeq: number },
): Promise<Difference> {
  const repoId = scope.repository.id
  const span = { from: plan.fromSeq, to: plan.toSeq, ranges: scope.ranges }
  const changed = new Set(await changedPaths(longReads(deps.db), repoId, span))
  const rest = ledger.filter(({ path }) => !changed.has(path))
  const again = rest.filter((one) => one.reason !== 'foreign' && !isAccepted(one, spec)).map(({ path }) => path)
  const paths = await describe(deps, repoId, new Map([...changed, ...again].map((path) => [path, UNKNOWN])))
  const accepted = rest.filter((one) => isAccepted(one, spec)).map(({ path }) => [path, UNKNOWN] as const)
  const kept = await describe(deps, repoId, new Map(accepted))
  return whole(deps, scope, plan, { ranges: [], paths, kept, ledger: { looked: [], found: [] } })
}

async function byRanges(
  deps: DifferenceDeps,
  scope: LinkScope,
  spec: RunSpec,
  ledger: readonly Divergence[],
  plan: Plan,
  signal: AbortSignal,
): Promise<Difference> {
  const { fingerprints } = deps
  const counted = ledger.filter((one) => one.reason === 'foreign' || isAccepted(one, spec))
  const found = await reconcile(
    {
      local: fingerprints,
      ask: deps.ask,
      scope: scope.ranges,
      compared: comparedLanes(spec.includeMetadata),
      ledger: counted.map(({ path, delta }) => ({ path, delta: delta! })),
      atMost: MAX_NAMED,
    },
    signal,
  )
  if (!found.complete) {
    const nothing = { looked: [], found: [] }
    return whole(deps, scope, plan, { ranges: scope.ranges, paths: [], kept: [], ledger: nothing })
  }
  const { ranges, paths } = await withoutSmallRanges(fingerprints, found.missingRanges)
  const named = new Map<string, Precondition>([
    ...[...found.missing, ...paths].map((path) => [path, ABSENT] as const),
    ...found.differing.map(({ path, remoteId }) => [path, { is: 'row', id: remoteId }] as const),
  ])
  const isLooked = (path: string) => named.has(path) || ranges.some((range) => rangeHolds(range, path))
  const changed = new Set(found.changedLedgerPaths)
  const stays = ({ path, reason }: Divergence) => reason === 'conflict' && !changed.has(path) && !isLooked(path)
  const accepted = counted.filter(stays)
  return whole(deps, scope, plan, {
    ranges,
    paths: await describe(deps, scope.repository.id, named),
    kept: await describe(deps, scope.repository.id, new Map(accepted.map(({ path }) => [path, UNKNOWN]))),
    ledger: settledBy(found, ledger, isLooked),
  })
}

/** A range is worth a shard of its own when it holds much; the others are named path by path. */
async function withoutSmallRanges(fingerprints: Fingerprints, missing: readonly PathRange[]) {
  const sums = await sumsOf(fingerprints, missing)
  const ranges = missing.filter((_, index) => sums[index]!.rows > SMALL_RANGE)
  const paths: string[] = []
  for (const [index, range] of missing.entries()) {
    if (sums[index]!.rows > SMALL_RANGE) continue
    for (const { path } of await fingerprints.rows(range, SMALL_RANGE)) paths.push(path)
  }
  return { ranges, paths }
}

/** Foreign rows come and go; what failed and is equal by now is no divergence any more. */
function settledBy(found: Differences, ledger: readonly Divergence[], isLooked: (path: string) => boolean) {
  const foreign = found.foreign.map((row): Divergence => ({ path: row.path, reason: 'foreign', delta: sumOfRow(row) }))
  const gone = ledger.filter(({ path, reason }) => reason === 'failed' && !isLooked(path)).map(({ path }) => path)
  const looked = new Set([...foreign.map(({ path }) => path), ...found.changedLedgerPaths, ...gone])
  return { looked: [...looked].filter((path) => !isLooked(path)), found: foreign }
}

/** Totals that only fingerprints know without reading every row. */
async function whole(
  deps: DifferenceDeps,
  scope: LinkScope,
  plan: Plan,
  work: Omit<Difference, 'plan' | 'unchanged'>,
): Promise<Difference> {
  const { fingerprints, db, now } = deps
  const [inScope, inRanges] = [await sumsOf(fingerprints, scope.ranges), await sumsOf(fingerprints, work.ranges)]
  const expired = await countExpired(longReads(db), scope.repository.id, scope.ranges, now)
  const scopeFiles = rowsOf(inScope) - expired
  const looked = rowsOf(inRanges) + work.paths.length
  const unchanged = Math.max(0, scopeFiles - looked - work.kept.length)
  return { ...work, plan: { ...plan, scopeFiles, plannedFiles: looked + work.kept.length }, unchanged }
}
const rowsOf = (sums: readonly RangeSum[]) => sums.reduce((total, { rows }) => total + rows, 0)

/** Those of the paths that are live files now, ascending. */
async function describe(
  { db, now }: DifferenceDeps,
  repoId: number,
  wanted: ReadonlyMap<string, Precondition>,
): Promise<PlannedFile[]> {
  const paths = [...wanted.keys()].sort(comparePaths)
  const found: PlannedFile[] = []
  for (let at = 0; at < paths.length; at += PATHS_PER_QUERY) {
    const files = await filesAt(longReads(db), repoId, paths.slice(at, at + PATHS_PER_QUERY), now)
    for (const { path, sizeBytes } of files) found.push({ path, sizeBytes, expect: wanted.get(path)! })
  }
  return found
}
