import { setImmediate as yieldThread } from 'node:timers/promises'
import { type SelectQueryBuilder, sql } from 'kysely'
import { holderOf, type PathRange } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import type { Reader } from '../database.ts'
import type { Schema } from '../schema.ts'
import { areFew, inRanges } from '../sql/in-ranges.ts'
import { preparedQuery } from '../sql/prepared-query.ts'

/** Changes numbered in (from, to]. */
export interface ChangeSpan {
  readonly from: number
  readonly to: number
  readonly ranges: readonly PathRange[]
}

/** Each changed path once, ascending by path bytes. Cost follows the number of changes, not of nodes. */
export async function changedPaths(
  reader: Reader,
  repoId: number,
  { limit, ...span }: ChangeSpan & { readonly limit?: number },
): Promise<string[]> {
  if (areFew(span.ranges)) {
    const query = changesOf(reader, repoId, span).where(inRanges(span.ranges)).select('path').distinct().orderBy('path')
    return (await (limit === undefined ? query : query.limit(limit)).execute()).map(({ path }) => path)
  }
  const found = new Set<string>()
  const slice = (from: number) => changesOf(reader, repoId, { ...span, from }).select(['seq', 'path'])
  for await (const { path } of rowsIn(slice, span)) found.add(path)
  return [...found].sort(comparePaths).slice(0, limit)
}

/**
 * Each changed path with the live files that it gained (1), lost (-1) or kept (0) over the span as a whole, ascending by path bytes.
 * Cost follows the number of changes.
 */
export async function netChanges(reader: Reader, repoId: number, span: ChangeSpan): Promise<Map<string, number>> {
  if (areFew(span.ranges)) {
    const rows = await changesOf(reader, repoId, span)
      .where(inRanges(span.ranges))
      .select((eb) => ['path', eb.fn.sum<number>('dn').as('net')])
      .groupBy('path')
      .orderBy('path')
      .execute()
    return new Map(rows.map(({ path, net }) => [path, Number(net)]))
  }
  const found = new Map<string, number>()
  const slice = (from: number) => changesOf(reader, repoId, { ...span, from }).select(['seq', 'path', 'dn'])
  for await (const { path, dn } of rowsIn(slice, span)) found.set(path, (found.get(path) ?? 0) + dn)
  return new Map([...found].sort(([a], [b]) => comparePaths(a, b)))
}

/** Paths that changed next, each once. */
export interface NextChanges {
  readonly paths: readonly string[]
  /** They are all that changed up to this number. */
  readonly upTo: number
}

const rowsAfter = preparedQuery<
  { repoId: number; from: number; to: number; limit: number },
  { seq: number | null; path: string }
>((reader, { repoId, from, to, limit }) =>
  changesOf(reader, repoId, { from, to }).select(['seq', 'path']).orderBy('seq').limit(sql<number>`${limit}`),
)
/** The first changes of a span: about `limit` rows, however often a path comes. */
export async function nextChanges(
  reader: Reader,
  repoId: number,
  { limit, ...span }: ChangeSpan & { readonly limit: number },
): Promise<NextChanges> {
  const rows = await rowsAfter(reader, { repoId, from: span.from, to: span.to, limit })
  const holds = holderOf(span.ranges)
  const paths = new Set(rows.flatMap(({ path }) => (holds(path) ? [path] : [])))
  return { paths: [...paths].sort(comparePaths), upTo: rows.length < limit ? span.to : rows.at(-1)!.seq! }
}

/** How many rows the repository's log has in (from, to]; counting stops at `limit`. */
export async function changeSpan(
  reader: Reader,
  repoId: number,
  { from, to, limit }: { readonly from: number; readonly to: number; readonly limit: number },
): Promise<number> {
  const row = await reader
    .selectFrom((eb) =>
      eb
        .selectFrom('change_log')
        .where('repo_id', '=', repoId)
        .where('seq', '>', from)
        .where('seq', '<=', to)
        .select('seq')
        .limit(limit)
        .as('counted'),
    )
    .select((eb) => eb.fn.countAll<number>().as('rows'))
    .executeTakeFirstOrThrow()
  return row.rows
}

/** True when anybody but the link `exceptVia` (`peer_link.id`) changed a path of the ranges. */
export async function hasForeignChanges(
  reader: Reader,
  repoId: number,
  { exceptVia, ...span }: ChangeSpan & { readonly exceptVia: number },
): Promise<boolean> {
  const foreign = (from: number) =>
    changesOf(reader, repoId, { ...span, from })
      .where((eb) => eb.or([eb('via_link', 'is', null), eb('via_link', '!=', exceptVia)]))
      .select(['seq', 'path'])
  if (areFew(span.ranges)) return (await foreign(span.from).where(inRanges(span.ranges)).limit(1).execute()).length > 0
  for await (const _row of rowsIn(foreign, span)) return true
  return false
}

const changesOf = (reader: Reader, repoId: number, { from, to }: Omit<ChangeSpan, 'ranges'>) =>
  reader.selectFrom('change_log').where('repo_id', '=', repoId).where('seq', '>', from).where('seq', '<=', to)

/** A few milliseconds. */
const ROWS_AT_ONCE = 2_000

/**
 * Those of the changes that are in the ranges, of which there are too many for a condition: read in slices, so that nothing waits
 * long, and looked up here.
 */
async function* rowsIn<Row extends { seq: number | null; path: string }>(
  after: (from: number) => SelectQueryBuilder<Schema, 'change_log', Row>,
  { from, ranges }: ChangeSpan,
): AsyncGenerator<Row> {
  const holds = holderOf(ranges)
  for (let last = from; ; ) {
    const rows = await after(last).orderBy('seq').limit(ROWS_AT_ONCE).execute()
    for (const row of rows) if (holds(row.path)) yield row as Row
    if (rows.length < ROWS_AT_ONCE) return
    last = rows.at(-1)!.seq!
    await yieldThread()
  }
}
