import { type RangeSum, sumOfRow } from '../../core/fingerprint.ts'
import { holderOf, type PathRange } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import { changedPaths, changeSpan, headSeq } from '../../metadata/change-log.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { longReads } from '../../metadata/long-reads.ts'
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
  /** Of `ranges`, `paths` and `kept` together. */
  readonly files: number
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
/** More scattered differences than this, or missing paths, are not named one by one: the target is offered the whole scope. */
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
  const fromSeq = await knownSince(db, link, scope, toSeq)
  const changed = fromSeq === undefined ? [] : await changedSince(db, scope, fromSeq, toSeq)
  const remote = answer.head
  if (fromSeq !== undefined && answer.pure) {
    return byCursor(deps, scope, spec, ledger, { mode: 'cursor', toSeq, remote }, new Set(changed))
  }
  return byRanges(deps, scope, spec, ledger, { mode: 'ranges', toSeq, remote }, changed, signal)
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

const changedSince = (db: MetadataDatabase, { repository, ranges }: LinkScope, from: number, to: number) =>
  changedPaths(longReads(db), repository.id, { from, to, ranges })

/** What SKIP leaves as it is, as long as neither side changes it and it differs in what is compared. */
function isAccepted({ reason, delta }: Divergence, { conflictStrategy, includeMetadata }: RunSpec): boolean {
  if (reason !== 'conflict' || delta === undefined || conflictStrategy !== 'SKIP') return false
  return includeMetadata || delta.rows !== 0 || delta.content.some((lane) => lane !== 0n)
}

async function byCursor(
  deps: DifferenceDeps,
  scope: LinkScope,
  spec: RunSpec,
  ledger: readonly Divergence[],
  plan: LinkPlan,
  changed: ReadonlySet<string>,
): Promise<Difference> {
  const repoId = scope.repository.id
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
  plan: LinkPlan,
  changedHere: readonly string[],
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
  const missing = found.complete ? await withoutSmallRanges(fingerprints, found.missingRanges) : undefined
  if (missing === undefined) {
    const nothing = { looked: [], found: [] }
    return whole(deps, scope, plan, { ranges: scope.ranges, paths: [], kept: [], ledger: nothing })
  }
  const { ranges, paths } = missing
  const isMissing = holderOf(ranges)
  // What fingerprints do not hold, an expiry, changed here as well.
  const unseen = changedHere.filter((path) => !isMissing(path))
  const named = new Map<string, Precondition>([
    ...unseen.map((path) => [path, UNKNOWN] as const),
    ...[...found.missing, ...paths].map((path) => [path, ABSENT] as const),
    ...found.differing.map(({ path, remoteId }) => [path, { is: 'row', id: remoteId }] as const),
  ])
  const isLooked = (path: string) => named.has(path) || isMissing(path)
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

/**
 * A range is worth a shard of its own when it holds much; the others are named path by path. Undefined: there are too many of those.
 */
async function withoutSmallRanges(fingerprints: Fingerprints, missing: readonly PathRange[]) {
  const sums = await sumsOf(fingerprints, missing)
  const ranges: PathRange[] = []
  const paths: string[] = []
  for (const [index, range] of missing.entries()) {
    if (paths.length > MAX_NAMED) return undefined
    const rows = sums[index]!.rows > SMALL_RANGE ? undefined : await fingerprints.rows(range, SMALL_RANGE + 1)
    // It may have grown since it was summed.
    if (rows === undefined || rows.length > SMALL_RANGE) ranges.push(range)
    else for (const { path } of rows) paths.push(path)
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
  plan: LinkPlan,
  work: Omit<Difference, 'plan' | 'unchanged' | 'files'>,
): Promise<Difference> {
  const { fingerprints, db, now } = deps
  const [inScope, inRanges] = [await sumsOf(fingerprints, scope.ranges), await sumsOf(fingerprints, work.ranges)]
  const expired = await countExpired(longReads(db), scope.repository.id, scope.ranges, now)
  const scopeFiles = rowsOf(inScope) - expired
  const looked = rowsOf(inRanges) + work.paths.length
  const unchanged = Math.max(0, scopeFiles - looked - work.kept.length)
  return { ...work, plan, unchanged, files: looked + work.kept.length }
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
