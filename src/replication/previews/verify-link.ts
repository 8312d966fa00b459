import type { Clock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import {
  addSums,
  type ComparedLanes,
  type FingerprintRow,
  type RangeSum,
  rowIdOf,
  sumOfRow,
} from '../../core/fingerprint.ts'
import type { Lanes } from '../../core/lanes.ts'
import type { PathRange } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { longReads } from '../../metadata/long-reads.ts'
import { type Divergence, listDivergences } from '../../metadata/replication/divergences.ts'
import { filesAt } from '../../metadata/replication/source-files.ts'
import type { ClusterClient } from '../../remotes/cluster/cluster-client.ts'
import { RemoteRefusal } from '../../remotes/transport/failures.ts'
import { comparedLanes } from '../delivery/work-item.ts'
import type { LinkView } from '../planning/link-plan.ts'
import { countScope } from '../planning/scan-files.ts'
import { afterPath, type Fingerprints, rangeOfPath, rowsAt } from '../recon/fingerprints.ts'
import { type Differences, reconcile } from '../recon/reconcile.ts'
import { linkFate } from '../runs/stop-reasons.ts'
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
  readonly clock: Pick<Clock, 'now'>
  fingerprintsOf(repoId: number): Fingerprints
  /** `leaves`: every row is compared with every row, where sums could be made to agree (sync.md B.1). */
  readonly how: 'sums' | 'leaves'
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
  client: Pick<ClusterClient, 'reconcile'>,
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
    await classify(deps, view, found, take, signal)
    if (!found.complete) errorReason = `more than ${MAX_NAMED} paths differ: the others are not counted`
  } catch (error) {
    signal.throwIfAborted()
    if (linkFate(error) === 'defect') throw error
    errorReason = messageOf(error)
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

async function classify(
  deps: VerifyLinkDeps,
  { scope, link, spec }: LinkView,
  found: Found,
  take: Add,
  signal: AbortSignal,
): Promise<void> {
  const local = deps.fingerprintsOf(scope.repository.id)
  const entries = await listDivergences(longReads(deps.db), link.id, scope.ranges)
  const ledger = new Map(entries.map((entry) => [entry.path, entry]))
  const isSelected = scope.filter ?? (() => true)
  const remoteIds = new Map(found.differing.map(({ path, remoteId }) => [path, remoteId]))

  async function takeLocal(paths: readonly string[]): Promise<void> {
    const chosen = paths.filter(isSelected)
    for (let at = 0; at < chosen.length; at += PATHS_AT_ONCE) {
      signal.throwIfAborted()
      const some = chosen.slice(at, at + PATHS_AT_ONCE)
      const rows = await rowsAt(local, some)
      const sizes = await sizesOf(deps, scope.repository.id, some)
      const items = some.flatMap((path, index) => {
        const row = rows[index]
        // Nobody sees a file whose time is over; packages have no size of their own.
        if (row === undefined || (path.startsWith('/') && !sizes.has(path))) return []
        const remoteId = remoteIds.get(path)
        const differs = found.contentDiffers(path) ? 'CONTENT' : 'METADATA'
        const known = acceptedAs(row, ledger.get(path), remoteId, spec)
        return [itemOf(known ?? (remoteId === undefined ? 'MISSING' : differs), path, sizes.get(path) ?? null)]
      })
      await take(items)
    }
  }
  for (const range of found.missingRanges) {
    for await (const page of rowsWithin(local, range)) await takeLocal(page.map(({ path }) => path))
  }
  await takeLocal([...found.missing, ...found.differing.map(({ path }) => path)].sort(comparePaths))
  const extra = found.foreign.map(({ path }) => path).filter(isSelected)
  await take(extra.sort(comparePaths).map((path) => itemOf('EXTRA', path, null)))
}

async function sizesOf({ db, clock }: VerifyLinkDeps, repoId: number, paths: readonly string[]) {
  const files = await filesAt(longReads(db), repoId, paths, clock.now())
  return new Map<string, number>(files.map(({ path, sizeBytes }) => [path, sizeBytes]))
}

/** What failed is expected to differ; of the rest of the ledger only what is exactly as it was when it was accepted. */
function acceptedAs(
  row: FingerprintRow,
  entry: Divergence | undefined,
  remoteId: Buffer | undefined,
  { includeMetadata }: LinkView['spec'],
): 'KEPT' | 'FAILED' | undefined {
  if (entry === undefined) return undefined
  if (entry.reason === 'failed') return 'FAILED'
  if (entry.delta === undefined) return undefined
  const expected = addSums(sumOfRow(row), entry.delta)
  return sameRow(expected, remoteId, comparedLanes(includeMetadata)) ? 'KEPT' : undefined
}
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
