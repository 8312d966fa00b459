import { setImmediate as yieldThread } from 'node:timers/promises'
import { type Selectable, type SelectQueryBuilder, sql } from 'kysely'
import type { Lanes } from '../core/lanes.ts'
import { NO_LANES } from '../core/lanes.ts'
import { holderOf, type PathRange } from '../core/path-range.ts'
import { comparePaths } from '../core/paths.ts'
import type { Reader, Transaction } from './database.ts'
import { readFoldState } from './fingerprints/fold-state.ts'
import type { ChangeOp, Schema } from './schema.ts'
import { dialectOf } from './sql/dialect-of.ts'
import { areFew, inRanges } from './sql/in-ranges.ts'
import { insertingRows, type RowInsert } from './sql/insert-rows.ts'
import { nextId } from './sql/next-id.ts'
import { preparedQuery } from './sql/prepared-query.ts'

/** What a live file adds to the fingerprint of a range. */
export interface FileLanes {
  readonly content: Lanes
  readonly metadata: Lanes
}

/** One changed path. `before` and `after` are undefined where no live file is: nothing there, or a folder. */
export interface Change {
  readonly repoId: number
  readonly path: string
  readonly op: ChangeOp
  /** `peer.id` of the cluster that made the change; 0: here. */
  readonly origin: number
  /** `peer_link.id` of the link that brought it; null: a local user did it. */
  readonly viaLink: number | null
  /** UTC epoch milliseconds. */
  readonly at: number
  readonly before: FileLanes | undefined
  readonly after: FileLanes | undefined
}

/** Changes numbered in (from, to]. */
export interface ChangeSpan {
  readonly from: number
  readonly to: number
  readonly ranges: readonly PathRange[]
}

/** A row as it is inserted. */
type ChangeRow = Omit<Selectable<Schema['change_log']>, 'seq'>

const COLUMNS: RowInsert<'change_log', ChangeRow>['columns'] = {
  repo_id: ['bigint', (row) => row.repo_id],
  path: ['text', (row) => row.path],
  op: ['bigint', (row) => row.op],
  origin: ['bigint', (row) => row.origin],
  via_link: ['bigint', (row) => row.via_link],
  at: ['bigint', (row) => row.at],
  dn: ['bigint', (row) => row.dn],
  d0: ['bigint', (row) => row.d0],
  d1: ['bigint', (row) => row.d1],
  d2: ['bigint', (row) => row.d2],
  d3: ['bigint', (row) => row.d3],
  e0: ['bigint', (row) => row.e0],
  e1: ['bigint', (row) => row.e1],
  e2: ['bigint', (row) => row.e2],
  e3: ['bigint', (row) => row.e3],
}
const insertNumbered = insertingRows<'change_log', ChangeRow>({
  into: 'change_log',
  columns: { id: ['bigint', (row) => row.id], seq: ['bigint', (row) => row.id], ...COLUMNS },
})
const insertUnnumbered = insertingRows({ into: 'change_log', columns: COLUMNS })

/**
 * Writes the rows in the transaction of the changes themselves. SQLite: one transaction at a time commits, in the order of ids, so
 * the id is the number. PostgreSQL numbers them later (`sequencer.ts`).
 */
export async function appendChanges(trx: Transaction, changes: readonly Change[]): Promise<void> {
  if (changes.length === 0) return
  const isSqlite = dialectOf(trx) === 'sqlite'
  const firstId = isSqlite ? await nextId(trx, 'change_log') : 0
  const rows = changes.map((change, index) => toRow(change, firstId + index))
  await (isSqlite ? insertNumbered : insertUnnumbered)(trx, rows)
}

function toRow({ repoId, path, op, origin, viaLink, at, before, after }: Change, id: number): ChangeRow {
  const content = minus(after?.content, before?.content)
  const metadata = minus(after?.metadata, before?.metadata)
  return {
    id,
    repo_id: repoId,
    path,
    op,
    origin,
    via_link: viaLink,
    at,
    dn: Number(after !== undefined) - Number(before !== undefined),
    d0: content[0],
    d1: content[1],
    d2: content[2],
    d3: content[3],
    e0: metadata[0],
    e1: metadata[1],
    e2: metadata[2],
    e3: metadata[3],
  }
}
const minus = (after: Lanes = NO_LANES, before: Lanes = NO_LANES): Lanes =>
  before === NO_LANES ? after : [after[0] - before[0], after[1] - before[1], after[2] - before[2], after[3] - before[3]]

/**
 * Number of the repository's last change; its trimmed floor when the log holds none. PostgreSQL: call `numberChanges` first to see
 * all that was committed before the call.
 */
export async function headSeq(reader: Reader, repoId: number): Promise<number> {
  const row = await reader
    .selectNoFrom((eb) => [
      eb.selectFrom('repository').where('id', '=', repoId).select('floor_seq').as('floor'),
      eb
        .selectFrom('change_log')
        .where('repo_id', '=', repoId)
        .where('seq', 'is not', null)
        .select((log) => log.fn.max('seq').as('last'))
        .as('last'),
    ])
    .executeTakeFirstOrThrow()
  return Math.max(row.last ?? 0, row.floor ?? 0)
}

/** Number of the last change of all repositories; 0: none yet. Rows of PostgreSQL that have no number yet come after it. */
export async function lastChange(reader: Reader): Promise<number> {
  const row = await reader
    .selectFrom('change_log')
    .where('seq', 'is not', null)
    .select('seq')
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row?.seq ?? 0
}

const headsAfter = preparedQuery<{ after: number }, { repoId: number; head: number }>((reader, { after }) =>
  reader
    .selectFrom('change_log')
    .where('seq', '>', after)
    .groupBy('repo_id')
    .select((eb) => ['repo_id as repoId', eb.fn.max<number>('seq').as('head')]),
)
/** The repositories with changes numbered above `after`, and the last of each. */
export async function changedRepositories(reader: Reader, after: number): Promise<ReadonlyMap<number, number>> {
  const rows = await headsAfter(reader, { after })
  return new Map(rows.map(({ repoId, head }) => [repoId, head]))
}

/**
 * Tells the row with that number from one that a log which was put back to an earlier state has there later. Empty: there is no
 * such row, or it was trimmed.
 */
export async function changeMark(reader: Reader, repoId: number, seq: number): Promise<string> {
  const row = await reader
    .selectFrom('change_log')
    .select(['id', 'at'])
    .where('repo_id', '=', repoId)
    .where('seq', '=', seq)
    .executeTakeFirst()
  return row === undefined ? '' : `${row.id}.${row.at}`
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

/**
 * Number before which all changes are older than the one after `seq` by `ms` or more. Undefined: nothing comes after `seq`.
 * Cost follows the changes in that time.
 */
export async function horizonBefore(
  reader: Reader,
  repoId: number,
  seq: number,
  ms: number,
): Promise<number | undefined> {
  const log = () => reader.selectFrom('change_log').where('repo_id', '=', repoId)
  const next = await log().where('seq', '>', seq).select('at').orderBy('seq').limit(1).executeTakeFirst()
  if (next === undefined) return undefined
  const old = log()
    .where('seq', '<=', seq)
    .where('at', '<=', next.at - ms)
  const row = await old.select('seq').orderBy('seq', 'desc').limit(1).executeTakeFirst()
  return row?.seq ?? 0
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

/**
 * Deletes up to `limit` of the oldest folded rows made before `olderThan` (UTC epoch ms), and of the same repositories what is numbered
 * below them; raises the floor of those repositories, so that cursors which would miss something know it. Call again until it
 * returns 0. @returns rows deleted.
 */
export async function trimChanges(trx: Transaction, olderThan: number, limit = 5_000): Promise<number> {
  const { foldedSeq } = await readFoldState(trx)
  const oldest = await trx
    .selectFrom((eb) =>
      eb
        .selectFrom('change_log')
        .where('at', '<', olderThan)
        .where('seq', '<=', foldedSeq)
        .select(['repo_id', 'seq'])
        .orderBy('at')
        .limit(limit)
        .as('oldest'),
    )
    .select((eb) => ['repo_id', eb.fn.max<number>('seq').as('floor')])
    .groupBy('repo_id')
    .execute()
  let deleted = 0
  for (const { repo_id, floor } of oldest) {
    await trx.updateTable('repository').set({ floor_seq: floor }).where('id', '=', repo_id).execute()
    const { numDeletedRows } = await trx
      .deleteFrom('change_log')
      .where('repo_id', '=', repo_id)
      .where('seq', '<=', floor)
      .executeTakeFirst()
    deleted += Number(numDeletedRows)
  }
  return deleted
}
