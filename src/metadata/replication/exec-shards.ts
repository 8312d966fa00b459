import { sql } from 'kysely'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { deletePlannedPaths } from './exec-paths.ts'
import { keepUnsettled } from './unsettled.ts'

/** A part of the work of one link in one record, persisted before it begins (sync.md B.8). */
export interface ShardKey {
  readonly recordId: string
  readonly linkId: number
  readonly shardNo: number
}
/** A shard and the right to work on it: every write names the token, and touches nothing once somebody else has a higher one. */
export interface ShardClaim extends ShardKey {
  readonly owner: string
  readonly token: number
  readonly kind: ShardKind
  readonly lo: string
  readonly hi: string | null
  readonly pos: string | null
}
export type ShardKind = Schema['exec_shard']['kind']
export interface NewShard {
  readonly shardNo: number
  readonly kind: ShardKind
  readonly lo: string
  readonly hi: string | null
  readonly files: number
  readonly bytes: number
  /** What is known without looking further: such a shard is done as it is made. */
  readonly settled?: { readonly unchanged: number; readonly failed: number }
}

export interface ShardCounters {
  readonly ok: number
  readonly skipped: number
  readonly unchanged: number
  readonly failed: number
  readonly conflict: number
  readonly fileOk: number
  readonly fileFailed: number
  readonly bytes: number
}

export async function createShards(
  trx: Transaction,
  recordId: string,
  linkId: number,
  shards: readonly NewShard[],
): Promise<void> {
  const token = await highestToken(trx, recordId, linkId)
  const rows = shards.map((shard) => ({
    record_id: recordId,
    link_id: linkId,
    shard_no: shard.shardNo,
    kind: shard.kind,
    lo: shard.lo,
    hi: shard.hi,
    pos: null,
    state: shard.settled === undefined ? ('READY' as const) : ('DONE' as const),
    est_files: shard.files,
    est_bytes: shard.bytes,
    owner: null,
    lease_until: 0,
    token,
    ok: 0,
    skipped: shard.settled?.unchanged ?? 0,
    unchanged: shard.settled?.unchanged ?? 0,
    failed: shard.settled?.failed ?? 0,
    conflict: 0,
    file_ok: 0,
    file_failed: 0,
    bytes: 0,
    in_flight_bytes: 0,
  }))
  for (let at = 0; at < rows.length; at += 500) {
    await trx
      .insertInto('exec_shard')
      .values(rows.slice(at, at + 500))
      .execute()
  }
}

/** Of shards that this record forgot: their numbers come again, and the target remembers the fences. */
async function highestToken(trx: Transaction, recordId: string, linkId: number): Promise<number> {
  const row = await trx
    .selectFrom('exec_shard')
    .where('record_id', '=', recordId)
    .where('link_id', '=', linkId)
    .select((eb) => eb.fn.max<number | null>('token').as('token'))
    .executeTakeFirstOrThrow()
  return row.token ?? 0
}

/** The next shard that is ready or whose lease has ended; undefined when none is left. */
export async function claimShard(
  trx: Transaction,
  recordId: string,
  linkId: number,
  lease: { readonly owner: string; readonly now: number; readonly leaseMs: number },
): Promise<ShardClaim | undefined> {
  const free = await trx
    .selectFrom('exec_shard')
    .select(['shard_no', 'token'])
    .where('record_id', '=', recordId)
    .where('link_id', '=', linkId)
    .where((eb) =>
      eb.or([eb('state', '=', 'READY'), eb.and([eb('state', '=', 'LEASED'), eb('lease_until', '<', lease.now)])]),
    )
    .orderBy('shard_no')
    .limit(1)
    .executeTakeFirst()
  if (free === undefined) return undefined
  const row = await trx
    .updateTable('exec_shard')
    .set({
      state: 'LEASED',
      owner: lease.owner,
      lease_until: lease.now + lease.leaseMs,
      token: free.token + 1,
      in_flight_bytes: 0,
    })
    .where('record_id', '=', recordId)
    .where('link_id', '=', linkId)
    .where('shard_no', '=', free.shard_no)
    .where('token', '=', free.token)
    .returning(['kind', 'lo', 'hi', 'pos', 'token'])
    .executeTakeFirst()
  if (row === undefined) return claimShard(trx, recordId, linkId, lease)
  return { recordId, linkId, shardNo: free.shard_no, owner: lease.owner, ...row }
}

const mine = (trx: Transaction, claim: ShardClaim) =>
  trx
    .updateTable('exec_shard')
    .where('record_id', '=', claim.recordId)
    .where('link_id', '=', claim.linkId)
    .where('shard_no', '=', claim.shardNo)
    .where('token', '=', claim.token)
    .where('state', '=', 'LEASED')

/** Moves the shard on by one batch. False: it belongs to somebody else by now, or its run is gone. */
export async function advanceShard(
  trx: Transaction,
  claim: ShardClaim,
  step: { readonly pos: string; readonly counters: ShardCounters; readonly leaseUntil: number },
): Promise<boolean> {
  const { counters } = step
  const plus = (column: keyof Schema['exec_shard'], more: number) => sql<number>`${sql.ref(column)} + ${more}`
  const result = await mine(trx, claim)
    .set({
      pos: step.pos,
      lease_until: step.leaseUntil,
      in_flight_bytes: 0,
      ok: plus('ok', counters.ok),
      skipped: plus('skipped', counters.skipped),
      unchanged: plus('unchanged', counters.unchanged),
      failed: plus('failed', counters.failed),
      conflict: plus('conflict', counters.conflict),
      file_ok: plus('file_ok', counters.fileOk),
      file_failed: plus('file_failed', counters.fileFailed),
      bytes: plus('bytes', counters.bytes),
    })
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

/** Renews the lease and shows watchers how much of the batch went out. False as above. */
export async function heartbeatShard(
  trx: Transaction,
  claim: ShardClaim,
  leaseUntil: number,
  inFlightBytes: number,
): Promise<boolean> {
  const result = await mine(trx, claim)
    .set({ lease_until: leaseUntil, in_flight_bytes: inFlightBytes })
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

/** DONE, and its paths forgotten, or READY again for whoever comes next. False as above. */
export async function leaveShard(trx: Transaction, claim: ShardClaim, state: 'DONE' | 'READY'): Promise<boolean> {
  if (state === 'DONE' && claim.kind !== 'range') await deletePlannedPaths(trx, claim)
  const result = await mine(trx, claim)
    .set({ state, owner: null, lease_until: 0, in_flight_bytes: 0 })
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

/** Whether an artifact failed since the link was planned. */
export async function hasFailedFiles(reader: Reader, recordId: string, linkId: number): Promise<boolean> {
  const row = await reader
    .selectFrom('exec_shard')
    .select('shard_no')
    .where('record_id', '=', recordId)
    .where('link_id', '=', linkId)
    // What an earlier plan counted stands in a row of a negative number (`live-counters.ts`).
    .where('shard_no', '>=', 0)
    .where('failed', '>', 0)
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/** Shards of a link that are not at their end, whoever works on them. */
export async function openShards(reader: Reader, recordId: string, linkId: number): Promise<number> {
  const row = await reader
    .selectFrom('exec_shard')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('record_id', '=', recordId)
    .where('link_id', '=', linkId)
    .where('state', 'in', ['READY', 'LEASED'])
    .executeTakeFirstOrThrow()
  return Number(row.n)
}

/** Gives up what is left of a link: nobody works on it any more, and who still does is refused at his next write. */
export async function failOpenShards(trx: Transaction, recordId: string, linkId: number): Promise<void> {
  await keepUnsettled(trx, recordId, linkId)
  await trx
    .updateTable('exec_shard')
    .set({ state: 'FAILED', owner: null, lease_until: 0, in_flight_bytes: 0 })
    .where('record_id', '=', recordId)
    .where('link_id', '=', linkId)
    .where('state', 'in', ['READY', 'LEASED'])
    .execute()
}

/** As above, of all links. */
export async function failOpenShardsOfRecord(trx: Transaction, recordId: string): Promise<void> {
  await keepUnsettled(trx, recordId)
  await trx
    .updateTable('exec_shard')
    .set({ state: 'FAILED', owner: null, lease_until: 0, in_flight_bytes: 0 })
    .where('record_id', '=', recordId)
    .where('state', 'in', ['READY', 'LEASED'])
    .execute()
}

/** Voids at once the leases that earlier lives of an installation held. @returns how many. */
export async function releaseShardsOf(trx: Transaction, installationId: string, self: string): Promise<number> {
  const result = await trx
    .updateTable('exec_shard')
    .set({ state: 'READY', owner: null, lease_until: 0 })
    .where('state', '=', 'LEASED')
    .where('owner', 'like', `${installationId}:%`)
    .where('owner', '!=', self)
    .executeTakeFirst()
  return Number(result.numUpdatedRows)
}

/** Files that one link of a record wrote so far, since it was last planned. */
export async function writtenFiles(reader: Reader, recordId: string, linkId: number): Promise<number> {
  const row = await reader
    .selectFrom('exec_shard')
    .select((eb) => eb.fn.sum<number | null>('ok').as('files'))
    .where('record_id', '=', recordId)
    .where('link_id', '=', linkId)
    // What was counted before stands in a row of its own (`live-counters.ts`).
    .where('shard_no', '>=', 0)
    .executeTakeFirstOrThrow()
  return row.files ?? 0
}
