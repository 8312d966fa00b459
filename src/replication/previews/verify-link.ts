import type { Clock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import {
  addSums,
  type ComparedLanes,
  EMPTY_SUM,
  type FingerprintRow,
  type RangeSum,
  rowIdOf,
  sumOfRow,
} from '../../core/fingerprint.ts'
import type { Lanes } from '../../core/lanes.ts'
import { isPackagePath, parsePackagePath, rangeOfPackage } from '../../core/package-key.ts'
import { holderOf, type PathRange } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { longReads } from '../../metadata/long-reads.ts'
import { type Divergence, listDivergences } from '../../metadata/replication/divergences.ts'
import { filesAt } from '../../metadata/replication/source-files.ts'
import { ownersAt } from '../../metadata/replication/source-versions.ts'
import type { ClusterClient } from '../../remotes/cluster/cluster-client.ts'
import { RemoteRefusal } from '../../remotes/transport/failures.ts'
import { comparedLanes } from '../delivery/work-item.ts'
import { type LeftOut, leftOutOf } from '../images/left-out.ts'
import type { LinkScope } from '../planning/difference.ts'
import type { LinkView } from '../planning/link-plan.ts'
import { chosenOf, versionsIn } from '../planning/package-artifacts.ts'
import { countScope } from '../planning/scan-files.ts'
import { afterPath, type Fingerprints, rangeOfPath, rowsAt } from '../recon/fingerprints.ts'
import { type Differences, reconcile } from '../recon/reconcile.ts'
import { LinkStopped, linkFate } from '../runs/stop-reasons.ts'
import { type CheckedSide, type ContentProgress, checkContents } from './check-contents.ts'
import {
  DIFFERENCE_CLASSES,
  type DifferenceClass,
  type LinkProof,
  noCounts,
  type PreviewItem,
  shownPath,
} from './preview.ts'

export interface VerifyLinkDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  fingerprintsOf(repoId: number): Fingerprints
  /** `leaves`: every row is compared with every row, where sums could be made to agree (sync.md B.1). */
  readonly how: 'sums' | 'leaves'
  /** Stored bytes are read again, too. */
  readonly contents?: ContentOrder | undefined
  /** The task's other links to the same repository: what they bring is not EXTRA. */
  readonly siblings: readonly LinkView[]
}
/** Where contents are read, and who hears how far it got. */
export interface ContentOrder {
  readonly here: CheckedSide
  readonly there: CheckedSide
  note(progress: ContentProgress & { readonly filesInAll: number }): Promise<void>
}

type Proof = Pick<LinkProof, 'equal' | 'expected' | 'counts' | 'files' | 'errorReason'>
type Add = (items: readonly PreviewItem[]) => Promise<void>

/** More than these are not named. */
const MAX_NAMED = 500_000
const PATHS_AT_ONCE = 500
/** Of paths whose content is compared by itself; of more the whole scope is. */
const FEW_PATHS = 4_000
const ACCEPTED: ReadonlySet<DifferenceClass> = new Set(['KEPT', 'FAILED'])

/**
 * Compares what is here and what is there now: neither the cursor nor the ledger is believed. The ledger only says which of the differences
 * that are found are accepted, and only while they are exactly those it knows.
 */
export async function verifyLink(
  deps: VerifyLinkDeps,
  view: LinkView,
  client: Pick<ClusterClient, 'reconcile' | 'greeting'>,
  add: Add,
  signal: AbortSignal,
): Promise<Proof> {
  const counts = noCounts(DIFFERENCE_CLASSES)
  const take = async (items: readonly PreviewItem[]) => {
    for (const item of items) counts[item.class as DifferenceClass]++
    await add(items)
  }
  let files = 0
  let errorReason: string | null = null
  try {
    const { scope } = view
    const place = { reader: longReads(deps.db), repoId: scope.repository.id, now: deps.clock.now() }
    files = (await countScope(place, scope, [])).files
    const found = await findDifferences(deps, view, client, signal)
    const unequal = await classify(deps, view, found, take, signal)
    if (!found.complete) errorReason = `more than ${MAX_NAMED} paths differ: the others are not counted`
    if (deps.contents !== undefined) await readContents(deps, deps.contents, view, client, unequal)
  } catch (error) {
    signal.throwIfAborted()
    if (linkFate(error) === 'defect') throw error
    errorReason = messageOf(error)
  }
  async function readContents(
    { db, clock }: VerifyLinkDeps,
    { here, there, note }: ContentOrder,
    { scope }: LinkView,
    { greeting }: Pick<ClusterClient, 'greeting'>,
    unequal: ReadonlySet<string>,
  ): Promise<void> {
    if (!(await greeting(signal)).features.checks) {
      throw new LinkStopped(`${there.name} is of a release that does not read its contents again: upgrade it`)
    }
    const noted = (progress: ContentProgress) => note({ ...progress, filesInAll: files })
    await checkContents({ db, clock, sides: { here, there }, unequal, take, note: noted }, { scope }, signal)
  }
  const differ = DIFFERENCE_CLASSES.filter((one) => counts[one] > 0)
  return {
    equal: errorReason === null && differ.length === 0,
    expected: errorReason === null && differ.every((one) => ACCEPTED.has(one)),
    counts,
    files,
    errorReason,
  }
}

type Found = Pick<Differences, 'missingRanges' | 'missing' | 'differing' | 'foreign' | 'complete'> & {
  readonly contentDiffers: (path: string) => boolean
}

async function findDifferences(
  { fingerprintsOf, how }: VerifyLinkDeps,
  { scope, spec, object }: LinkView,
  client: Pick<ClusterClient, 'reconcile'>,
  signal: AbortSignal,
): Promise<Found> {
  const order = {
    local: fingerprintsOf(scope.repository.id),
    ask: (message: Buffer, stop: AbortSignal) =>
      client.reconcile(object.remoteProject, object.remoteRepo, message, stop),
    ledger: [],
    atMost: MAX_NAMED,
    by: how,
  } as const
  try {
    const compared = comparedLanes(spec.includeMetadata)
    const found = await reconcile({ ...order, scope: scope.ranges, compared }, signal)
    if (compared === 'content' || found.differing.length === 0) return { ...found, contentDiffers: () => true }
    const paths = found.differing.map(({ path }) => path).sort(comparePaths)
    const ranges = paths.length > FEW_PATHS ? scope.ranges : paths.map(rangeOfPath)
    const again = await reconcile({ ...order, scope: ranges, compared: 'content' }, signal)
    const differing = new Set(again.differing.map(({ path }) => path))
    return { ...found, contentDiffers: (path) => differing.has(path) }
  } catch (error) {
    if (!(error instanceof RemoteRefusal) || !NOT_THERE.includes(error.wireCode ?? 0)) throw error
    const nothing = { missing: [], differing: [], foreign: [], complete: true }
    return { ...nothing, missingRanges: scope.ranges, contentDiffers: () => true }
  }
}
/** Contract codes of a repository or project that is not there. */
const NOT_THERE = [251004, 251006]

/** @returns paths of artifacts here that the target has otherwise, or not at all. */
async function classify(
  deps: VerifyLinkDeps,
  { scope, link, spec }: LinkView,
  found: Found,
  take: Add,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const local = deps.fingerprintsOf(scope.repository.id)
  const entries = await listDivergences(longReads(deps.db), link.id, scope.ranges)
  const ledger = new Map(entries.map((entry) => [entry.path, entry]))
  const unequal = new Set<string>()
  const leftOut = scope.packages === undefined ? NOTHING_LEFT_OUT : await leftOutOf(longReads(deps.db), local, scope)
  // What the target is not to have is not asked about.
  for (const [path, { rows }] of leftOut) if (rows < 0) unequal.add(path)
  const remoteIds = new Map(found.differing.map(({ path, remoteId }) => [path, remoteId]))

  const settledVersions = await acceptedVersions()

  async function takeLocal(paths: readonly string[]): Promise<void> {
    const chosen = await selectedOf(deps.db, scope, paths)
    for (let at = 0; at < chosen.length; at += PATHS_AT_ONCE) {
      signal.throwIfAborted()
      const some = chosen.slice(at, at + PATHS_AT_ONCE)
      const rows = await rowsAt(local, some)
      const sizes = await sizesOf(deps, scope.repository.id, some)
      const brought = await broughtBy(deps, some)
      const bare = await withoutVersions(deps.db, scope, some)
      const ofVersions = await acceptedByOwners(some)
      const items = some.flatMap((path, index) => {
        const row = rows[index]
        // Nobody sees a file whose time is over; packages have no size of their own.
        if (row === undefined || bare.has(path) || (path.startsWith('/') && !sizes.has(path))) return []
        const remoteId = remoteIds.get(path)
        if (isAsMeant(row, leftOut.get(path), remoteId, spec)) return []
        const differs = found.contentDiffers(path) ? 'CONTENT' : 'METADATA'
        const known = acceptedAs(row, ledger.get(path), leftOut.get(path), remoteId, spec) ?? ofVersions.get(path)
        if (remoteId === undefined || differs === 'CONTENT') unequal.add(path)
        const item = itemOf(known ?? (remoteId === undefined ? 'MISSING' : differs), path, sizes.get(path) ?? null)
        return [known === undefined && brought.has(path) ? { ...item, reason: BROUGHT_TWICE } : item]
      })
      await take(items)
    }
  }
  /** Versions that are known to differ; their files differ with them. */
  async function acceptedVersions(): Promise<Map<string, 'KEPT' | 'FAILED'>> {
    const versions = entries.filter(({ path }) => parsePackagePath(path)?.version !== undefined)
    const rows = await rowsAt(
      local,
      versions.map(({ path }) => path),
    )
    return new Map(
      versions.flatMap((entry, index) => {
        const row = rows[index]
        const { path } = entry
        const as = row && acceptedAs(row, entry, leftOut.get(path), remoteIds.get(path), spec)
        return as === undefined ? [] : [[path, as] as const]
      }),
    )
  }
  /** Of paths of files, those that belong to such versions alone. */
  async function acceptedByOwners(paths: readonly string[]): Promise<Map<string, 'KEPT' | 'FAILED'>> {
    if (settledVersions.size === 0) return new Map()
    const nodes = paths.filter((path) => !isPackagePath(path))
    const owners = Map.groupBy(await ownersAt(longReads(deps.db), scope.repository.id, nodes), ({ path }) => path)
    return new Map(
      [...owners].flatMap(([path, some]) => {
        const states = some.map(({ owner }) => settledVersions.get(owner))
        return states.every((state) => state !== undefined) ? [[path, states[0]!] as const] : []
      }),
    )
  }
  for (const range of found.missingRanges) {
    for await (const page of rowsWithin(local, range)) await takeLocal(page.map(({ path }) => path))
  }
  await takeLocal([...found.missing, ...found.differing.map(({ path }) => path)].sort(comparePaths))
  const foreign = found.foreign.map(({ path }) => path)
  const extra = await selectedOf(deps.db, scope, foreign)
  const brought = await broughtBy(deps, extra)
  const nobodys = extra.filter((path) => !brought.has(path)).sort(comparePaths)
  await take(nobodys.map((path) => itemOf('EXTRA', path, null)))
  return unequal
}

/** Packages of which the task means no version that there is: what is said of them stays here. */
async function withoutVersions(db: MetadataDatabase, scope: LinkScope, paths: readonly string[]): Promise<Set<string>> {
  const found = new Set<string>()
  if (scope.packages?.filter === undefined && scope.packages?.shares === undefined) return found
  for (const path of paths) {
    const place = parsePackagePath(path)
    if (place === undefined || place.version !== undefined) continue
    let versions = 0
    for await (const page of versionsIn(longReads(db), scope, [rangeOfPackage(place.key)])) versions += page.length
    if (versions === 0) found.add(path)
  }
  return found
}

const BROUGHT_TWICE = 'another object of the task brings this path to the same repository: leave it out of one of them'

/** Of a version by its package and name, of a file by its path. */
async function selectedOf(db: MetadataDatabase, scope: LinkScope, paths: readonly string[]): Promise<string[]> {
  const chosen = new Set(await chosenOf(longReads(db), scope, paths.filter(isPackagePath)))
  return paths.filter((path) => (isPackagePath(path) ? chosen.has(path) : (scope.filter?.(path) ?? true)))
}

/** Those of the paths that other links of the task have here, and bring to the same repository. */
async function broughtBy(
  { db, siblings, fingerprintsOf }: Pick<VerifyLinkDeps, 'db' | 'siblings' | 'fingerprintsOf'>,
  paths: readonly string[],
): Promise<Set<string>> {
  const brought = new Set<string>()
  for (const { scope } of siblings) {
    const holds = holderOf(scope.ranges)
    const inside = paths.filter((path) => !brought.has(path) && holds(path))
    const asked = await selectedOf(db, scope, inside)
    const rows = await rowsAt(fingerprintsOf(scope.repository.id), asked)
    for (const [index, path] of asked.entries()) if (rows[index] !== undefined) brought.add(path)
  }
  return brought
}

async function sizesOf({ db, clock }: VerifyLinkDeps, repoId: number, paths: readonly string[]) {
  const files = await filesAt(longReads(db), repoId, paths, clock.now())
  return new Map<string, number>(files.map(({ path, sizeBytes }) => [path, sizeBytes]))
}

/** What failed is expected to differ; of the rest of the ledger only what is exactly as it was when it was accepted. */
function acceptedAs(
  row: FingerprintRow,
  entry: Divergence | undefined,
  leftOut: RangeSum | undefined,
  remoteId: Buffer | undefined,
  { includeMetadata }: LinkView['spec'],
): 'KEPT' | 'FAILED' | undefined {
  if (entry === undefined) return undefined
  if (entry.reason === 'failed') return 'FAILED'
  if (entry.delta === undefined) return undefined
  const expected = addSums(addSums(sumOfRow(row), entry.delta), leftOut ?? EMPTY_SUM)
  return sameRow(expected, remoteId, comparedLanes(includeMetadata)) ? 'KEPT' : undefined
}
/** Only some platforms go, and the target has just these. */
const isAsMeant = (
  row: FingerprintRow,
  leftOut: RangeSum | undefined,
  remoteId: Buffer | undefined,
  { includeMetadata }: LinkView['spec'],
): boolean =>
  leftOut !== undefined && sameRow(addSums(sumOfRow(row), leftOut), remoteId, comparedLanes(includeMetadata))
const NOTHING_LEFT_OUT: LeftOut = new Map()

function sameRow(expected: RangeSum, remoteId: Buffer | undefined, compared: ComparedLanes): boolean {
  if (remoteId === undefined) return expected.rows === 0
  if (expected.rows !== 1) return false
  const [content, metadata] = [lanesOf(expected.content), lanesOf(expected.metadata)]
  return rowIdOf({ content, metadata }, compared).equals(remoteId)
}
const lanesOf = (sums: RangeSum['content']): Lanes => sums.map((lane) => Number(BigInt.asIntN(32, lane))) as never

async function* rowsWithin(local: Fingerprints, { lo, hi }: PathRange): AsyncGenerator<readonly FingerprintRow[]> {
  for (let from = lo; ; ) {
    const page = await local.rows({ lo: from, hi }, PATHS_AT_ONCE)
    yield page
    if (page.length < PATHS_AT_ONCE) return
    from = afterPath(page.at(-1)!.path)
  }
}

const itemOf = (as: DifferenceClass, path: string, sizeBytes: number | null): PreviewItem => ({
  ...{ class: as, path: shownPath(path), sizeBytes, conflict: false, reason: null },
})
