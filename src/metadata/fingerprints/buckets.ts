import { sql } from 'kysely'
import type { RangeSum } from '../../core/fingerprint.ts'
import type { PathRange } from '../../core/path-range.ts'
import type { Reader, Transaction } from '../database.ts'
import { type GivenValue, givenRows } from '../sql/given-rows.ts'
import type { BuiltTo } from './fold-state.ts'
import { AFTER_ALL_PATHS, within } from './live-rows.ts'
import { OF_BUCKETS, type SumRow, single, sumValues, toRangeSum } from './sum-columns.ts'

export interface BucketId {
  readonly repoId: number
  readonly lo: string
}
/** What is added to a bucket. */
export interface BucketDelta extends BucketId {
  readonly sum: RangeSum
}
export interface Bucket extends BucketDelta {
  /** It begins at a landmark. */
  readonly landmark: boolean
}

const COLUMNS = {
  repo_id: 'bigint',
  lo: 'text',
  landmark: 'bigint',
  ...Object.fromEntries(OF_BUCKETS.map((name) => [name, 'bigint'] as const)),
} as Readonly<Record<string, 'text' | 'bigint'>>
const valuesOf = ({ repoId, lo, landmark, sum }: Bucket): GivenValue[] => [
  repoId,
  lo,
  Number(landmark),
  ...sumValues(sum),
]
const NAMES = sql.join(Object.keys(COLUMNS).map((name) => sql.ref(name)))

/** Adds to buckets that are there. @throws when one is not: the version was not taken, or the tables are broken. */
export async function addToBuckets(trx: Transaction, deltas: readonly BucketDelta[]): Promise<void> {
  if (deltas.length === 0) return
  const sums = OF_BUCKETS.map((name) => sql`${sql.ref(name)} = fp_bucket.${sql.ref(name)} + v.${sql.ref(name)}`)
  const { numAffectedRows } = await sql`update fp_bucket set ${sql.join(sums)}
    from ${givenRows(
      trx,
      'v',
      COLUMNS,
      deltas.map((delta) => valuesOf({ ...delta, landmark: false })),
    )}
    where fp_bucket.repo_id = v.repo_id and fp_bucket.lo = v.lo`.execute(trx)
  if (Number(numAffectedRows) !== deltas.length) {
    throw new Error(`Of ${deltas.length} buckets ${numAffectedRows} are there`)
  }
}

/** Puts these buckets in place of all that begin in the range. */
export async function replaceBuckets(
  trx: Transaction,
  repoId: number,
  { lo, hi }: PathRange,
  buckets: readonly Bucket[],
): Promise<void> {
  await trx
    .deleteFrom('fp_bucket')
    .where('repo_id', '=', repoId)
    .where('lo', '>=', lo)
    .where('lo', '<', hi ?? AFTER_ALL_PATHS)
    .execute()
  await sql`insert into fp_bucket (${NAMES}) select ${NAMES}
    from ${givenRows(trx, 'v', COLUMNS, buckets.map(valuesOf))}`.execute(trx)
}

/** Buckets that begin in the range, ascending, at most `limit`; their sums are those of `foldedSeq`. */
export async function bucketsIn(reader: Reader, repoId: number, range: PathRange, limit: number): Promise<Bucket[]> {
  const { rows } = await sql<
    SumRow & { lo: string; landmark: number }
  >`select lo, landmark, ${single(OF_BUCKETS)} from fp_bucket
    where repo_id = ${repoId} and ${within(sql.ref('lo'), range)} order by lo limit ${limit}`.execute(reader)
  return rows.map((row) => ({ repoId, lo: row.lo, landmark: row.landmark === 1, sum: toRangeSum(row) }))
}

/** Where the bucket of each path begins, in the order of the paths; all of them lie where buckets are built. */
export async function bucketStarts(reader: Reader, repoId: number, paths: readonly string[]): Promise<string[]> {
  if (paths.length === 0) return []
  const given = givenRows(
    reader,
    'g',
    { i: 'bigint', path: 'text' },
    paths.map((path, i) => [i, path]),
  )
  const { rows } = await sql<{ lo: string }>`select
    (select max(b.lo) from fp_bucket as b where b.repo_id = ${repoId} and b.lo <= g.path) as lo
    from ${given} order by g.i`.execute(reader)
  return rows.map(({ lo }) => lo)
}

/** The paths of a bucket: up to the next one, or to where the buckets end. */
export async function rangeOfBucket(reader: Reader, { repoId, lo }: BucketId, builtTo: BuiltTo): Promise<PathRange> {
  const row = await reader
    .selectFrom('fp_bucket')
    .select('lo')
    .where('repo_id', '=', repoId)
    .where('lo', '>', lo)
    .orderBy('lo')
    .limit(1)
    .executeTakeFirst()
  const next = row?.lo ?? null
  if (builtTo === null) return { lo, hi: next }
  return { lo, hi: next !== null && Buffer.compare(Buffer.from(next), Buffer.from(builtTo)) < 0 ? next : builtTo }
}
