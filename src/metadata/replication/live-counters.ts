import { sql } from 'kysely'
import type { Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import type { ShardCounters } from './exec-shards.ts'
import type { LiveClaim } from './live-links.ts'

/**
 * What a link that follows changes has counted in one record: a row of `exec_shard` that nobody claims, so that whatever sums up shards
 * sums it up too.
 */
const LIVE_SHARD = -1

export async function createLiveCounters(trx: Transaction, recordId: string, linkId: number): Promise<void> {
  await trx
    .insertInto('exec_shard')
    .values({
      ...{ record_id: recordId, link_id: linkId, shard_no: LIVE_SHARD, kind: 'range', lo: '/', hi: '/', pos: null },
      ...{ state: 'DONE', est_files: 0, est_bytes: 0, owner: null, lease_until: 0, token: 0 },
      ...{ ok: 0, skipped: 0, unchanged: 0, failed: 0, conflict: 0, file_ok: 0, file_failed: 0, bytes: 0 },
      in_flight_bytes: 0,
    })
    // What was under way when the link was lost is sent again.
    .onConflict((oc) => oc.columns(['record_id', 'link_id', 'shard_no']).doUpdateSet({ in_flight_bytes: 0 }))
    .execute()
}

const plus = (column: keyof Schema['exec_shard'], more: number) => sql<number>`${sql.ref(column)} + ${more}`

/** False: the record is gone. */
export async function addLiveCounters(
  trx: Transaction,
  recordId: string,
  linkId: number,
  { ok, skipped, unchanged, failed, conflict, fileOk, fileFailed, bytes }: ShardCounters,
): Promise<boolean> {
  const result = await trx
    .updateTable('exec_shard')
    .set({
      ok: plus('ok', ok),
      skipped: plus('skipped', skipped),
      unchanged: plus('unchanged', unchanged),
      failed: plus('failed', failed),
      conflict: plus('conflict', conflict),
      file_ok: plus('file_ok', fileOk),
      file_failed: plus('file_failed', fileFailed),
      bytes: plus('bytes', bytes),
      in_flight_bytes: 0,
    })
    .where('record_id', '=', recordId)
    .where('link_id', '=', linkId)
    .where('shard_no', '=', LIVE_SHARD)
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

/** Shows watchers how much went out since the last checkpoint; nothing when the link is somebody else's by now. */
export async function noteLiveTraffic(trx: Transaction, { linkId, token }: LiveClaim, bytes: number): Promise<void> {
  await trx
    .updateTable('exec_shard')
    .set({ in_flight_bytes: bytes })
    .where('link_id', '=', linkId)
    .where('shard_no', '=', LIVE_SHARD)
    .where('record_id', '=', (eb) =>
      eb.selectFrom('live_link').select('record_id').where('link_id', '=', linkId).where('token', '=', token),
    )
    .execute()
}

/** What is under way when a record closes comes again in the next one. */
export async function forgetLiveTraffic(trx: Transaction, recordId: string): Promise<void> {
  await trx
    .updateTable('exec_shard')
    .set({ in_flight_bytes: 0 })
    .where('record_id', '=', recordId)
    .where('shard_no', '=', LIVE_SHARD)
    .execute()
}

/**
 * Adds up what the shards of a link have done, and forgets them: the link may be planned again in this record. What was found equal counts
 * with the first plan only; a later one finds equal what was brought over since. Their highest token is kept, for the fences of the next ones.
 */
export async function foldShards(trx: Transaction, recordId: string, linkId: number): Promise<void> {
  const rows = await trx
    .selectFrom('exec_shard')
    .selectAll()
    .where('record_id', '=', recordId)
    .where('link_id', '=', linkId)
    .execute()
  const isFirst = rows.every(({ shard_no }) => shard_no !== LIVE_SHARD)
  const counted = rows.map((row) =>
    isFirst || row.shard_no === LIVE_SHARD ? row : { ...row, skipped: row.skipped - row.unchanged, unchanged: 0 },
  )
  const sum = (column: (typeof SUMMED)[number]) => counted.reduce((total, row) => total + row[column], 0)
  await createLiveCounters(trx, recordId, linkId)
  await trx
    .updateTable('exec_shard')
    .set({
      ...Object.fromEntries(SUMMED.map((column) => [column, sum(column)])),
      in_flight_bytes: 0,
      token: Math.max(0, ...rows.map(({ token }) => token)),
    })
    .where('record_id', '=', recordId)
    .where('link_id', '=', linkId)
    .where('shard_no', '=', LIVE_SHARD)
    .execute()
  await trx
    .deleteFrom('exec_shard')
    .where('record_id', '=', recordId)
    .where('link_id', '=', linkId)
    .where('shard_no', '!=', LIVE_SHARD)
    .execute()
}
const SUMMED = [
  'est_files',
  'est_bytes',
  'ok',
  'skipped',
  'unchanged',
  'failed',
  'conflict',
  'file_ok',
  'file_failed',
  'bytes',
] as const
