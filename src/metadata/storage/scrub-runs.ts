import type { Selectable } from 'kysely'
import { type Digest, digestBytes, digestFromBytes } from '../../core/digest.ts'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import type { BlobRow } from './blobs.ts'

/** A pass over all blobs. Times are UTC epoch milliseconds. */
export interface ScrubRun {
  readonly id: number
  /** User, or `system` for the scheduled one. */
  readonly requestedBy: string
  readonly startedAt: number
  /** Null: it goes on. */
  readonly endedAt: number | null
  readonly position: Digest | undefined
  readonly blobs: number
  readonly bytes: number
  readonly damaged: number
  readonly missing: number
  readonly totalBlobs: number
  readonly totalBytes: number
}

export type ScrubProgress = Pick<ScrubRun, 'position' | 'blobs' | 'bytes' | 'damaged' | 'missing'>

/** Begins a pass unless one is open, which is then the requester's. @returns the open one. */
export async function openScrubRun(trx: Transaction, requestedBy: string, now: number): Promise<ScrubRun> {
  const open = await latestScrubRun(trx)
  if (open !== undefined && open.endedAt === null) {
    await trx.updateTable('scrub_run').set({ requested_by: requestedBy }).where('id', '=', open.id).execute()
    return { ...open, requestedBy }
  }
  const total = await trx
    .selectFrom('blob')
    .where('unneeded_since', 'is', null)
    .select((eb) => [eb.fn.countAll<number>().as('blobs'), eb.fn.sum<number | null>('size').as('bytes')])
    .executeTakeFirstOrThrow()
  const counters = { blobs: 0, bytes: 0, damaged: 0, missing: 0, position: null }
  const about = { requested_by: requestedBy, started_at: now, ended_at: null }
  const totals = { total_blobs: total.blobs, total_bytes: total.bytes ?? 0 }
  // Two who begin at once: the index lets one in.
  await trx
    .insertInto('scrub_run')
    .values({ ...about, ...counters, ...totals })
    .onConflict((oc) => oc.doNothing())
    .execute()
  return (await latestScrubRun(trx))!
}

export async function latestScrubRun(reader: Reader): Promise<ScrubRun | undefined> {
  const row = await reader.selectFrom('scrub_run').selectAll().orderBy('id', 'desc').limit(1).executeTakeFirst()
  return row && toRun(row)
}

export async function saveScrubProgress(
  trx: Transaction,
  id: number,
  { position, blobs, bytes, damaged, missing }: ScrubProgress,
  endedAt: number | null,
): Promise<void> {
  await trx
    .updateTable('scrub_run')
    .set({
      ...{ blobs, bytes, damaged, missing },
      position: position === undefined ? null : digestBytes(position),
      ended_at: endedAt,
    })
    .where('id', '=', id)
    .execute()
}

/** Blobs that can be relied on, ascending from after a digest. */
export async function pagePromisedBlobs(reader: Reader, after: Digest | undefined, limit: number): Promise<BlobRow[]> {
  let query = reader.selectFrom('blob').select(['sha256', 'size']).where('unneeded_since', 'is', null)
  if (after !== undefined) query = query.where('sha256', '>', digestBytes(after))
  const rows = await query.orderBy('sha256').limit(limit).execute()
  return rows.map(({ sha256, size }) => ({ digest: digestFromBytes(sha256), sizeBytes: size }))
}

function toRun(row: Selectable<Schema['scrub_run']>): ScrubRun {
  return {
    id: row.id,
    requestedBy: row.requested_by,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    position: row.position === null ? undefined : digestFromBytes(row.position),
    blobs: row.blobs,
    bytes: row.bytes,
    damaged: row.damaged,
    missing: row.missing,
    totalBlobs: row.total_blobs,
    totalBytes: row.total_bytes,
  }
}
