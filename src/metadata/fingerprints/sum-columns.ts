import { type RawBuilder, sql } from 'kysely'
import { addSums, EMPTY_SUM, type RangeSum } from '../../core/fingerprint.ts'

/** What the sums are taken of: columns of live rows, of changes, or of buckets. */
export type Summed = readonly [rows: string, ...lanes: string[]]
export const OF_LIVE_ROWS: Summed = ['n', 'c0', 'c1', 'c2', 'c3', 'm0', 'm1', 'm2', 'm3']
export const OF_CHANGES: Summed = ['dn', 'd0', 'd1', 'd2', 'd3', 'e0', 'e1', 'e2', 'e3']
export const OF_BUCKETS: Summed = ['n', 's0', 's1', 's2', 's3', 't0', 't1', 't2', 't3']

/** Sums as both databases give them: lanes as text, because they leave 2^53. */
export interface SumRow {
  readonly rows: number
  readonly s0: string
  readonly s1: string
  readonly s2: string
  readonly s3: string
  readonly t0: string
  readonly t1: string
  readonly t2: string
  readonly t3: string
}
const [, ...LANES] = OF_BUCKETS

/** `sum(…)` of each, for a statement whose rows are read by `toRangeSum`. */
export const summed = ([rows, ...lanes]: Summed): RawBuilder<SumRow> =>
  sql<SumRow>`${sql.join([
    sql`coalesce(sum(${sql.ref(rows)}), 0) as "rows"`,
    ...lanes.map((lane, at) => sql`cast(coalesce(sum(${sql.ref(lane)}), 0) as text) as ${sql.ref(LANES[at]!)}`),
  ])}`

/** Each as it is, for a statement whose rows are read by `toRangeSum`. */
export const single = ([rows, ...lanes]: Summed): RawBuilder<SumRow> =>
  sql<SumRow>`${sql.join([
    sql`${sql.ref(rows)} as "rows"`,
    ...lanes.map((lane, at) => sql`cast(${sql.ref(lane)} as text) as ${sql.ref(LANES[at]!)}`),
  ])}`

export const toRangeSum = (row: SumRow): RangeSum => ({
  rows: Number(row.rows),
  content: [BigInt(row.s0), BigInt(row.s1), BigInt(row.s2), BigInt(row.s3)],
  metadata: [BigInt(row.t0), BigInt(row.t1), BigInt(row.t2), BigInt(row.t3)],
})

/** In the order of the columns of `fp_bucket`. */
export const sumValues = ({ rows, content, metadata }: RangeSum): (number | string)[] => [
  rows,
  ...content.map(String),
  ...metadata.map(String),
]

export const sumOfAll = (sums: Iterable<RangeSum>): RangeSum => {
  let total = EMPTY_SUM
  for (const sum of sums) total = addSums(total, sum)
  return total
}
const negated = (lanes: RangeSum['content']): RangeSum['content'] => [-lanes[0], -lanes[1], -lanes[2], -lanes[3]]
export const subtractSum = (a: RangeSum, b: RangeSum): RangeSum =>
  addSums(a, { rows: -b.rows, content: negated(b.content), metadata: negated(b.metadata) })
export const isSameSum = (a: RangeSum, b: RangeSum): boolean => {
  const { rows, content, metadata } = subtractSum(a, b)
  return rows === 0 && [...content, ...metadata].every((lane) => lane === 0n)
}
