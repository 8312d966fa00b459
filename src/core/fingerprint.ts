import { createHash } from 'node:crypto'
import type { Lanes } from './lanes.ts'

/** Sums of lanes over a range of paths, exact: a lane's sum leaves what a JavaScript number holds after four million rows. */
export type LaneSums = readonly [bigint, bigint, bigint, bigint]

/** What the live rows of a range of paths add up to (sync.md B.1). Folders take no part; versions and packages have rows of their own. */
export interface RangeSum {
  readonly rows: number
  readonly content: LaneSums
  readonly metadata: LaneSums
}

/** A live row as a fingerprint counts it. */
export interface FingerprintRow {
  readonly path: string
  readonly content: Lanes
  readonly metadata: Lanes
}

/** What is compared: content alone, or user metadata as well. */
export type ComparedLanes = 'content' | 'content+metadata'

const NO_SUMS: LaneSums = [0n, 0n, 0n, 0n]
export const EMPTY_SUM: RangeSum = { rows: 0, content: NO_SUMS, metadata: NO_SUMS }

/** Sums commute: rows are added and taken away (`rows` and lanes negative) in any order. */
export function addSums(a: RangeSum, b: RangeSum): RangeSum {
  return {
    rows: a.rows + b.rows,
    content: addLanes(a.content, b.content),
    metadata: addLanes(a.metadata, b.metadata),
  }
}
export const negated = ({ rows, content, metadata }: RangeSum): RangeSum => ({
  rows: -rows,
  content: minusLanes(content),
  metadata: minusLanes(metadata),
})
export const sumOfRow = ({ content, metadata }: Omit<FingerprintRow, 'path'>): RangeSum => ({
  rows: 1,
  content: laneSums(content),
  metadata: laneSums(metadata),
})
export const laneSums = ([a, b, c, d]: Lanes): LaneSums => [BigInt(a), BigInt(b), BigInt(c), BigInt(d)]
const minusLanes = ([a, b, c, d]: LaneSums): LaneSums => [-a, -b, -c, -d]
const addLanes = (a: LaneSums, b: LaneSums): LaneSums => [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]]

/** 16 bytes: SHA-256 over the number of rows and the sums, each as a signed 64-bit big-endian number. */
export function fingerprintOf(sum: RangeSum, compared: ComparedLanes): Buffer {
  const sums = compared === 'content' ? sum.content : [...sum.content, ...sum.metadata]
  const bytes = Buffer.alloc(8 * (sums.length + 1))
  bytes.writeBigInt64BE(BigInt(sum.rows), 0)
  for (const [index, lane] of sums.entries()) bytes.writeBigInt64BE(BigInt.asIntN(64, lane), 8 * (index + 1))
  return createHash('sha256').update(bytes).digest().subarray(0, 16)
}

/** 8 bytes that tell one state of a path from another in leaf lists. */
export function rowIdOf({ content, metadata }: Omit<FingerprintRow, 'path'>, compared: ComparedLanes): Buffer {
  const id = Buffer.alloc(8)
  const plus = (index: 0 | 1) => (compared === 'content' ? content[index] : content[index] + metadata[index]) | 0
  id.writeInt32BE(plus(0), 0)
  id.writeInt32BE(plus(1), 4)
  return id
}
