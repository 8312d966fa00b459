import { type RawBuilder, sql } from 'kysely'
import { EVERY_PACKAGE, parsePackagePath, versionPath } from '../../core/package-key.ts'
import { holderOf, type PathRange } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import type { Reader } from '../database.ts'
import { holdsPackages, keysWithin, pathOfPackage, pathOfVersion, within } from '../fingerprints/live-rows.ts'
import { type PackageRecord, toPackage } from '../packages/packages.ts'
import { filesOfVersions } from '../packages/version-files.ts'
import { type KeyedVersion, toVersion } from '../packages/versions.ts'
import { anyOf } from '../sql/any-of.ts'
import { givenRows } from '../sql/given-rows.ts'
import { areFew, inRanges } from '../sql/in-ranges.ts'
import { filesAt, type SourceFile } from './source-files.ts'

/** A version as replication reads it, with the package as it is now. */
export interface SourceVersion {
  /** Where it stands among paths. */
  readonly path: string
  readonly version: KeyedVersion
  readonly package: PackageRecord
  /** Leaves first. */
  readonly files: readonly VersionSource[]
}
export interface VersionSource {
  readonly role: string
  readonly file: SourceFile
}

/** What is at the places of packages and versions; those where nothing is are left out. At most 1,000 paths of each kind. */
export interface PackageRows {
  readonly packages: readonly PackageRecord[]
  readonly versions: readonly {
    readonly path: string
    readonly version: KeyedVersion
    readonly package: PackageRecord
  }[]
}
export async function packageRowsAt(reader: Reader, repoId: number, paths: readonly string[]): Promise<PackageRows> {
  const wanted = paths.flatMap((path) => parsePackagePath(path) ?? [])
  if (wanted.length === 0) return { packages: [], versions: [] }
  const keys = [...new Set(wanted.map(({ key }) => key))]
  const rows = await reader
    .selectFrom('package')
    .where('repo_id', '=', repoId)
    .where(anyOf(reader, 'key', keys))
    .selectAll()
    .execute()
  const packages = rows.map(toPackage)
  const byId = new Map(packages.map((one) => [one.id, one]))
  const idOf = new Map(packages.map(({ key, id }) => [key, id]))
  const named = wanted.flatMap(({ key, version }) => {
    const id = idOf.get(key)
    return id === undefined || version === undefined ? [] : [[id, version] as const]
  })
  const bare = new Set(wanted.flatMap(({ key, version }) => (version === undefined ? [key] : [])))
  const found = named.length === 0 ? [] : await versionRows(reader, named)
  return {
    packages: packages.filter(({ key }) => bare.has(key)),
    versions: found.flatMap((row) => {
      const owner = byId.get(row.packageId)
      if (owner === undefined) return []
      const version: KeyedVersion = { ...row, packageKey: owner.key }
      return [{ path: versionPath(owner.key, row.name), version, package: owner }]
    }),
  }
}

async function versionRows(reader: Reader, named: readonly (readonly [number, string])[]) {
  const given = givenRows(reader, 'g', { package_id: 'bigint', name: 'text' }, named)
  const { rows } = await sql<Parameters<typeof toVersion>[0]>`select v.* from ${given}
    join package_version as v on v.package_id = g.package_id and v.name = g.name`.execute(reader)
  return rows.map(toVersion)
}

/** The files of these versions by version id, leaves first; files whose node is gone are left out. */
export async function sourceFilesOf(
  reader: Reader,
  repoId: number,
  versionIds: readonly number[],
): Promise<Map<number, VersionSource[]>> {
  if (versionIds.length === 0) return new Map()
  const claims = await filesOfVersions(reader, versionIds)
  const paths = [...new Set(claims.map(({ path }) => path))]
  const files = new Map<string, SourceFile>()
  for (let at = 0; at < paths.length; at += PATHS_AT_ONCE) {
    // An expired file belongs to its version until it is swept.
    for (const file of await filesAt(reader, repoId, paths.slice(at, at + PATHS_AT_ONCE), 0)) files.set(file.path, file)
  }
  const found = new Map<number, VersionSource[]>()
  for (const { versionId, path, role } of claims) {
    const file = files.get(path)
    if (file === undefined) continue
    const of = found.get(versionId)
    if (of === undefined) found.set(versionId, [{ role, file }])
    else of.push({ role, file })
  }
  return found
}
const PATHS_AT_ONCE = 1_000

/** How many files each of the versions at these places has. At most 1,000 paths. */
export async function fileCountsAt(
  reader: Reader,
  repoId: number,
  paths: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const named = paths.flatMap((path) => {
    const place = parsePackagePath(path)
    return place?.version === undefined ? [] : [[place.key, place.version]]
  })
  if (named.length === 0) return new Map()
  const { rows } = await sql<{ path: string; files: number }>`select ${pathOfVersion(reader, 'p', 'v')} as path,
      (select count(*) from version_file as f where f.version_id = v.id) as files
    from ${givenRows(reader, 'g', { key: 'text', name: 'text' }, named)}
    join package as p on p.repo_id = ${repoId} and p.key = g.key
    join package_version as v on v.package_id = p.id and v.name = g.name`.execute(reader)
  return new Map(rows.map(({ path, files }) => [path, Number(files)]))
}

/** Places of the versions that claim any of the paths, with the path that each was found by. At most 1,000 paths. */
export async function ownersAt(
  reader: Reader,
  repoId: number,
  paths: readonly string[],
): Promise<{ readonly path: string; readonly owner: string }[]> {
  if (paths.length === 0) return []
  const { rows } = await sql<{ path: string; owner: string }>`select f.path, ${pathOfVersion(reader, 'p', 'v')} as owner
    from version_file as f join package_version as v on v.id = f.version_id join package as p on p.id = v.package_id
    where f.repo_id = ${repoId} and ${anyOf(reader, 'f.path', paths)}`.execute(reader)
  return rows
}

/** Places of the versions that claim a file in the ranges, each once, ascending. Reads all claims of the repository when there are many ranges. */
export async function ownersIn(reader: Reader, repoId: number, ranges: readonly PathRange[]): Promise<string[]> {
  const holds = areFew(ranges) ? undefined : holderOf(ranges)
  const condition = holds === undefined ? sql` and ${inRanges(ranges, 'f.path')}` : sql``
  const { rows } = await sql<{
    path: string
    owner: string
  }>`select distinct ${holds === undefined ? sql`''` : sql`f.path`} as path,
      ${pathOfVersion(reader, 'p', 'v')} as owner
    from version_file as f join package_version as v on v.id = f.version_id join package as p on p.id = v.package_id
    where f.repo_id = ${repoId}${condition}`.execute(reader)
  const owners = new Set(rows.flatMap(({ path, owner }) => (holds === undefined || holds(path) ? [owner] : [])))
  return [...owners].sort(comparePaths)
}

/** Places of the versions of the ranges above `after`, ascending. @param ranges sorted and merged. */
export async function listVersionPaths(
  reader: Reader,
  repoId: number,
  ranges: readonly PathRange[],
  after: string,
  limit: number,
): Promise<string[]> {
  const found: string[] = []
  for (const range of ranges) {
    if (found.length >= limit) break
    if (!holdsPackages(range) || (range.hi !== null && comparePaths(range.hi, after) <= 0)) continue
    found.push(...(await versionPathsIn(reader, repoId, range, after, limit - found.length)))
  }
  return found
}
async function versionPathsIn(reader: Reader, repoId: number, range: PathRange, after: string, limit: number) {
  const { from, to } = keysWithin({ lo: comparePaths(after, range.lo) > 0 ? after : range.lo, hi: range.hi })
  const path = pathOfVersion(reader, 'p', 'v')
  const { rows } = await sql<{ path: string }>`select ${path} as path
    from package as p join package_version as v on v.package_id = p.id
    where p.repo_id = ${repoId} and p.key >= ${from} and p.key <= ${to} and ${within(path, range)} and ${path} > ${after}
    order by p.key, v.name limit ${limit}`.execute(reader)
  return rows.map((row) => row.path)
}

/** How many packages and versions the ranges hold, and the bytes of these. */
export async function packagesIn(reader: Reader, repoId: number, ranges: readonly PathRange[]) {
  const total = { packages: 0, versions: 0, bytes: 0 }
  const some = ranges.filter((range) => holdsPackages(range))
  const holds = areFew(some) ? undefined : holderOf(some)
  // Many ranges: one look at all, instead of one for each.
  for (const range of holds === undefined ? some : [EVERY_PACKAGE]) {
    const { from, to } = keysWithin(range)
    const ofKeys = sql`p.repo_id = ${repoId} and p.key >= ${from} and p.key <= ${to}`
    const [packagePath, path] = [pathOfPackage(reader, 'p'), pathOfVersion(reader, 'p', 'v')]
    const packages = sql`from package as p where ${ofKeys} and ${within(packagePath, range)}`
    const versions = sql`from package as p join package_version as v on v.package_id = p.id
      where ${ofKeys} and ${within(path, range)}`
    if (holds !== undefined) {
      const owners = await sql<{ path: string }>`select ${packagePath} as path ${packages}`.execute(reader)
      const found = await sql<{ path: string; size: number }>`select ${path} as path, v.size ${versions}`.execute(
        reader,
      )
      const inside = found.rows.filter((row) => holds(row.path))
      total.packages += owners.rows.filter((row) => holds(row.path)).length
      total.versions += inside.length
      total.bytes += inside.reduce((sum, { size }) => sum + Number(size), 0)
      continue
    }
    const [owners] = (await sql<{ n: number }>`select count(*) as n ${packages}`.execute(reader)).rows
    const [found] = (
      await sql<{ n: number; bytes: number | null }>`select count(*) as n, sum(v.size) as bytes ${versions}`.execute(
        reader,
      )
    ).rows
    total.packages += Number(owners!.n)
    total.versions += Number(found!.n)
    total.bytes += Number(found!.bytes ?? 0)
  }
  return total
}

/** Live files of the ranges that versions claim, expired ones among them, and their bytes. */
export async function ownedFilesIn(reader: Reader, repoId: number, ranges: readonly PathRange[]) {
  const holds = areFew(ranges) ? undefined : holderOf(ranges)
  const claimed = sql`from node as n where n.repo_id = ${repoId} and n.deleted_at is null and n.folder = 0
    and exists (select 1 from version_file as f where f.repo_id = n.repo_id and f.path = n.path)`
  if (holds === undefined) {
    const { rows } = await sql<{
      n: number
      bytes: number | null
    }>`select count(*) as n, sum(n.size) as bytes ${claimed}
      and ${inRanges(ranges, 'n.path')}`.execute(reader)
    return { files: Number(rows[0]!.n), bytes: Number(rows[0]!.bytes ?? 0) }
  }
  const { rows } = await sql<{ path: string; size: number }>`select n.path, n.size ${claimed}`.execute(reader)
  const inside = rows.filter(({ path }) => holds(path))
  return { files: inside.length, bytes: inside.reduce((sum, { size }) => sum + Number(size), 0) }
}

/** Files of the ranges that expired, are not deleted yet, and belong to no version. */
export async function countExpiredUnowned(
  reader: Reader,
  repoId: number,
  ranges: readonly PathRange[],
  now: number,
): Promise<number> {
  const { rows } = await sql<{ path: string }>`select n.path from node as n where n.repo_id = ${repoId}
    and n.deleted_at is null and n.folder = 0 and n.expires_at <= ${now}
    and not exists (select 1 from version_file as f where f.repo_id = n.repo_id and f.path = n.path)`.execute(reader)
  const holds = holderOf(ranges)
  return rows.filter(({ path }) => holds(path)).length
}

/** Those of the paths where a package or a version is. At most 1,000. */
export async function livePackagePaths(reader: Reader, repoId: number, paths: readonly string[]): Promise<Set<string>> {
  if (paths.length === 0) return new Set()
  const union: RawBuilder<unknown> = sql`select ${pathOfPackage(reader, 'p')} as path from package as p where p.repo_id = ${repoId}
      and ${anyOf(reader, 'p.key', keysOf(paths))}
    union all select ${pathOfVersion(reader, 'p', 'v')} as path
      from package as p join package_version as v on v.package_id = p.id where p.repo_id = ${repoId}
      and ${anyOf(reader, 'p.key', keysOf(paths))}`
  const { rows } = await sql<{
    path: string
  }>`select path from (${union}) as there where ${anyOf(reader, 'path', paths)}`.execute(reader)
  return new Set(rows.map(({ path }) => path))
}
const keysOf = (paths: readonly string[]) => [...new Set(paths.flatMap((path) => parsePackagePath(path)?.key ?? []))]
