import { mergeRanges, type PathRange } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import type { First } from './first-items.ts'
import type { Item } from './item.ts'
import { LIST_ROWS, READ_ROWS, type Side } from './refine.ts'

/** The scope in ranges that are said as lists: nothing is taken as equal because its sum is. */
export async function leafItems(side: Side, scope: readonly PathRange[]): Promise<First> {
  const items: Item[] = []
  let total = 0
  for (const range of mergeRanges(scope.filter(({ lo, hi }) => hi === null || comparePaths(lo, hi) < 0))) {
    for (let lo = range.lo; ; ) {
      const rows = await side.local.rows({ lo, hi: range.hi }, READ_ROWS + 1)
      const isLast = rows.length <= READ_ROWS
      const edges = rows.filter((_, at) => at > 0 && at % LEAF_ROWS === 0).map(({ path }) => path)
      for (const hi of isLast ? [...edges, range.hi] : edges) {
        items.push({ kind: 'refine', range: { lo, hi }, rows: LEAF_ROWS, repeats: 0 })
        if (hi !== null) lo = hi
      }
      total += isLast ? rows.length : READ_ROWS
      if (isLast) break
    }
  }
  return { items, rows: total }
}

/** With room for a few that come meanwhile, so that they are still said as a list. */
const LEAF_ROWS = LIST_ROWS / 2
