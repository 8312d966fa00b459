import { EVERY_PACKAGE, isPackagePath, parsePackagePath } from '../../core/package-key.ts'
import { holderOf, type PathRange } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import type { Reader } from '../../metadata/database.ts'
import { holdsNodes, holdsPackages } from '../../metadata/fingerprints/live-rows.ts'
import { type RangeSize, rangeSize } from '../../metadata/replication/source-files.ts'
import {
  countExpiredUnowned,
  listVersionPaths,
  ownedFilesIn,
  ownersAt,
  ownersIn,
  packageRowsAt,
  packagesIn,
} from '../../metadata/replication/source-versions.ts'
import { aboutChosen, mayBeAbout, referrersOf } from '../images/referrers.ts'
import { type Fingerprints, sumsOf } from '../recon/fingerprints.ts'
import type { LinkScope } from './difference.ts'
import { type ScopeCount, scanFiles } from './scan-files.ts'

/** In a repository with packages: a version is one artifact with all its files, and a file is one when no version owns it. */
export type ArtifactScope = Pick<LinkScope, 'repository' | 'ranges' | 'filter' | 'watch' | 'packages'>

const PATHS_PER_QUERY = 1_000
const VERSIONS_PER_PAGE = 2_000

/** Of places of versions and packages that were named, those that are meant, in their order, whatever is to go of them. */
export async function chosenOf(
  reader: Reader,
  { repository, packages }: Pick<LinkScope, 'repository' | 'packages'>,
  paths: readonly string[],
): Promise<string[]> {
  const filter = packages?.filter
  if (filter === undefined) return [...paths]
  const isHeld = (path: string) => {
    const { key, version } = parsePackagePath(path)!
    return version === undefined ? filter.holdsPackage(key) : filter.holds(key, version)
  }
  const held = new Set(paths.filter(isHeld))
  const others = packages?.referrers ? paths.filter((path) => !held.has(path)) : []
  const about = others.length === 0 ? held : await aboutChosen(reader, repository.id, others, isHeld)
  return paths.filter((path) => held.has(path) || about.has(path))
}

/** Whether what ended there may have been meant: what it was about is not known any more. */
export function mayHaveBeenMeant({ packages }: Pick<LinkScope, 'packages'>, path: string): boolean {
  const [filter, place] = [packages?.filter, parsePackagePath(path)]
  if (filter === undefined || place === undefined) return true
  const { key, version } = place
  if (version === undefined || filter.holds(key, version)) return filter.holdsPackage(key)
  return packages?.referrers === true && filter.holdsPackage(key) && mayBeAbout(version)
}

/** Without those of which nothing is to go. */
export async function withShare(
  reader: Reader,
  { repository, packages }: Pick<LinkScope, 'repository' | 'packages'>,
  paths: readonly string[],
): Promise<string[]> {
  if (packages?.shares === undefined || paths.length === 0) return [...paths]
  const shares = await packages.shares.of(reader, repository.id, paths)
  return paths.filter((path) => shares.get(path) !== 'none')
}

/** Versions that become part of the scope, or another thing, because these changed: what is about those of them that are meant. */
export async function relatedTo(
  reader: Reader,
  scope: Pick<LinkScope, 'repository' | 'packages'>,
  paths: readonly string[],
): Promise<string[]> {
  if (scope.packages?.referrers !== true) return []
  const versions = paths.filter((path) => parsePackagePath(path)?.version !== undefined)
  return referrersOf(reader, scope.repository.id, await chosenOf(reader, scope, versions))
}

export interface NamedArtifacts {
  /** Files that no version owns. */
  readonly files: string[]
  /** Places of versions and packages, ascending: those that were named and are meant, and owners of the files. */
  readonly packages: readonly string[]
}

/** What these paths are about. Those of files passed the filter already. */
export async function artifactsNamed(
  reader: Reader,
  scope: Pick<LinkScope, 'repository' | 'packages'>,
  paths: readonly string[],
): Promise<NamedArtifacts> {
  const named = paths.filter(isPackagePath)
  const nodes = paths.filter((path) => !isPackagePath(path))
  const packages = new Set(await chosenOf(reader, scope, [...named, ...(await relatedTo(reader, scope, named))]))
  const owned = new Set<string>()
  for (let at = 0; at < nodes.length; at += PATHS_PER_QUERY) {
    for (const { path, owner } of await ownersAt(reader, scope.repository.id, nodes.slice(at, at + PATHS_PER_QUERY))) {
      owned.add(path)
      packages.add(owner)
    }
  }
  const going = await withShare(reader, scope, [...packages])
  return { files: nodes.filter((path) => !owned.has(path)), packages: going.sort(comparePaths) }
}

/** Versions and packages that are at these places now: how large they are. */
export async function packagesAt(
  reader: Reader,
  repoId: number,
  paths: readonly string[],
): Promise<Map<string, { readonly sizeBytes: number; readonly viaLink: number | null }>> {
  const found = new Map<string, { sizeBytes: number; viaLink: number | null }>()
  for (let at = 0; at < paths.length; at += PATHS_PER_QUERY) {
    const some = paths.slice(at, at + PATHS_PER_QUERY)
    const wanted = new Set(some)
    const { packages, versions } = await packageRowsAt(reader, repoId, some)
    for (const { path, version } of versions) {
      found.set(path, { sizeBytes: version.sizeBytes, viaLink: version.viaLink })
    }
    const byKey = new Map<string, number | null>(packages.map(({ key, viaLink }) => [key, viaLink]))
    for (const path of wanted) {
      const { key, version } = parsePackagePath(path)!
      const viaLink = version === undefined ? byKey.get(key) : undefined
      if (viaLink !== undefined) found.set(path, { sizeBytes: 0, viaLink })
    }
  }
  return found
}

/** Versions that are to be named because the ranges hold files of theirs, and not them: where a task names paths. */
export async function ownersOutside(
  reader: Reader,
  scope: ArtifactScope,
  within: readonly PathRange[],
): Promise<string[]> {
  const { ranges, packages } = scope
  if (ranges.some(({ lo, hi }) => lo === EVERY_PACKAGE.lo && hi === EVERY_PACKAGE.hi) && packages?.filter === undefined)
    return []
  const nodes = within.filter((range) => holdsNodes(range))
  if (nodes.length === 0) return []
  return withShare(reader, scope, await chosenOwnersOutside(reader, scope, nodes))
}

/** The same, whatever is to go of them. @param nodes ranges that hold some. */
export async function chosenOwnersOutside(
  reader: Reader,
  scope: ArtifactScope,
  nodes: readonly PathRange[],
): Promise<string[]> {
  const { repository, ranges, filter } = scope
  const isInside = holderOf(ranges)
  const owners = filter === undefined ? await ownersIn(reader, repository.id, nodes) : await filteredOwners()
  const chosen = new Set(await chosenOf(reader, scope, owners.filter(isInside)))
  return owners.filter((path) => !chosen.has(path))

  async function filteredOwners(): Promise<string[]> {
    const found = new Set<string>()
    for await (const page of scanFiles({ reader, repoId: repository.id, now: 0 }, nodes)) {
      const paths = page.flatMap(({ path }) => (filter!(path) ? [path] : []))
      for (let at = 0; at < paths.length; at += PATHS_PER_QUERY) {
        const some = paths.slice(at, at + PATHS_PER_QUERY)
        for (const { owner } of await ownersAt(reader, repository.id, some)) found.add(owner)
      }
    }
    return [...found].sort(comparePaths)
  }
}

/** Places of the versions of the ranges that are meant, ascending, page by page. */
export async function* versionsIn(
  reader: Reader,
  scope: Pick<LinkScope, 'repository' | 'packages'>,
  ranges: readonly PathRange[],
  from?: string,
): AsyncGenerator<readonly string[]> {
  for await (const page of chosenVersionsIn(reader, scope, ranges, from)) yield await withShare(reader, scope, page)
}

/** The same, whatever is to go of them. */
export async function* chosenVersionsIn(
  reader: Reader,
  scope: Pick<LinkScope, 'repository' | 'packages'>,
  ranges: readonly PathRange[],
  from = '',
): AsyncGenerator<readonly string[]> {
  const some = ranges.filter((range) => holdsPackages(range))
  if (some.length === 0) return
  for (let after = from; ; ) {
    const page = await listVersionPaths(reader, scope.repository.id, some, after, VERSIONS_PER_PAGE)
    yield await chosenOf(reader, scope, page)
    if (page.length < VERSIONS_PER_PAGE) return
    after = page.at(-1)!
  }
}

/** Artifacts of the scope, and those of them in `within`. */
export async function countArtifactsIn(
  { reader, fingerprints, now }: { readonly reader: Reader; readonly fingerprints: Fingerprints; readonly now: number },
  scope: ArtifactScope,
  within: readonly PathRange[],
): Promise<ScopeCount> {
  const place = { reader, now }
  const outside = await ownersOutside(reader, scope, scope.ranges)
  const versions = await versionSizes(reader, scope, scope.ranges)
  const inside = await versionSizes(reader, scope, within)
  const files = await unownedFiles(place, fingerprints, scope, scope.ranges)
  const filesInside = await unownedFiles(place, fingerprints, scope, within)
  return {
    files: files.files + versions.files + outside.length,
    inside: filesInside.files + inside.files,
    silent: files.silent,
  }
}

/** How many artifacts a range of the scope has, and their bytes. */
export async function artifactSize(
  { reader, now, fingerprints }: { readonly reader: Reader; readonly now: number; readonly fingerprints: Fingerprints },
  scope: ArtifactScope,
  range: PathRange,
): Promise<RangeSize> {
  const versions = await versionSizes(reader, scope, [range])
  const unowned = holdsNodes(range)
    ? await unownedFiles({ reader, now }, fingerprints, scope, [range])
    : { files: 0, bytes: 0 }
  return { files: versions.files + unowned.files, bytes: versions.bytes + unowned.bytes }
}

async function versionSizes(reader: Reader, scope: ArtifactScope, ranges: readonly PathRange[]): Promise<RangeSize> {
  if (scope.packages?.filter === undefined && scope.packages?.shares === undefined) {
    const { versions, bytes } = await packagesIn(reader, scope.repository.id, ranges)
    return { files: versions, bytes }
  }
  let [files, bytes] = [0, 0]
  for await (const page of versionsIn(reader, scope, ranges)) {
    files += page.length
    for (const { sizeBytes } of (await packagesAt(reader, scope.repository.id, page)).values()) bytes += sizeBytes
  }
  return { files, bytes }
}

async function unownedFiles(
  { reader, now }: { readonly reader: Reader; readonly now: number },
  fingerprints: Fingerprints,
  scope: ArtifactScope,
  ranges: readonly PathRange[],
): Promise<RangeSize & { readonly silent: readonly string[] }> {
  const nodes = ranges.filter((range) => holdsNodes(range))
  const repoId = scope.repository.id
  if (nodes.length === 0) return { files: 0, bytes: 0, silent: [] }
  if (scope.filter !== undefined || scope.watch !== undefined) return scannedFiles({ reader, now }, scope, nodes)
  const rows = (await sumsOf(fingerprints, nodes)).reduce((total, sum) => total + sum.rows, 0)
  const owned = await ownedFilesIn(reader, repoId, nodes)
  const expired = await countExpiredUnowned(reader, repoId, nodes, now)
  let bytes = -owned.bytes
  for (const range of nodes.length === 1 ? nodes : []) bytes += (await rangeSize(reader, repoId, range, now)).bytes
  return { files: Math.max(0, rows - owned.files - expired), bytes: Math.max(0, bytes), silent: [] }
}

async function scannedFiles(
  { reader, now }: { readonly reader: Reader; readonly now: number },
  { repository, filter = () => true, watch }: ArtifactScope,
  ranges: readonly PathRange[],
): Promise<RangeSize & { readonly silent: readonly string[] }> {
  const watching = watch?.()
  let [files, bytes] = [0, 0]
  for await (const page of scanFiles({ reader, repoId: repository.id, now }, ranges)) {
    const some = page.filter(({ path }) => filter(path))
    const owned = new Set<string>()
    for (let at = 0; at < some.length; at += PATHS_PER_QUERY) {
      const paths = some.slice(at, at + PATHS_PER_QUERY).map(({ path }) => path)
      for (const { path } of await ownersAt(reader, repository.id, paths)) owned.add(path)
    }
    for (const { path, size } of some) {
      watching?.saw(path)
      if (owned.has(path)) continue
      files++
      bytes += size
    }
  }
  return { files, bytes, silent: watching?.silent() ?? [] }
}
