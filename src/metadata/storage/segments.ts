import { sql } from 'kysely'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { anyOf } from '../sql/any-of.ts'
import { dialectOf } from '../sql/dialect-of.ts'

/** The owner is part of it: a database that lost its last seconds gives numbers again, to others. */
export interface SegmentName {
  readonly segment: number
  readonly owner: string
}
/** A segment as the database knows it. Sizes in bytes, times UTC epoch milliseconds. */
export interface Segment extends SegmentName {
  readonly sizeBytes: number
  /** Of them, those that rows name, when they were last counted. */
  readonly liveBytes: number
}

/** Notes a new segment. @returns its number, which is given once. */
export async function insertSegment(trx: Transaction, owner: string, now: number): Promise<number> {
  const { id } = await trx
    .insertInto('segment')
    .values({ owner, state: 'open', bytes: 0, live_bytes: 0, begun_at: now })
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}

/** Nothing is appended to it any more. */
export async function sealSegment(
  trx: Transaction,
  { segment, owner }: SegmentName,
  bytes: number,
  now: number,
): Promise<void> {
  await trx
    .updateTable('segment')
    .set({ state: 'sealed', bytes, live_bytes: bytes, sealed_at: now })
    .where('id', '=', segment)
    .where('owner', '=', owner)
    .where('state', '=', 'open')
    .execute()
}

/** Takes back an open segment in which nothing was stored. */
export async function forgetUnused(trx: Transaction, { segment, owner }: SegmentName): Promise<void> {
  const own = trx.selectFrom('segment').select('id').where('id', '=', segment)
  const open = own.where('owner', '=', owner).where('state', '=', 'open')
  const [row] = await (dialectOf(trx) === 'postgres' ? open.forUpdate() : open).execute()
  if (row !== undefined) await deleteIfUnnamed(trx, segment)
}

/**
 * Seals open segments, all of an owner or all that were begun before a time, at the end of the last blob that lies there; forgets
 * those in which none does. The locks wait for transactions that are on their way to their commit, maybe of a process that is dead.
 * A living owner finds its next claim refused, and begins another segment.
 */
export async function sealOpenSegments(
  trx: Transaction,
  which: { readonly owner: string } | { readonly begunBefore: number },
  now: number,
): Promise<{ readonly segment: number; readonly bytes: number }[]> {
  const all = trx.selectFrom('segment').select(['id', 'owner']).where('state', '=', 'open')
  const open = 'owner' in which ? all.where('owner', '=', which.owner) : all.where('begun_at', '<', which.begunBefore)
  const rows = await (dialectOf(trx) === 'postgres' ? open.orderBy('id').forUpdate() : open).execute()
  const ended = []
  // One row, or a few: a process has one open, and those that it failed to seal.
  for (const { id: segment, owner } of rows) {
    const bytes = await endOf(trx, segment)
    if (bytes === 0) await deleteIfUnnamed(trx, segment)
    else await sealSegment(trx, { segment, owner }, bytes, now)
    ended.push({ segment, bytes })
  }
  return ended
}

async function endOf(trx: Transaction, segment: number): Promise<number> {
  const last = await trx
    .selectFrom('blob')
    .select(['place', 'size'])
    .where('segment', '=', segment)
    .orderBy('place', 'desc')
    .limit(1)
    .executeTakeFirst()
  return last === undefined ? 0 : last.place! + last.size
}

/** Owners of segments, by number. */
export async function ownersOf(reader: Reader, segments: readonly number[]): Promise<Map<number, string>> {
  if (segments.length === 0) return new Map()
  const rows = await reader
    .selectFrom('segment')
    .select(['id', 'owner'])
    .where(anyOf(reader, 'segment.id', segments))
    .execute()
  return new Map(rows.map(({ id, owner }) => [id, owner]))
}

/** Those that may be compacted, and those whose compaction was cut short: ascending from after a number. */
export const pageSealed = pageOf('sealed', 'compacting')

/** Those that have been retired since before a time: ascending from after a number. */
export const pageRetired = pageOf('retired')

function pageOf(...states: Schema['segment']['state'][]) {
  return async (reader: Reader, before: number, after: number, limit: number): Promise<Segment[]> => {
    const rows = await reader
      .selectFrom('segment')
      .select(['id', 'owner', 'bytes', 'live_bytes'])
      .where('id', '>', after)
      .where('state', 'in', states)
      .where('sealed_at', '<', before)
      .orderBy('id')
      .limit(limit)
      .execute()
    return rows.map((row) => ({ segment: row.id, owner: row.owner, sizeBytes: row.bytes, liveBytes: row.live_bytes }))
  }
}

/** Bytes of a segment that rows name, and how many rows do. */
export async function countLive(
  reader: Reader,
  segment: number,
): Promise<{ readonly blobs: number; readonly bytes: number }> {
  const { blobs, bytes } = await reader
    .selectFrom('blob')
    .where('segment', '=', segment)
    .select((eb) => [eb.fn.countAll<number>().as('blobs'), eb.fn.sum<number | null>('size').as('bytes')])
    .executeTakeFirstOrThrow()
  return { blobs, bytes: bytes ?? 0 }
}

export async function saveLiveBytes(trx: Transaction, segment: number, liveBytes: number): Promise<void> {
  await trx.updateTable('segment').set({ live_bytes: liveBytes }).where('id', '=', segment).execute()
}

/** From here on no row takes a place in it. Waits for transactions that are doing so. */
export async function markCompacting(trx: Transaction, segment: number): Promise<void> {
  await trx
    .updateTable('segment')
    .set({ state: 'compacting' })
    .where('id', '=', segment)
    .where('state', '=', 'sealed')
    .execute()
}

/** Its file is kept from now on, and no longer than the grace time. @returns false when a row still names it. */
export async function retireIfUnnamed(trx: Transaction, segment: number, now: number): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('segment')
    .set({ state: 'retired', live_bytes: 0, sealed_at: now })
    .where('id', '=', segment)
    .where('state', '=', 'compacting')
    .where(isUnnamed)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/** @returns false when a row still names it. Only for segments in which no row can take a place. */
export async function deleteIfUnnamed(trx: Transaction, segment: number): Promise<boolean> {
  const { numDeletedRows } = await trx
    .deleteFrom('segment')
    .where('id', '=', segment)
    .where(isUnnamed)
    .executeTakeFirst()
  return numDeletedRows > 0n
}

const isUnnamed = sql<boolean>`not exists (select 1 from blob where blob.segment = segment.id)`

/** Bytes as they were last counted. */
export async function sumSegments(
  reader: Reader,
): Promise<{ readonly segments: number; readonly bytes: number; readonly deadBytes: number }> {
  const row = await reader
    .selectFrom('segment')
    .select((eb) => [
      eb.fn.countAll<number>().as('segments'),
      eb.fn.sum<number | null>('bytes').as('bytes'),
      eb.fn.sum<number | null>('live_bytes').as('live'),
    ])
    .executeTakeFirstOrThrow()
  const bytes = row.bytes ?? 0
  return { segments: row.segments, bytes, deadBytes: bytes - (row.live ?? 0) }
}
