import { sumOfRow } from '../../core/fingerprint.ts'
import { holderOf, type PathRange } from '../../core/path-range.ts'
import { longReads } from '../../metadata/long-reads.ts'
import type { Divergence } from '../../metadata/replication/divergences.ts'
import type { LinkPlan } from '../../metadata/replication/exec-links.ts'
import type { Precondition } from '../../remotes/cluster/frames/frame.ts'
import { ABSENT, comparedLanes, UNKNOWN } from '../delivery/work-item.ts'
import { leftOutOf, withLeftOut } from '../images/left-out.ts'
import { type Fingerprints, sumsOf } from '../recon/fingerprints.ts'
import { type Differences, reconcile } from '../recon/reconcile.ts'
import type { RunSpec } from '../runs/run-spec.ts'
import { isAccepted } from './accepted-divergences.ts'
import { describe, holds, rowsOf, selected, unknown, whole } from './described-files.ts'
import type { Changes, Difference, DifferenceDeps, LinkScope } from './difference.ts'
import { deletionsOf } from './difference-deletions.ts'
import { endedThere } from './ended-there.ts'
import type { Known } from './known-paths.ts'
import { ownersOutside } from './package-artifacts.ts'

const MAX_NAMED = 200_000
/** Files. */
const SMALL_RANGE = 1_000

/** What to look at when both sides have compared the sums of ranges. */
export async function byRanges(
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
