import { lanesOfFiles } from '../../artifacts/packages/version-rows.ts'
import { sameLanes } from '../../core/lanes.ts'
import { isPackagePath, parsePackagePath } from '../../core/package-key.ts'
import { holderOf } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import type { Reader } from '../../metadata/database.ts'
import {
  fileCountsAt,
  ownersAt,
  packageRowsAt,
  type SourceVersion,
  sourceFilesOf,
} from '../../metadata/replication/source-versions.ts'
import type { Precondition } from '../../remotes/cluster/frames/frame.ts'
import { shareOfSource } from '../images/platform-shares.ts'
import type { LinkScope } from '../planning/difference.ts'
import { chosenOf } from '../planning/package-artifacts.ts'
import { type PackageItem, UNKNOWN, type VersionItem } from './work-item.ts'

export interface PackageItems {
  /** Ascending by path bytes. */
  readonly items: (VersionItem | PackageItem)[]
  /** Those of the paths that are files of a version: they go with it. */
  readonly owned: ReadonlySet<string>
}

/** Files of versions that are read together. */
const FILES_AT_ONCE = 2_000

/** Cut so that the versions of a slice have few files together, or there is one. At most 1,000. */
export async function slicesByFiles<T extends { readonly path: string }>(
  reader: Reader,
  repoId: number,
  planned: readonly T[],
): Promise<T[][]> {
  const counts = await fileCountsAt(
    reader,
    repoId,
    planned.map(({ path }) => path),
  )
  const slices: T[][] = [[]]
  let files = 0
  for (const one of planned) {
    const more = counts.get(one.path) ?? 1
    if (files > 0 && files + more > FILES_AT_ONCE) {
      slices.push([])
      files = 0
    }
    slices.at(-1)!.push(one)
    files += more
  }
  return slices
}

type Scope = Pick<LinkScope, 'repository' | 'ranges' | 'filter' | 'packages'>

/**
 * Versions and packages at these paths, and the versions that own files at them, each once. What is named by its own place must be meant by
 * the scope. At most 1,000 paths.
 */
export async function packageItemsAt(
  reader: Reader,
  scope: Scope,
  paths: readonly string[],
  expectAt: (path: string) => Precondition,
): Promise<PackageItems> {
  const named = new Set(paths.filter(isPackagePath))
  const owners = await ownersAt(
    reader,
    scope.repository.id,
    paths.filter((path) => !isPackagePath(path)),
  )
  const owned = new Set(owners.map(({ path }) => path))
  const wanted = [...new Set([...named, ...owners.map(({ owner }) => owner)])]
  const { versions, packages } = await wholeVersions(reader, scope.repository.id, wanted)
  const found = new Set(owners.map(({ owner }) => owner))
  const meant = new Set(await chosenOf(reader, scope, wanted))
  const shares = await scope.packages?.shares?.of(
    reader,
    scope.repository.id,
    versions.map(({ path }) => path),
  )
  const items = [
    ...versions.flatMap((whole): VersionItem[] => {
      const { path } = whole
      if (!found.has(path) && !isSelected(scope, whole, meant)) return []
      const share = shares?.get(path) ?? 'whole'
      if (share === 'none') return []
      const source = share === 'whole' ? whole : shareOfSource(whole, share)
      // Where it was not named, its place in the order is not known.
      const derived = named.has(path) ? {} : ({ derived: true } as const)
      return [{ kind: 'version', path, expect: named.has(path) ? expectAt(path) : UNKNOWN, source, ...derived }]
    }),
    ...packages.flatMap(({ path, owner }): PackageItem[] =>
      meant.has(path) ? [{ kind: 'package', path, expect: expectAt(path), owner }] : [],
    ),
  ]
  return { items: items.sort((a, b) => comparePaths(a.path, b.path)), owned }
}

/** By its name, or by a file of it. */
function isSelected(scope: Scope, { path, files }: SourceVersion, meant: ReadonlySet<string>): boolean {
  const holds = holderOf(scope.ranges)
  if (holds(path) && meant.has(path)) return true
  return files.some(({ file }) => holds(file.path) && (scope.filter?.(file.path) ?? true))
}

const MAX_READS = 5

/** A version is read by several statements: until its files are those that its row speaks of. */
async function wholeVersions(reader: Reader, repoId: number, paths: readonly string[]) {
  const versions: SourceVersion[] = []
  const packages = new Map<string, PackageItem['owner']>()
  let rest = paths
  for (let reads = 1; rest.length > 0 && reads <= MAX_READS; reads++) {
    const rows = await packageRowsAt(reader, repoId, rest)
    const files = await sourceFilesOf(
      reader,
      repoId,
      rows.versions.map(({ version }) => version.id),
    )
    const bare = new Map(rows.packages.map((owner) => [owner.key, owner]))
    for (const path of rest) {
      const { key, version } = parsePackagePath(path)!
      const owner = version === undefined ? bare.get(key) : undefined
      if (owner !== undefined) packages.set(path, owner)
    }
    const torn: string[] = []
    for (const row of rows.versions) {
      const source: SourceVersion = { ...row, files: files.get(row.version.id) ?? [] }
      if (isWhole(source)) versions.push(source)
      else torn.push(row.path)
    }
    rest = torn
  }
  return { versions, packages: [...packages].map(([path, owner]) => ({ path, owner })) }
}

function isWhole({ version, files }: SourceVersion): boolean {
  const parts = files.map(({ role, file }) => ({ role, path: file.path, digest: file.digest }))
  return sameLanes(lanesOfFiles(version.packageKey, version.name, parts), version.contentLanes)
}
