import { sql } from 'kysely'
import type { FingerprintRow } from '../../core/fingerprint.ts'
import { NO_LANES } from '../../core/lanes.ts'
import { type PackageKey, packagePath, versionPath } from '../../core/package-key.ts'
import type { PathRange } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import type { Reader } from '../database.ts'
import { holdsNodes, holdsPackages, keysWithin, pathOfPackage, pathOfVersion, within } from './live-rows.ts'

interface LaneColumns {
  readonly c0: number
  readonly c1: number
  readonly c2: number
  readonly c3: number
  readonly m0: number
  readonly m1: number
  readonly m2: number
  readonly m3: number
}
const lanesIn = (row: LaneColumns) => ({
  content: [row.c0, row.c1, row.c2, row.c3] as const,
  metadata: [row.m0, row.m1, row.m2, row.m3] as const,
})

/** Up to `limit` live rows of the range that come first, ascending by the bytes of their paths. */
export async function rangeRows(
  reader: Reader,
  repoId: number,
  range: PathRange,
  limit: number,
): Promise<FingerprintRow[]> {
  // Packages and versions come before all nodes.
  const first = holdsPackages(range) ? await packageRows(reader, repoId, range, limit) : []
  if (first.length >= limit || !holdsNodes(range)) return first
  const { rows } = await sql<LaneColumns & { path: string }>`select path, c0, c1, c2, c3, m0, m1, m2, m3 from node
    where repo_id = ${repoId} and deleted_at is null and folder = 0 and ${within(sql.ref('path'), range)}
    order by path limit ${limit - first.length}`.execute(reader)
  return [...first, ...rows.map((row) => ({ path: row.path, ...lanesIn(row) }))]
}

/** In the order of their columns, which is that of their paths: nothing has to be sorted. */
async function packageRows(reader: Reader, repoId: number, range: PathRange, limit: number): Promise<FingerprintRow[]> {
  const { from, to } = keysWithin(range)
  const ofKeys = sql`p.repo_id = ${repoId} and p.key >= ${from} and p.key <= ${to}`
  const { rows: packages } = await sql<LaneColumns & { key: PackageKey }>`select p.key, p.m0, p.m1, p.m2, p.m3
    from package as p where ${ofKeys} and ${within(pathOfPackage(reader, 'p'), range)}
    order by p.key limit ${limit}`.execute(reader)
  const { rows: versions } = await sql<LaneColumns & { key: PackageKey; name: string }>`
    select p.key, v.name, v.c0, v.c1, v.c2, v.c3, v.m0, v.m1, v.m2, v.m3
    from package as p join package_version as v on v.package_id = p.id
    where ${ofKeys} and ${within(pathOfVersion(reader, 'p', 'v'), range)}
    order by p.key, v.name limit ${limit}`.execute(reader)
  const found = [
    ...packages.map((row) => ({ path: packagePath(row.key), ...lanesIn(row), content: NO_LANES })),
    ...versions.map((row) => ({ path: versionPath(row.key, row.name), ...lanesIn(row) })),
  ]
  return found.sort((a, b) => comparePaths(a.path, b.path)).slice(0, limit)
}
