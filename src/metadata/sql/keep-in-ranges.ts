import { setImmediate as yieldThread } from 'node:timers/promises'
import { holderOf, type PathRange } from '../../core/path-range.ts'

/** A few milliseconds. */
const ROWS_PER_TURN = 2_000

/** The rows whose path is in any of the ranges, in their order: what `inRanges` does for few ranges. */
export async function keepInRanges<Row extends { readonly path: string }>(
  rows: readonly Row[],
  ranges: readonly PathRange[],
): Promise<Row[]> {
  const holds = holderOf(ranges)
  const kept: Row[] = []
  for (let at = 0; at < rows.length; at += ROWS_PER_TURN) {
    if (at > 0) await yieldThread()
    for (const row of rows.slice(at, at + ROWS_PER_TURN)) if (holds(row.path)) kept.push(row)
  }
  return kept
}
