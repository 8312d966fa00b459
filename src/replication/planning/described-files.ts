import type { RangeSum } from '../../core/fingerprint.ts'
import { parsePackagePath } from '../../core/package-key.ts'
import type { PathRange } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import { longReads } from '../../metadata/long-reads.ts'
import type { LinkPlan } from '../../metadata/replication/exec-links.ts'
import { countExpired, filesAt } from '../../metadata/replication/source-files.ts'
import type { Precondition } from '../../remotes/cluster/frames/frame.ts'
import { UNKNOWN } from '../delivery/work-item.ts'
import { sumsOf } from '../recon/fingerprints.ts'
import {
  type Changes,
  type Difference,
  type DifferenceDeps,
  type LinkScope,
  NO_CHANGES,
  type PlannedFile,
} from './difference.ts'
import type { Deletions } from './find-deletions.ts'
import { artifactsNamed, countArtifactsIn, packagesAt } from './package-artifacts.ts'
import { countScope, type ScopeCount } from './scan-files.ts'

const PATHS_PER_QUERY = 500

export const holds = ({ filter }: LinkScope, path: string): boolean => filter?.(path) ?? true
/** Sums are of all that the ranges hold, and so is the ledger; what is looked at is what the filter lets through. */
export const selected = ({ filter }: LinkScope, paths: readonly string[]): string[] =>
  filter === undefined ? [...paths] : paths.filter(filter)

export const unknown = (paths: readonly string[]) => new Map(paths.map((path) => [path, UNKNOWN]))

export interface Found {
  readonly work: Pick<Difference, 'ranges' | 'paths' | 'kept' | 'ledger'>
  readonly deletions: Deletions
  /** What the target has in the scope. @param files that the source has there. @param inside those of them in `work.ranges`. */
  targetFiles(files: number, inside: number): number
}

/** Totals that only fingerprints know without reading every row. */
export async function whole(
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
export const rowsOf = (sums: readonly RangeSum[]) => sums.reduce((total, { rows }) => total + rows, 0)

/**
 * Those of the paths that are live files now, ascending.
 * @param changed of these, what came from the target itself is left out: it has them so, or changed them since.
 */
export async function describe(
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
