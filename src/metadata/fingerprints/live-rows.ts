import { type RawBuilder, sql } from 'kysely'
import { parsePackagePath } from '../../core/package-key.ts'
import type { PathRange } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import type { Reader } from '../database.ts'
import { dialectOf } from '../sql/dialect-of.ts'

/** Paths of nodes begin with `/`; `0` is the byte after it. Those of packages and versions lie between the two texts below. */
export const AFTER_ALL_PATHS = '0'
const PACKAGES_FROM = '\u0001pkg/'
export const AFTER_PACKAGES = '\u0001pkg0'
/** No package key reaches it: keys begin with letters. */
const LAST_KEY = '~'

export const holdsPackages = ({ lo, hi }: PathRange): boolean =>
  comparePaths(lo, AFTER_PACKAGES) < 0 && (hi === null || comparePaths(hi, PACKAGES_FROM) > 0)
export const holdsNodes = ({ hi }: PathRange): boolean => hi === null || comparePaths(hi, '/') > 0

/** Keys of the packages that a range of paths may hold, or whose versions it may hold; both included. */
export function keysWithin({ lo, hi }: PathRange): { readonly from: string; readonly to: string } {
  const to = hi === null || comparePaths(hi, AFTER_PACKAGES) >= 0 ? LAST_KEY : keyIn(hi)
  return { from: keyIn(lo), to }
}
const keyIn = (path: string): string => parsePackagePath(path)?.key ?? ''

/** Where packages and versions stand among paths (`core/package-key.ts`), from the columns of their tables. */
export const pathOfPackage = (reader: Reader, alias: string): RawBuilder<string> =>
  sql<string>`(${mark(reader)} || 'pkg/' || ${sql.ref(`${alias}.key`)})`
export const pathOfVersion = (reader: Reader, owner: string, version: string): RawBuilder<string> =>
  sql<string>`(${pathOfPackage(reader, owner)} || ${mark(reader)} || ${sql.ref(`${version}.name`)})`
const mark = (reader: Reader) => (dialectOf(reader) === 'sqlite' ? sql`char(1)` : sql`chr(1)`)

/**
 * The rows that count in fingerprints, as a table `path, n, c0 … c3, m0 … m3` with `n` 1: live files (expired ones as long as no
 * sweep has deleted them), versions and packages. In no order.
 */
export function liveRows(reader: Reader, repoId: number, range: PathRange): RawBuilder<unknown> {
  const parts: RawBuilder<unknown>[] = []
  if (holdsNodes(range)) {
    parts.push(sql`select path, 1 as n, c0, c1, c2, c3, m0, m1, m2, m3 from node
      where repo_id = ${repoId} and deleted_at is null and folder = 0 and ${within(sql.ref('path'), range)}`)
  }
  if (holdsPackages(range)) {
    const { from, to } = keysWithin(range)
    const packagePath = pathOfPackage(reader, 'p')
    const versionPath = pathOfVersion(reader, 'p', 'v')
    const ofKeys = sql`p.repo_id = ${repoId} and p.key >= ${from} and p.key <= ${to}`
    parts.push(
      sql`select ${packagePath} as path, 1 as n, 0 as c0, 0 as c1, 0 as c2, 0 as c3, p.m0, p.m1, p.m2, p.m3
        from package p where ${ofKeys} and ${within(packagePath, range)}`,
      sql`select ${versionPath} as path, 1 as n, v.c0, v.c1, v.c2, v.c3, v.m0, v.m1, v.m2, v.m3
        from package p join package_version v on v.package_id = p.id where ${ofKeys} and ${within(versionPath, range)}`,
    )
  }
  if (parts.length === 0)
    return sql`(select '' as path, 0 as n, 0 as c0, 0 as c1, 0 as c2, 0 as c3,
    0 as m0, 0 as m1, 0 as m2, 0 as m3 where 1 = 0)`
  return sql`(${sql.join(parts, sql` union all `)})`
}

export const within = (path: RawBuilder<unknown>, { lo, hi }: PathRange): RawBuilder<boolean> =>
  hi === null ? sql<boolean>`${path} >= ${lo}` : sql<boolean>`(${path} >= ${lo} and ${path} < ${hi})`
