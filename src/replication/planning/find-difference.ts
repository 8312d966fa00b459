import { type RangeSum, sumOfRow } from '../../core/fingerprint.ts'
import { parsePackagePath } from '../../core/package-key.ts'
import { holderOf, type PathRange } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import { headSeq } from '../../metadata/changes/change-numbers.ts'
import { changeSpan, netChanges } from '../../metadata/changes/change-spans.ts'
import { numberChanges } from '../../metadata/changes/sequencer.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { longReads } from '../../metadata/long-reads.ts'
import { type Divergence, listDivergences } from '../../metadata/replication/divergences.ts'
import type { LinkPlan } from '../../metadata/replication/exec-links.ts'
import type { Link } from '../../metadata/replication/links.ts'
import { countExpired, filesAt } from '../../metadata/replication/source-files.ts'
import type { Precondition } from '../../remotes/cluster/frames/frame.ts'
import type { OpenAnswer } from '../../remotes/cluster/messages.ts'
import type { PathFilter, SelectionWatch } from '../../tasks/constraints/path-selection.ts'
import { ABSENT, comparedLanes, UNKNOWN } from '../delivery/work-item.ts'
import { leftOutOf, withLeftOut } from '../images/left-out.ts'
import type { PlatformShares } from '../images/platform-shares.ts'
import { type Fingerprints, sumsOf } from '../recon/fingerprints.ts'
import { type Differences, reconcile } from '../recon/reconcile.ts'
import type { RunSpec } from '../runs/run-spec.ts'
import type { DeletionSize } from './delete-guard.ts'
import { endedThere } from './ended-there.ts'
import { type Deletions, findDeletions, NO_DELETIONS } from './find-deletions.ts'
import { artifactsNamed, countArtifactsIn, ownersOutside, packagesAt } from './package-artifacts.ts'
import type { PackageScope } from './package-scope.ts'
import { countScope, type ScopeCount } from './scan-files.ts'
import { NOTHING_UNSETTLED, type UnsettledPaths, unsettledPaths } from './unsettled-paths.ts'

/** Where a link's files are, and since when the link knows them. */
export interface LinkScope {
  readonly repository: { readonly id: number; readonly epoch: string; readonly floorSeq: number }
  /** Hold all files of the scope. */
  readonly ranges: readonly PathRange[]
  /** Which files of the ranges are meant, when not all are. */
  readonly filter?: PathFilter | undefined
  /** Given where the repository has packages: a version is one artifact, with all its files. */
  readonly packages?: SelectedPackages | undefined
  /** To learn which of the task's patterns select nothing. */
  readonly watch?: (() => SelectionWatch) | undefined
  readonly scopeHash: string
}

/** Which versions of the ranges are meant. */
export interface SelectedPackages extends Pick<PackageScope, 'filter' | 'referrers'> {
  /** Of images: what of them is. Undefined: all. */
  readonly shares?: PlatformShares | undefined
}

export interface PlannedFile {
  readonly path: string
  readonly sizeBytes: number
  readonly expect: Precondition
  /** It ended here, and is to end there (`PlannedPath`). */
  readonly ifGone?: 'delete' | undefined
}

/** What has to be looked at so that the target equals the scope, and what is known without a look. */
export interface Difference {
  readonly plan: LinkPlan
  /** The target has nothing in these: all that the source has there is to be sent. */
  readonly ranges: readonly PathRange[]
  /** Ascending by path bytes. */
  readonly paths: readonly PlannedFile[]
  /** Files that ended here, and that the target may still have. Ascending by path bytes. */
  readonly deletions: readonly PlannedFile[]
  /** What the guard is asked about. */
  readonly deletes: DeletionSize
  /** Known to differ, and to be left as they are. */
  readonly kept: readonly PlannedFile[]
  /** Of `ranges`, `paths`, `deletions` and `kept` together. */
  readonly files: number
  /** Files of the scope that are proven to be equal. */
  readonly unchanged: number
  /** Patterns and expressions of the task that no file fits. */
  readonly silent: readonly string[]
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
  /** `peer_link.id` of the links that bring the target's repository here: what came by them came from there. */
  readonly echoes: ReadonlySet<number>
  /** Default 200,000. More scattered differences than this are not named one by one: the target is offered the whole scope. */
  readonly mostNamed?: number
}

/** A cursor that lies further back than this is slower than reconciling. */
const MAX_CURSOR_CHANGES = 200_000
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

/** Paths, and the files that each gained or lost since the cursor: 1, 0 or -1. */
type Changes = ReadonlyMap<string, number>
const NO_CHANGES: Changes = new Map()

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
const holds = ({ filter }: LinkScope, path: string): boolean => filter?.(path) ?? true
/** Sums are of all that the ranges hold, and so is the ledger; what is looked at is what the filter lets through. */
const selected = ({ filter }: LinkScope, paths: readonly string[]): string[] =>
  filter === undefined ? [...paths] : paths.filter(filter)

/**
 * What SKIP leaves as it is, and what the target deleted or changed later, as long as neither side changes it and it differs in what is
 * compared.
 */
function isAccepted({ reason, delta }: Divergence, spec: RunSpec): boolean {
  const { conflictStrategy, includeMetadata, propagateDelete } = spec
  const isLeft = reason === 'conflict' ? conflictStrategy === 'SKIP' : reason === 'superseded' && propagateDelete
  if (!isLeft || delta === undefined) return false
  return includeMetadata || delta.rows !== 0 || delta.content.some((lane) => lane !== 0n)
}

async function byCursor(
  deps: DifferenceDeps,
  scope: LinkScope,
  spec: RunSpec,
  { ledger, unsettled }: Pick<Known, 'ledger' | 'unsettled'>,
  plan: LinkPlan,
  changed: Changes,
): Promise<Difference> {
  const known = new Map(ledger.map((one) => [one.path, one.reason]))
  const rest = ledger.filter(({ path }) => !changed.has(path))
  const again = rest.filter((one) => one.reason !== 'foreign' && !isAccepted(one, spec)).map(({ path }) => path)
  // Since nobody else wrote there, the target has nothing where we had nothing and the ledger knows of nothing.
  const stateOf = (path: string, net: number) => (net > 0 && !known.has(path) ? ABSENT : UNKNOWN)
  const wanted = new Map([...changed].map(([path, net]) => [path, stateOf(path, net)]))
  for (const path of again) wanted.set(path, UNKNOWN)
  for (const path of unsettled.paths) if (!wanted.has(path) && !known.has(path)) wanted.set(path, UNKNOWN)
  const { found: paths, echoed } = await describe(deps, scope, wanted, changed)
  const accepted = rest.filter((one) => one.reason === 'conflict' && isAccepted(one, spec))
  const kept = (await describe(deps, scope, unknown(accepted.map(({ path }) => path)))).found
  const ended = [...changed].flatMap(([path, net]) => (net < 0 || known.get(path) === 'failed' ? [path] : []))
  const deletions = await deletionsOf(deps, scope, spec, [...ended, ...again], unsettled.ends)
  const targetFiles = (files: number) => targetFilesAt(scope, files, changed, ledger)
  return whole(deps, scope, plan, {
    work: { ranges: [], paths, kept, ledger: { looked: echoed, found: [] } },
    deletions,
    targetFiles,
  })
}

/** @param before candidates that the guard let through in an earlier run: it does not count them again. */
async function deletionsOf(
  { db, echoes }: DifferenceDeps,
  scope: LinkScope,
  { propagateDelete }: RunSpec,
  candidates: readonly string[],
  before: readonly string[],
): Promise<Deletions> {
  if (!propagateDelete) return NO_DELETIONS
  const { planned, counted } = await findDeletions(db, scope, candidates, echoes)
  if (before.length === 0) return { planned, counted }
  const known = new Set(planned.map(({ path }) => path))
  const more = await findDeletions(
    db,
    scope,
    before.filter((path) => !known.has(path)),
    echoes,
  )
  return { planned: [...planned, ...more.planned].sort((a, b) => comparePaths(a.path, b.path)), counted }
}

/** What the target has in the scope as long as nothing of the changes is sent: what we had before them, and what the ledger knows. */
export function targetFilesAt(
  scope: LinkScope,
  files: number,
  changed: Changes,
  ledger: readonly Divergence[],
): number {
  const nets = [...changed.values()].reduce((sum, net) => sum + net, 0)
  const apart = ledger.flatMap(({ path, delta }) => (delta !== undefined && holds(scope, path) ? [delta] : []))
  return files - nets + rowsOf(apart)
}

const unknown = (paths: readonly string[]) => new Map(paths.map((path) => [path, UNKNOWN]))

/** What the link left behind, and what the paths of its scope are to it. */
interface Known {
  readonly ledger: readonly Divergence[]
  readonly unsettled: UnsettledPaths
  readonly isNewScope: boolean
}

async function byRanges(
  deps: DifferenceDeps,
  scope: LinkScope,
  spec: RunSpec,
  { ledger, unsettled, isNewScope }: Known,
  plan: LinkPlan,
  changedHere: Changes,
  signal: AbortSignal,
): Promise<Difference> {
  const { fingerprints, mostNamed = MAX_NAMED } = deps
  const counted = ledger.filter((one) => one.reason === 'foreign' || isAccepted(one, spec))
  const leftOut = scope.packages === undefined ? new Map() : await leftOutOf(longReads(deps.db), fingerprints, scope)
  const found = await reconcile(
    {
      local: fingerprints,
      ask: deps.ask,
      scope: scope.ranges,
      compared: comparedLanes(spec.includeMetadata),
      ledger: withLeftOut(
        counted.map(({ path, delta }) => ({ path, delta: delta! })),
        leftOut,
      ),
      atMost: mostNamed,
    },
    signal,
  )
  // What was foreign before is known to the ledger; with another scope it may be another thing.
  const theirs = found.foreign.map(({ path }) => path)
  const isNamed = found.complete || !spec.propagateDelete
  const unnamed = isNamed ? [] : await endedThere(deps, scope, spec, mostNamed, signal)
  const before = isNewScope ? ledger.flatMap(({ path, reason }) => (reason === 'foreign' ? [path] : [])) : []
  const ended = [...unsettled.followed].flatMap(([path, net]) => (net < 0 ? [path] : []))
  const candidates = [...theirs, ...(unnamed ?? []), ...before, ...ended]
  const deletions = await deletionsOf(deps, scope, spec, candidates, unsettled.ends)
  const missing = found.complete ? await withoutSmallRanges(fingerprints, found.missingRanges, mostNamed) : undefined
  if (missing === undefined) {
    const nothing = { looked: [], found: [] }
    // What else ended here is not known: the next run has to look again.
    const again = unnamed === undefined ? ({ ...plan, mode: 'offer' } as const) : plan
    const { found: paths } = await describe(deps, scope, unknown(await outside(deps, scope, scope.ranges)))
    return whole(deps, scope, again, {
      work: { ranges: scope.ranges, paths, kept: [], ledger: nothing },
      deletions,
      targetFiles: () => found.foreign.length,
    })
  }
  const { ranges, paths } = missing
  const isMissing = holderOf(ranges)
  // What fingerprints do not hold, an expiry, changed here as well.
  const unseen = new Map([...changedHere].filter(([path]) => !isMissing(path)))
  const named = new Map<string, Precondition>([
    ...unknown([...unseen.keys()]),
    ...[...found.missing, ...paths].map((path) => [path, ABSENT] as const),
    ...found.differing.map(({ path, remoteId }) => [path, { is: 'row', id: remoteId }] as const),
  ])
  for (const path of [...found.missing, ...paths, ...found.differing.map((row) => row.path)]) unseen.delete(path)
  for (const path of await outside(deps, scope, ranges)) if (!named.has(path)) named.set(path, UNKNOWN)
  for (const path of unsettled.paths) if (!named.has(path) && !isMissing(path)) named.set(path, UNKNOWN)
  const ending = new Set(deletions.planned.map(({ path }) => path))
  const isLooked = (path: string) => named.has(path) || ending.has(path) || isMissing(path)
  const changed = new Set(found.changedLedgerPaths)
  const stays = ({ path, reason }: Divergence) => reason === 'conflict' && !changed.has(path) && !isLooked(path)
  const accepted = counted.filter(stays)
  const lacking = found.missing.length + paths.length
  const asExpected = counted.filter(({ path }) => !changed.has(path) && holds(scope, path))
  const foreign = selected(scope, theirs).length
  const looked = await describe(deps, scope, named, unseen)
  // Files of a version that is kept otherwise over there are missing with it: they are no reason to look at it again.
  const isKept = new Set(accepted.map(({ path }) => path))
  const settled = settledBy(found, ledger, { isLooked, isCounted: (one) => isAccepted(one, spec) })
  return whole(deps, scope, plan, {
    work: {
      ranges,
      paths: looked.found.filter(({ path }) => !isKept.has(path)),
      kept: (await describe(deps, scope, unknown(accepted.map(({ path }) => path)))).found,
      ledger: { ...settled, looked: [...settled.looked, ...looked.echoed] },
    },
    deletions,
    targetFiles: (files, inside) => files - inside - lacking + foreign + rowsOf(asExpected.map(({ delta }) => delta!)),
  })
}

/**
 * A range is worth a shard of its own when it holds much; the others are named path by path. Undefined: there are too many of those.
 */
async function withoutSmallRanges(fingerprints: Fingerprints, missing: readonly PathRange[], mostNamed: number) {
  const sums = await sumsOf(fingerprints, missing)
  const ranges: PathRange[] = []
  const paths: string[] = []
  for (const [index, range] of missing.entries()) {
    if (paths.length > mostNamed) return undefined
    const rows = sums[index]!.rows > SMALL_RANGE ? undefined : await fingerprints.rows(range, SMALL_RANGE + 1)
    // It may have grown since it was summed.
    if (rows === undefined || rows.length > SMALL_RANGE) ranges.push(range)
    else for (const { path } of rows) paths.push(path)
  }
  return { ranges, paths }
}

/** Versions whose files lie in the ranges, and which the scope does not name. */
const outside = async ({ db }: DifferenceDeps, scope: LinkScope, ranges: readonly PathRange[]): Promise<string[]> =>
  scope.packages === undefined || ranges.length === 0 ? [] : ownersOutside(longReads(db), scope, ranges)

/** Foreign rows come and go; what failed, or was later over there, and is equal by now is no divergence any more. */
function settledBy(
  found: Differences,
  ledger: readonly Divergence[],
  { isLooked, isCounted }: { isLooked(path: string): boolean; isCounted(one: Divergence): boolean },
) {
  const foreign = found.foreign
    .filter(({ path }) => !isLooked(path))
    .map((row): Divergence => ({ path: row.path, reason: 'foreign', delta: sumOfRow(row) }))
  const passes = (one: Divergence) => one.reason === 'failed' || (one.reason === 'superseded' && !isCounted(one))
  const gone = ledger.filter((one) => passes(one) && !isLooked(one.path)).map(({ path }) => path)
  const looked = new Set([...foreign.map(({ path }) => path), ...found.changedLedgerPaths, ...gone])
  return { looked: [...looked].filter((path) => !isLooked(path)), found: foreign }
}

interface Found {
  readonly work: Pick<Difference, 'ranges' | 'paths' | 'kept' | 'ledger'>
  readonly deletions: Deletions
  /** What the target has in the scope. @param files that the source has there. @param inside those of them in `work.ranges`. */
  targetFiles(files: number, inside: number): number
}

/** Totals that only fingerprints know without reading every row. */
async function whole(
  deps: DifferenceDeps,
  scope: LinkScope,
  plan: LinkPlan,
  { work, deletions: { planned: deletions, counted }, targetFiles }: Found,
): Promise<Difference> {
  const { files, inside, silent } = await sizeOfScope(deps, scope, work.ranges)
  const looked = inside + work.paths.filter(isArtifactAt).length
  const unchanged = Math.max(0, files - looked - work.kept.filter(isArtifactAt).length)
  const deletes = { deletions: counted, targetFiles: Math.max(deletions.length, targetFiles(files, inside)) }
  const all = looked + deletions.length + work.kept.length
  return { ...work, plan, deletions, deletes, unchanged, files: all, silent }
}

/** With a filter the files are counted one by one, beside the thread of requests. */
export async function sizeOfScope(
  { fingerprints, db, now }: Pick<DifferenceDeps, 'fingerprints' | 'db' | 'now'>,
  scope: LinkScope,
  within: readonly PathRange[],
): Promise<ScopeCount> {
  const repoId = scope.repository.id
  if (scope.packages !== undefined) {
    return countArtifactsIn({ reader: longReads(db), fingerprints, now }, scope, within)
  }
  if (scope.filter !== undefined || scope.watch !== undefined) {
    return countScope({ reader: longReads(db), repoId, now }, scope, within)
  }
  const [inScope, inRanges] = [await sumsOf(fingerprints, scope.ranges), await sumsOf(fingerprints, within)]
  const expired = await countExpired(longReads(db), repoId, scope.ranges, now)
  return { files: rowsOf(inScope) - expired, inside: rowsOf(inRanges), silent: [] }
}
/** What is said about a package is none. */
const isArtifactAt = ({ path }: PlannedFile): boolean => {
  const place = parsePackagePath(path)
  return place === undefined || place.version !== undefined
}
const rowsOf = (sums: readonly RangeSum[]) => sums.reduce((total, { rows }) => total + rows, 0)

/**
 * Those of the paths that are live files now, ascending.
 * @param changed of these, what came from the target itself is left out: it has them so, or changed them since.
 */
async function describe(
  { db, now, echoes }: DifferenceDeps,
  scope: LinkScope,
  wanted: ReadonlyMap<string, Precondition>,
  changed: Changes = NO_CHANGES,
): Promise<{ readonly found: PlannedFile[]; readonly echoed: string[] }> {
  const named = selected(scope, [...wanted.keys()])
  const { files: paths, packages } =
    scope.packages === undefined ? { files: named, packages: [] } : await artifactsNamed(longReads(db), scope, named)
  paths.sort(comparePaths)
  const found: PlannedFile[] = []
  const echoed: string[] = []
  for (const [path, { sizeBytes, viaLink }] of await packagesAt(longReads(db), scope.repository.id, packages)) {
    if (viaLink !== null && echoes.has(viaLink) && changed.has(path)) echoed.push(path)
    else found.push({ path, sizeBytes, expect: wanted.get(path) ?? UNKNOWN })
  }
  found.sort((a, b) => comparePaths(a.path, b.path))
  for (let at = 0; at < paths.length; at += PATHS_PER_QUERY) {
    const files = await filesAt(longReads(db), scope.repository.id, paths.slice(at, at + PATHS_PER_QUERY), now)
    for (const { path, sizeBytes, viaLink } of files) {
      if (viaLink !== null && echoes.has(viaLink) && changed.has(path)) echoed.push(path)
      else found.push({ path, sizeBytes, expect: wanted.get(path)! })
    }
  }
  return { found, echoed }
}
