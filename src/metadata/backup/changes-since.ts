import { sql } from 'kysely'
import { lastChange } from '../changes/change-numbers.ts'
import type { Reader } from '../database.ts'

/** Number of the last change that a snapshot holds; 0: none. Greater numbers, and rows that have none yet, are changes to come. */
export async function lastNumber(reader: Reader): Promise<number> {
  const row = await reader
    .selectFrom('repository')
    .select((eb) => eb.fn.max('floor_seq').as('floor'))
    .executeTakeFirst()
  return Math.max(await lastChange(reader), row?.floor ?? 0)
}

/** Where the change log stood at a snapshot. */
export interface LogPosition {
  readonly snapshotSeq: number
  /** Of the change with that number (`markAt`). */
  readonly snapshotMark: string
}

/**
 * Whether the change log goes on from there; `other`: it was put back to an earlier state since, and its numbers mean other changes;
 * `unknown`: that change was trimmed since.
 */
export async function logSince(
  reader: Reader,
  { snapshotSeq, snapshotMark }: LogPosition,
): Promise<'same' | 'other' | 'unknown'> {
  if ((await lastNumber(reader)) < snapshotSeq) return 'other'
  const mark = await markAt(reader, snapshotSeq)
  if (mark === snapshotMark) return 'same'
  return mark === '' ? 'unknown' : 'other'
}

/** Tells a change from one that has the same number in a log which was put back. Empty: there is none with that number. */
export async function markAt(reader: Reader, seq: number): Promise<string> {
  const row = await reader
    .selectFrom('change_log')
    .select(['id', 'at'])
    .where('seq', '=', seq)
    .orderBy('id')
    .limit(1)
    .executeTakeFirst()
  return row === undefined ? '' : `${row.id}.${row.at}`
}

/** Repositories with a change numbered above `seq`, or with one that has no number yet. */
export async function repositoriesChangedSince(reader: Reader, seq: number): Promise<Set<number>> {
  const numbered = reader.selectFrom('change_log').select('repo_id').where('seq', '>', seq)
  const unnumbered = reader.selectFrom('change_log').select('repo_id').where('seq', 'is', null)
  const rows = [...(await numbered.distinct().execute()), ...(await unnumbered.distinct().execute())]
  return new Set(rows.map(({ repo_id }) => repo_id))
}

/** Each path once, in no order, `limit` at most; those of packages too. */
export async function pathsChangedSince(reader: Reader, repoId: number, seq: number, limit: number): Promise<string[]> {
  const of = () => reader.selectFrom('change_log').select('path').where('repo_id', '=', repoId)
  const rows = await of()
    .where('seq', '>', seq)
    .union(of().where('seq', 'is', null))
    .limit(limit)
    .execute()
  return rows.map(({ path }) => path)
}

/** As the index `node_folder` has it. */
const IS_FOLDER = sql<boolean>`folder + 0 = 1`

/** What of a repository changes without a row of the change log: equal texts mean that nothing did. */
export interface QuietSums {
  readonly folders: string
  readonly versions: string
}

/** By repository; one that has neither folders nor versions is left out. Cost follows their number, not that of files. */
export async function quietSums(reader: Reader): Promise<Map<number, QuietSums>> {
  const text = (expression: string) => sql<string>`cast(${sql.raw(expression)} as text)`
  const folders = await reader
    .selectFrom('node')
    .where(IS_FOLDER)
    .where('deleted_at', 'is', null)
    // Otherwise SQLite reads all nodes in an order that it need not sort.
    .where('repo_id', 'in', (eb) => eb.selectFrom('repository').select('repository.id'))
    .where('id', '>', 0)
    .groupBy('repo_id')
    .select(['repo_id', text('count(*)').as('count')])
    .select([text('sum(id)').as('ids'), text(`sum(modified_at % ${DATES})`).as('sum'), text('max(id)').as('last')])
    .execute()
  const versions = await reader
    .selectFrom('package_version')
    .groupBy('repo_id')
    .select(['repo_id', text('count(*)').as('count'), text('sum(downloads)').as('sum')])
    .execute()
  const packages = await reader
    .selectFrom('package')
    .groupBy('repo_id')
    .select(['repo_id', text('sum(downloads)').as('sum')])
    .execute()
  const ofPackages = new Map(packages.map(({ repo_id, sum }) => [repo_id, sum]))
  const sums = new Map<number, QuietSums>()
  for (const { repo_id, count, ids, sum, last } of folders) {
    sums.set(repo_id, { folders: `${count}.${ids}.${sum}.${last}`, versions: NOTHING.versions })
  }
  for (const { repo_id, count, sum } of versions) {
    sums.set(repo_id, {
      ...(sums.get(repo_id) ?? NOTHING),
      versions: `${count}.${sum}.${ofPackages.get(repo_id) ?? 0}`,
    })
  }
  return sums
}
/** Dates are summed modulo this prime: the sum of millions of them leaves 64 bits otherwise. */
const DATES = 1_000_000_007

export const NOTHING: QuietSums = { folders: '0.0.0.0', versions: '0' }

/**
 * Folders that were made since the sums were `before`, as long as that is all that happened to folders since and they are `limit` at most;
 * undefined otherwise. Ids only grow: what was there before has a lower one.
 */
export async function foldersAddedSince(
  reader: Reader,
  repoId: number,
  before: QuietSums,
  now: QuietSums,
  limit: number,
): Promise<string[] | undefined> {
  const last = before.folders.split('.')[3]
  if (last === undefined) return undefined
  const rows = await reader
    .selectFrom('node')
    .select(['id', 'path', 'modified_at'])
    .where('repo_id', '=', repoId)
    .where(IS_FOLDER)
    .where('deleted_at', 'is', null)
    .where('id', '>', Number(last))
    .limit(limit + 1)
    .execute()
  if (rows.length > limit) return undefined
  const added = [rows.length, sumOf(rows.map(({ id }) => id)), sumOf(rows.map((row) => row.modified_at % DATES))]
  const [was, is] = [before, now].map(({ folders }) => folders.split('.').map(BigInt))
  const isAll = added.every((sum, index) => was![index]! + BigInt(sum) === is![index])
  return isAll ? rows.map(({ path }) => path) : undefined
}
const sumOf = (numbers: readonly number[]): bigint => numbers.reduce((sum, number) => sum + BigInt(number), 0n)

/** When the oldest change was made that the log still has; undefined: it has none. UTC epoch milliseconds. */
export async function oldestChange(reader: Reader): Promise<number | undefined> {
  const row = await reader.selectFrom('change_log').select('at').orderBy('at').limit(1).executeTakeFirst()
  return row?.at
}

/** Number before the first change made at `since` or later; undefined: there is none. */
export async function numberBefore(reader: Reader, since: number): Promise<number | undefined> {
  const row = await reader
    .selectFrom('change_log')
    .select((eb) => eb.fn.min('seq').as('first'))
    .where('at', '>=', since)
    .where('seq', 'is not', null)
    .executeTakeFirst()
  return row?.first == null ? undefined : row.first - 1
}
