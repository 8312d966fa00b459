import {
  addSums,
  type ComparedLanes,
  type FingerprintRow,
  fingerprintOf,
  type RangeSum,
} from '../../core/fingerprint.ts'
import type { PathRange } from '../../core/path-range.ts'
import type { ReconPart } from '../../remotes/cluster/recon/recon-message.ts'
import { type Fingerprints, sumOfRows, sumsOf } from './fingerprints.ts'
import type { LedgerIndex } from './ledger-index.ts'
import { expectedOf, type Line, mergeLines } from './lines.ts'
import { separatorOf } from './separator.ts'
import { createTurns } from './turns.ts'

/** One side of a reconciliation: what it has, and how it expects the other one to differ. */
export interface Side {
  readonly local: Fingerprints
  readonly ledger: LedgerIndex
  readonly compared: ComparedLanes
}

/** Part of a range, with its sum as the other side is expected to have it. */
export interface Piece {
  readonly range: PathRange
  readonly sum: RangeSum
}

export interface Refined {
  readonly parts: readonly ReconPart[]
  /** Behind a part of mode `rows` or `empty`: what it was made of. */
  readonly lines: readonly Line[]
}

/** Parts that a range which differs is cut into (sync.md B.4). */
const FAN_OUT = 16
/** So many rows are said one by one. */
export const LIST_ROWS = 64
/** So many are read and cut here, at any row; larger ranges are cut by the database, at starts of buckets. */
export const READ_ROWS = 1_024

/** A range that differs, and how many rows it had a moment ago. */
export interface Differing {
  readonly range: PathRange
  readonly rows: number
}

/** Ranges whose pieces are summed by one question. */
const AHEAD = 16
const ROWS_PER_TURN = 2_048

/** Says ranges that differ in more detail, each when it is asked for by its place. Asked in order, a few are read together. */
export function refineInOrder(side: Side, ranges: readonly Differing[]): (place: number) => Promise<Refined> {
  const known = new Map<number, Refined>()
  return async (place) => {
    if (!known.has(place)) {
      const some = await refine(side, ranges.slice(place, place + AHEAD))
      for (const [index, refined] of some.entries()) known.set(place + index, refined)
    }
    const refined = known.get(place)!
    known.delete(place)
    return refined
  }
}

async function refine(side: Side, ranges: readonly Differing[]): Promise<Refined[]> {
  const cuts: PathRange[][] = []
  const refined: (Refined | undefined)[] = []
  const turn = createTurns(ROWS_PER_TURN)
  for (const { range, rows } of ranges) {
    await turn(Math.min(rows, READ_ROWS))
    const found = rows <= READ_ROWS ? await side.local.rows(range, READ_ROWS + 1) : []
    const isWhole = rows <= READ_ROWS && found.length <= READ_ROWS
    refined.push(isWhole ? describe(side, range, found) : undefined)
    cuts.push(isWhole ? [] : await rangesWithin(side, range, FAN_OUT))
  }
  const pieces = await measured(side, cuts.flat())
  let taken = 0
  return refined.map((done, index) => {
    const from = taken
    taken += cuts[index]!.length
    return done ?? { parts: fingerprints(side, pieces.slice(from, taken)), lines: [] }
  })
}

/** @param rows all rows of the range. */
function describe(side: Side, range: PathRange, rows: readonly FingerprintRow[]): Refined {
  const lines = mergeLines(rows, side.ledger.entriesIn(range))
  if (lines.length > LIST_ROWS) return { parts: fingerprints(side, cutLines(side, range, lines)), lines: [] }
  const ids = lines.flatMap((line) => {
    const { id } = expectedOf(line, side.compared)
    return id === null ? [] : [{ path: line.path, id }]
  })
  return { parts: [ids.length === 0 ? { mode: 'empty', range } : { mode: 'rows', range, rows: ids }], lines }
}

const fingerprints = ({ compared }: Side, pieces: readonly Piece[]): ReconPart[] =>
  pieces.map(({ range, sum }) => ({ mode: 'fingerprint', range, fingerprint: fingerprintOf(sum, compared) }))

/** Cuts a range into about `pieces` parts. */
export async function cutRange(side: Side, range: PathRange, pieces: number): Promise<Piece[]> {
  return measured(side, await rangesWithin(side, range, pieces))
}

async function measured({ local, ledger }: Side, ranges: readonly PathRange[]): Promise<Piece[]> {
  const sums = await sumsOf(local, ranges)
  return ranges.map((range, index) => ({ range, sum: addSums(sums[index]!, ledger.sumIn(range)) }))
}

async function rangesWithin({ local }: Side, range: PathRange, pieces: number): Promise<PathRange[]> {
  const cuts = await local.cuts(range, pieces)
  if (cuts.length > 0) return rangesBetween(range, cuts)
  const first = await local.rows(range, READ_ROWS)
  const step = Math.max(1, Math.ceil(first.length / pieces))
  for (let at = step; at < first.length; at += step) cuts.push(separatorOf(first[at - 1]!.path, first[at]!.path))
  return rangesBetween(range, cuts)
}

/** @param lines all of the range. */
function cutLines({ ledger }: Side, range: PathRange, lines: readonly Line[]): Piece[] {
  const size = Math.max(1, Math.ceil(lines.length / FAN_OUT))
  const starts = [0]
  for (let at = size; at < lines.length; at += size) starts.push(shortestNear(lines, at, size >> 2))
  const cuts = starts.slice(1).map((at) => separatorOf(lines[at - 1]!.path, lines[at]!.path))
  return rangesBetween(range, cuts).map((part, index) => {
    const own = lines.slice(starts[index], starts[index + 1]).flatMap(({ local }) => local ?? [])
    return { range: part, sum: addSums(sumOfRows(own), ledger.sumIn(part)) }
  })
}

/** The place within `leeway` of `at` with the shortest bound: rather between two folders than within one. */
function shortestNear(lines: readonly Line[], at: number, leeway: number): number {
  let best = at
  let length = Number.POSITIVE_INFINITY
  for (let place = at - leeway; place <= Math.min(at + leeway, lines.length - 1); place++) {
    const bound = separatorOf(lines[place - 1]!.path, lines[place]!.path)
    if (bound.length >= length) continue
    best = place
    length = bound.length
  }
  return best
}

function rangesBetween({ lo, hi }: PathRange, cuts: readonly string[]): PathRange[] {
  const edges: (string | null)[] = [lo, ...cuts, hi]
  return edges.slice(1).map((upper, index) => ({ lo: edges[index]!, hi: upper }))
}
