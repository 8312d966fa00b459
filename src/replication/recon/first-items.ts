import { addSums, fingerprintOf } from '../../core/fingerprint.ts'
import { mergeRanges, type PathRange } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import { sumsOf } from './fingerprints.ts'
import type { Item } from './item.ts'
import { cutRange, type Piece, type Side } from './refine.ts'

/** Ranges of the first message (sync.md A 1.1, 1.2): what an equal scope costs, and how fast a difference is found. */
const FIRST_RANGES = 64
const FIRST_RANGES_OF_MANY = 256
const MANY_ROWS = 100_000
/** Where paths are long, fewer ranges: a scope that is equal stays this cheap. */
const FIRST_BYTES = 12_800
/** Of a range, besides its upper path. */
const RANGE_BYTES = 20
/** More ranges than rows would be wasted. */
const ROWS_PER_RANGE = 64

export interface First {
  /** What the first message asks: the scope, cut into ranges of about equal size. */
  readonly items: Item[]
  /** Of the source in the scope. */
  readonly rows: number
}

export async function firstItems(side: Side, scope: readonly PathRange[]): Promise<First> {
  const ranges = mergeRanges(scope.filter(({ lo, hi }) => hi === null || comparePaths(lo, hi) < 0))
  const sums = await sumsOf(side.local, ranges)
  const total = sums.reduce((rows, sum) => rows + sum.rows, 0)
  const wanted = total < MANY_ROWS ? FIRST_RANGES : FIRST_RANGES_OF_MANY
  const items: Item[] = []
  for (const [index, range] of ranges.entries()) {
    const { rows } = sums[index]!
    if (rows === 0) {
      items.push({ kind: 'refine', range, rows, repeats: 0 })
      continue
    }
    const pieces = Math.min(Math.ceil(rows / ROWS_PER_RANGE), Math.round((wanted * rows) / total))
    const cut =
      pieces > 1
        ? await cutRange(side, range, pieces)
        : [{ range, sum: addSums(sums[index]!, side.ledger.sumIn(range)) }]
    for (const { range: part, sum } of joined(cut, (FIRST_BYTES * pieces) / wanted)) {
      const fingerprint = fingerprintOf(sum, side.compared)
      items.push({ kind: 'say', part: { mode: 'fingerprint', range: part, fingerprint }, lines: [], repeats: 0 })
    }
  }
  return { items, rows: total }
}

/** Neighbours put together evenly, so that all take about `bytes` in a message. */
function joined(pieces: readonly Piece[], bytes: number): readonly Piece[] {
  const taken = pieces.reduce((sum, { range }) => sum + RANGE_BYTES + addedBytes(range), 0)
  if (taken <= bytes) return pieces
  const count = Math.max(1, Math.floor((pieces.length * bytes) / taken))
  return Array.from({ length: count }, (_, index) => {
    const some = pieces.slice(
      Math.floor((index * pieces.length) / count),
      Math.floor(((index + 1) * pieces.length) / count),
    )
    const range = { lo: some[0]!.range.lo, hi: some.at(-1)!.range.hi }
    return { range, sum: some.map(({ sum }) => sum).reduce(addSums) }
  })
}
function addedBytes({ lo, hi }: PathRange): number {
  if (hi === null) return 0
  let shared = 0
  while (shared < lo.length && lo.charCodeAt(shared) === hi.charCodeAt(shared)) shared++
  return Buffer.byteLength(hi.slice(shared))
}
