import { type RawBuilder, sql } from 'kysely'
import type { PathRange } from '../../core/path-range.ts'

type Condition = RawBuilder<boolean>

/** Each row read is compared with all ranges of the condition: with more of them rows are read without it, and looked up (`holderOf`). */
const FEW_RANGES = 32
export const areFew = (ranges: readonly PathRange[]): boolean => ranges.length <= FEW_RANGES

/** Paths in any of the ranges. No range: no path. Few of them (`areFew`); SQLite takes 10,000 at most. */
export function inRanges(
  ranges: readonly PathRange[],
  column: 'path' | 'node.path' | 'change_log.path' | 'f.path' | 'n.path' = 'path',
): Condition {
  const path = sql.ref<string>(column)
  return anyOf(
    ranges.map(({ lo, hi }) =>
      hi === null ? sql<boolean>`${path} >= ${lo}` : sql<boolean>`(${path} >= ${lo} and ${path} < ${hi})`,
    ),
  )
}

/** Nested in halves: SQLite refuses expressions deeper than 1,000, and a chain of ORs is as deep as it is long. */
function anyOf(conditions: readonly Condition[]): Condition {
  if (conditions.length === 0) return sql<boolean>`1 = 0`
  if (conditions.length === 1) return conditions[0]!
  const half = conditions.length >> 1
  return sql<boolean>`(${anyOf(conditions.slice(0, half))} or ${anyOf(conditions.slice(half))})`
}
