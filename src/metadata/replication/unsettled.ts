import { sql } from 'kysely'
import type { PathRange } from '../../core/path-range.ts'
import type { Reader, Transaction } from '../database.ts'
import { anyOf } from '../sql/any-of.ts'

/** The least path after another one. */
const NEXT = '\u0001'
/** Of one shard that names its paths, behind its checkpoint: twice what may be under way (three batches of 500). */
const PATHS_UNDER_WAY = 3_000
/** Of one link. Whoever is given up again and again leaves no more; then the last run alone is remembered. */
const MOST_PLACES = 200_000

/**
 * Keeps what the open shards of a record, or of one of its links, may have sent without hearing of it: what lies behind their last
 * checkpoints. Called before they are given up.
 */
export async function keepUnsettled(trx: Transaction, recordId: string, linkId?: number): Promise<void> {
  const shards = (kind: 'range' | 'paths') => {
    const begun = trx
      .selectFrom('exec_shard')
      .where('exec_shard.record_id', '=', recordId)
      .where('exec_shard.state', 'in', ['READY', 'LEASED'])
      // Nobody ever claimed the others.
      .where('exec_shard.token', '>', 0)
      .where('exec_shard.kind', '=', kind)
    return linkId === undefined ? begun : begun.where('exec_shard.link_id', '=', linkId)
  }
  await trx
    .insertInto('unsettled_place')
    .columns(['link_id', 'record_id', 'kind', 'lo', 'hi', 'deletes'])
    .expression(
      shards('range')
        .distinct()
        .select([
          'exec_shard.link_id',
          'exec_shard.record_id',
          sql<'range'>`'range'`.as('kind'),
          sql<string>`coalesce(exec_shard.pos || ${sql.lit(NEXT)}, exec_shard.lo)`.as('lo'),
          sql<string>`coalesce(exec_shard.hi, '')`.as('hi'),
          sql<number>`0`.as('deletes'),
        ]),
    )
    .onConflict((oc) => oc.doNothing())
    .execute()
  const behind = shards('paths')
    .innerJoin('exec_path', (join) =>
      join
        .onRef('exec_path.record_id', '=', 'exec_shard.record_id')
        .onRef('exec_path.link_id', '=', 'exec_shard.link_id')
        .onRef('exec_path.shard_no', '=', 'exec_shard.shard_no'),
    )
    .where((eb) => eb.or([eb('exec_shard.pos', 'is', null), eb('exec_path.path', '>', eb.ref('exec_shard.pos'))]))
    .select([
      'exec_shard.link_id',
      'exec_shard.record_id',
      'exec_path.path',
      'exec_path.deletes',
      sql<number>`row_number() over (partition by exec_shard.link_id, exec_shard.shard_no order by exec_path.path)`.as(
        'nth',
      ),
    ])
    .as('behind')
  await trx
    .insertInto('unsettled_place')
    .columns(['link_id', 'record_id', 'kind', 'lo', 'hi', 'deletes'])
    .expression(
      trx
        .selectFrom(behind)
        .where('behind.nth', '<=', PATHS_UNDER_WAY)
        .groupBy(['behind.link_id', 'behind.record_id', 'behind.path'])
        .select((eb) => [
          'behind.link_id',
          'behind.record_id',
          sql<'path'>`'path'`.as('kind'),
          'behind.path as lo',
          sql<string>`''`.as('hi'),
          eb.fn.max<number>('behind.deletes').as('deletes'),
        ]),
    )
    .onConflict((oc) =>
      oc
        .columns(['link_id', 'record_id', 'kind', 'lo', 'hi'])
        .doUpdateSet((eb) => ({ deletes: eb.ref('excluded.deletes') }))
        .where('excluded.deletes', '=', 1),
    )
    .execute()
  await forgetOlder(trx, recordId)
}

async function forgetOlder(trx: Transaction, recordId: string): Promise<void> {
  const full = await trx
    .selectFrom('unsettled_place')
    .select('link_id')
    .where('link_id', 'in', trx.selectFrom('exec_link').select('link_id').where('record_id', '=', recordId))
    .groupBy('link_id')
    .having((eb) => eb(eb.fn.countAll<number>(), '>', MOST_PLACES))
    .execute()
  if (full.length === 0) return
  const linkIds = full.map(({ link_id }) => link_id)
  await trx
    .deleteFrom('unsettled_place')
    .where(anyOf(trx, 'link_id', linkIds))
    .where('record_id', '!=', recordId)
    .execute()
}

/** What may have arrived without anybody here knowing, each with the record of the run that was given up there. */
export interface UnsettledPlaces {
  /** Sorted by their beginning; they may overlap. */
  readonly ranges: readonly (PathRange & { readonly recordId: string })[]
  readonly paths: readonly { readonly path: string; readonly deletes: boolean; readonly recordId: string }[]
}

export async function listUnsettledPlaces(reader: Reader, linkId: number): Promise<UnsettledPlaces> {
  const rows = await reader
    .selectFrom('unsettled_place')
    .select(['record_id as recordId', 'kind', 'lo', 'hi', 'deletes'])
    .where('link_id', '=', linkId)
    .orderBy('lo')
    .orderBy('record_id')
    .execute()
  return {
    ranges: rows.flatMap(({ recordId, kind, lo, hi }) =>
      kind === 'range' ? [{ recordId, lo, hi: hi === '' ? null : hi }] : [],
    ),
    paths: rows.flatMap(({ recordId, kind, lo, deletes }) =>
      kind === 'path' ? [{ recordId, path: lo, deletes: deletes === 1 }] : [],
    ),
  }
}

/** An artifact that a run with this number (`via_mark`) wrote at the target, and that a record counts. */
export interface SettledPath {
  readonly path: string
  readonly run: number
}

/** In the transaction in which a record counts them. */
export async function noteSettled(trx: Transaction, linkId: number, settled: readonly SettledPath[]): Promise<void> {
  for (let at = 0; at < settled.length; at += ROWS_PER_INSERT) {
    const some = settled.slice(at, at + ROWS_PER_INSERT)
    await trx
      .insertInto('settled_path')
      .values(some.map(({ path, run }) => ({ link_id: linkId, path, run })))
      .onConflict((oc) => oc.doNothing())
      .execute()
  }
}
const ROWS_PER_INSERT = 500

/** Of what a run counts, so much had arrived before it began. */
export async function addSettled(trx: Transaction, linkId: number, recordId: string, count: number): Promise<void> {
  if (count === 0) return
  await trx
    .insertInto('settled_count')
    .values({ link_id: linkId, record_id: recordId, count })
    .onConflict((oc) =>
      oc.columns(['link_id', 'record_id']).doUpdateSet((eb) => ({
        count: eb('settled_count.count', '+', eb.ref('excluded.count')),
      })),
    )
    .execute()
}

/** What records count already, of these paths. */
export async function listSettled(reader: Reader, linkId: number, paths: readonly string[]): Promise<SettledPath[]> {
  if (paths.length === 0) return []
  return reader
    .selectFrom('settled_path')
    .select(['path', 'run'])
    .where('link_id', '=', linkId)
    .where(anyOf(reader, 'path', paths))
    .execute()
}

/** Artifacts that a run counts, and that had arrived before it began. */
export async function countSettled(reader: Reader, linkId: number, recordId: string): Promise<number> {
  const row = await reader
    .selectFrom('settled_count')
    .select('count')
    .where('link_id', '=', linkId)
    .where('record_id', '=', recordId)
    .executeTakeFirst()
  return row?.count ?? 0
}

/** All of a link was looked at, or the link is gone. */
export async function forgetUnsettled(trx: Transaction, linkIds: readonly number[]): Promise<void> {
  for (const table of TABLES)
    await trx
      .deleteFrom(table)
      .where(anyOf(trx, 'link_id', linkIds))
      .execute()
}

/** While its links are still there. */
export async function forgetUnsettledOfTask(trx: Transaction, taskKey: string): Promise<void> {
  for (const table of TABLES) {
    const links = trx.selectFrom('link').select('id').where('task_key', '=', taskKey)
    await trx.deleteFrom(table).where('link_id', 'in', links).execute()
  }
}
const TABLES = ['unsettled_place', 'settled_path', 'settled_count'] as const
