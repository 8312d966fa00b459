import { sql } from 'kysely'
import { addSums, EMPTY_SUM, type RangeSum } from '../../core/fingerprint.ts'
import type { PathRange } from '../../core/path-range.ts'
import type { Reader } from '../database.ts'
import { givenRows } from '../sql/given-rows.ts'
import { AFTER_ALL_PATHS, holdsNodes, holdsPackages, keysWithin, pathOfPackage, pathOfVersion } from './live-rows.ts'
import { OF_LIVE_ROWS } from './sum-columns.ts'
import { type Source, sumsByRange } from './sums-by-range.ts'

/** What the live rows of each range add up to, from the rows themselves; one statement per kind of row for any number of ranges. */
export async function rowSums(reader: Reader, repoId: number, ranges: readonly PathRange[]): Promise<RangeSum[]> {
  const sums: RangeSum[] = ranges.map(() => EMPTY_SUM)
  const add = async (source: Source) => {
    for (const { i, sum } of await sumsByRange(reader, source)) sums[i] = addSums(sums[i]!, sum)
  }
  const all = ranges.map((range, i) => ({ range, i }))
  const nodes = all.filter(({ range }) => holdsNodes(range))
  if (nodes.length > 0) await add(nodesIn(reader, repoId, nodes))
  const packages = all.filter(({ range }) => holdsPackages(range))
  if (packages.length > 0) {
    await add(packagesIn(reader, repoId, packages))
    await add(versionsIn(reader, repoId, packages))
  }
  return sums
}

type Given = readonly { readonly range: PathRange; readonly i: number }[]

function nodesIn(reader: Reader, repoId: number, ranges: Given): Source {
  const values = ranges.map(({ range, i }) => [i, range.lo, range.hi ?? AFTER_ALL_PATHS])
  return {
    given: givenRows(reader, 'g', { i: 'bigint', lo: 'text', hi: 'text' }, values),
    columns: sql`1 as n, c0, c1, c2, c3, m0, m1, m2, m3`,
    tables: sql`node`,
    condition: sql<boolean>`node.repo_id = ${repoId} and node.path >= g.lo and node.path < g.hi
      and node.deleted_at is null and node.folder = 0`,
    sums: OF_LIVE_ROWS,
  }
}

function packagesIn(reader: Reader, repoId: number, ranges: Given): Source {
  const path = pathOfPackage(reader, 'p')
  return {
    given: givenKeys(reader, ranges),
    columns: sql`1 as n, 0 as c0, 0 as c1, 0 as c2, 0 as c3, p.m0, p.m1, p.m2, p.m3`,
    tables: sql`package as p`,
    condition: sql<boolean>`p.repo_id = ${repoId} and p.key >= g.key_from and p.key <= g.key_to
      and ${path} >= g.lo and ${path} < g.hi`,
    sums: OF_LIVE_ROWS,
  }
}

function versionsIn(reader: Reader, repoId: number, ranges: Given): Source {
  const path = pathOfVersion(reader, 'p', 'v')
  return {
    given: givenKeys(reader, ranges),
    columns: sql`1 as n, v.c0, v.c1, v.c2, v.c3, v.m0, v.m1, v.m2, v.m3`,
    tables: sql`package as p cross join package_version as v`,
    condition: sql<boolean>`p.repo_id = ${repoId} and p.key >= g.key_from and p.key <= g.key_to
      and v.package_id = p.id and ${path} >= g.lo and ${path} < g.hi`,
    sums: OF_LIVE_ROWS,
  }
}

function givenKeys(reader: Reader, ranges: Given) {
  const values = ranges.map(({ range, i }) => {
    const { from, to } = keysWithin(range)
    return [i, range.lo, range.hi ?? AFTER_ALL_PATHS, from, to]
  })
  return givenRows(reader, 'g', { i: 'bigint', lo: 'text', hi: 'text', key_from: 'text', key_to: 'text' }, values)
}
