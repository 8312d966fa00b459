import type { Selectable } from 'kysely'
import { sql } from 'kysely'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { anyOf } from '../sql/any-of.ts'
import { preparedQuery } from '../sql/prepared-query.ts'
import type { LiveState } from '../tables/live-links.ts'
import { failOpenShards } from './exec-shards.ts'
import { createLiveCounters } from './live-counters.ts'

export type LiveLink = Selectable<Schema['live_link']>

/** A link and the right to follow it: every write names the token, and touches nothing once the link is somebody else's, or paused. */
export interface LiveClaim {
  readonly linkId: number
  readonly taskKey: string
  readonly token: number
}
export interface NewLiveLink {
  readonly linkId: number
  readonly taskKey: string
  readonly recordId: string
  readonly run: number
  readonly fromSeq: number | null
  readonly now: number
}

/** Links that are there already stay as they are. */
export async function putLiveLinks(trx: Transaction, links: readonly NewLiveLink[]): Promise<void> {
  for (let at = 0; at < links.length; at += ROWS_PER_INSERT) await putSome(trx, links.slice(at, at + ROWS_PER_INSERT))
}
const ROWS_PER_INSERT = 500

async function putSome(trx: Transaction, links: readonly NewLiveLink[]): Promise<void> {
  const rows = links.map(({ linkId, taskKey, recordId, run, fromSeq, now }) => ({
    ...{ link_id: linkId, task_key: taskKey, record_id: recordId, state: 'NEW' as const, since: now, run },
    ...{ owner: null, lease_until: 0, token: 0, attempts: 0, next_attempt_at: 0, last_error: null, from_seq: fromSeq },
  }))
  await trx
    .insertInto('live_link')
    .values(rows)
    .onConflict((oc) => oc.column('link_id').doNothing())
    .execute()
}

/** Those of a task that its objects and targets no longer make. */
export async function dropLiveLinks(trx: Transaction, taskKey: string, except: readonly number[]): Promise<void> {
  const ofTask = trx.deleteFrom('live_link').where('task_key', '=', taskKey)
  await (except.length === 0 ? ofTask : ofTask.where((eb) => eb.not(anyOf(trx, 'link_id', except)))).execute()
}

const CLAIMED_STATES: LiveState[] = ['NEW', 'BACKFILL', 'CATCHUP', 'LIVE', 'RETRY']
const FREE = { owner: null, lease_until: 0, attempts: 0, next_attempt_at: 0 } as const
/**
 * Higher than all before, also those of a row that was deleted, or lost with the database that was put back: targets remember them as
 * fences.
 */
const tokenAfter = (now: number) =>
  sql<number>`case when token >= cast(${now} as bigint) then token + 1 else cast(${now} as bigint) end`

/** Whoever follows one of them can write nothing more. */
export async function pauseLiveLinks(trx: Transaction, taskKey: string, now: number): Promise<void> {
  await trx
    .updateTable('live_link')
    .set({ ...FREE, state: 'PAUSED', since: now, token: tokenAfter(now) })
    .where('task_key', '=', taskKey)
    .execute()
}

/** All links of a task begin with another record. */
export async function moveLiveLinks(
  trx: Transaction,
  taskKey: string,
  { recordId, state, now }: { readonly recordId: string; readonly state: LiveState; readonly now: number },
): Promise<void> {
  await trx
    .updateTable('live_link')
    .set({ ...FREE, state, since: now, token: tokenAfter(now), record_id: recordId, last_error: null })
    .where('task_key', '=', taskKey)
    .execute()
}

/** From here to the end of the transaction no checkpoint of these links gets in. */
export async function holdLiveLinks(trx: Transaction, taskKey: string): Promise<void> {
  await trx
    .updateTable('live_link')
    .set((eb) => ({ token: eb.ref('token') }))
    .where('task_key', '=', taskKey)
    .execute()
}

/** The links count in another record from here on; whoever follows them goes on. What is not brought over yet is planned again there. */
export async function carryLiveLinks(
  trx: Transaction,
  taskKey: string,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<void> {
  const links = await trx.selectFrom('exec_link').selectAll().where('record_id', '=', from).execute()
  const followed = links.filter(({ state }) => state === 'DONE')
  for (const link of links) {
    const begun = { ...link, record_id: to, error_reason: null, down_since: null, attempts: 0, ended_at: null }
    const isFollowed = link.state === 'DONE'
    await trx
      .insertInto('exec_link')
      .values(isFollowed ? begun : { ...begun, state: 'PENDING', mode: null })
      .execute()
    if (!isFollowed) await failOpenShards(trx, from, link.link_id)
  }
  for (const { link_id } of followed) await createLiveCounters(trx, to, link_id)
  await trx.updateTable('live_link').set({ record_id: to }).where('task_key', '=', taskKey).execute()
}

/** Links that wait for somebody to follow them, and those whose owner is gone. */
export async function claimLiveLinks(
  trx: Transaction,
  lease: { readonly owner: string; readonly now: number; readonly leaseMs: number; readonly limit: number },
): Promise<LiveClaim[]> {
  const free = trx
    .selectFrom('live_link')
    .select('link_id')
    .where('state', 'in', CLAIMED_STATES)
    .where('next_attempt_at', '<=', lease.now)
    .where((eb) => eb.or([eb('owner', 'is', null), eb('lease_until', '<', lease.now)]))
    .orderBy('next_attempt_at')
    .limit(lease.limit)
  const found = await free.execute()
  if (found.length === 0) return []
  const rows = await trx
    .updateTable('live_link')
    .set({ owner: lease.owner, lease_until: lease.now + lease.leaseMs, token: tokenAfter(lease.now) })
    .where(
      'link_id',
      'in',
      found.map(({ link_id }) => link_id),
    )
    .where('state', 'in', CLAIMED_STATES)
    .where((eb) => eb.or([eb('owner', 'is', null), eb('lease_until', '<', lease.now)]))
    .returning(['link_id', 'task_key', 'token'])
    .execute()
  return rows.map(({ link_id, task_key, token }) => ({ linkId: link_id, taskKey: task_key, token }))
}

const freeFrom = preparedQuery<{ now: number }, { at: number | null }>((reader, { now }) =>
  reader
    .selectFrom('live_link')
    .where('state', 'in', CLAIMED_STATES)
    .where((eb) => eb.or([eb('owner', 'is', null), eb('lease_until', '<', now)]))
    .select((eb) => eb.fn.min<number | null>('next_attempt_at').as('at')),
)
/** From when on the next of those that nobody follows may be claimed; undefined: all are followed. */
export async function nextLiveAttempt(reader: Reader, now: number): Promise<number | undefined> {
  return (await freeFrom(reader, { now }))[0]?.at ?? undefined
}

/** What an owner holds, token by link. */
export async function listOwnTokens(reader: Reader, owner: string): Promise<Map<number, number>> {
  const rows = await reader.selectFrom('live_link').select(['link_id', 'token']).where('owner', '=', owner).execute()
  return new Map(rows.map(({ link_id, token }) => [link_id, token]))
}

/** Renews all leases of an owner. @returns what is still his, token by link. */
export async function renewLiveLinks(
  trx: Transaction,
  owner: string,
  leaseUntil: number,
): Promise<Map<number, number>> {
  const rows = await trx
    .updateTable('live_link')
    .set({ lease_until: leaseUntil })
    .where('owner', '=', owner)
    .returning(['link_id', 'token'])
    .execute()
  return new Map(rows.map(({ link_id, token }) => [link_id, token]))
}

/** Voids at once the leases that earlier lives of an installation held. */
export async function releaseLiveLinksOf(trx: Transaction, installationId: string, self: string): Promise<void> {
  await trx
    .updateTable('live_link')
    .set({ owner: null, lease_until: 0 })
    .where('owner', 'like', `${installationId}:%`)
    .where('owner', '!=', self)
    .execute()
}

/**
 * Gives back what an owner holds and does not know of: the answer to its claim was lost, or it could not say that it left.
 */
export async function freeLiveLinks(trx: Transaction, claims: readonly Fence[]): Promise<void> {
  for (const claim of claims) await mine(trx, claim).set({ owner: null, lease_until: 0 }).execute()
}

type Fence = Pick<LiveClaim, 'linkId' | 'token'>
const mine = (trx: Transaction, { linkId, token }: Fence) =>
  trx.updateTable('live_link').where('link_id', '=', linkId).where('token', '=', token)

/** First in every transaction of a follower. @returns the record that it counts in; undefined: the link is not his any more. */
export async function touchLiveLink(trx: Transaction, claim: LiveClaim): Promise<string | undefined> {
  const row = await mine(trx, claim).set({ token: claim.token }).returning('record_id').executeTakeFirst()
  return row?.record_id
}
/** The same, and something got through: whatever trouble there was is over. */
export async function noteLiveProgress(trx: Transaction, claim: LiveClaim): Promise<string | undefined> {
  const row = await mine(trx, claim).set({ attempts: 0, last_error: null }).returning('record_id').executeTakeFirst()
  return row?.record_id
}

/** False: as above. */
export async function setLiveState(
  trx: Transaction,
  claim: LiveClaim,
  state: LiveState,
  now: number,
): Promise<boolean> {
  const result = await mine(trx, claim).set({ state, since: now }).executeTakeFirst()
  return result.numUpdatedRows > 0n
}

export interface LiveRest {
  readonly state: LiveState
  readonly attempts: number
  readonly nextAttemptAt: number
  readonly lastError: string | null
  readonly now: number
}
/** Gives the link back. Without `rest` it can be claimed at once, as it is. */
export async function leaveLiveLink(trx: Transaction, claim: LiveClaim, rest: LiveRest | undefined): Promise<void> {
  const given = { owner: null, lease_until: 0 }
  const { now: since, state, attempts, nextAttemptAt: next_attempt_at, lastError: last_error } = rest ?? NO_REST
  await mine(trx, claim)
    .set(rest === undefined ? given : { ...given, state, since, attempts, next_attempt_at, last_error })
    .execute()
}
const NO_REST: LiveRest = { state: 'RETRY', attempts: 0, nextAttemptAt: 0, lastError: null, now: 0 }

export async function findLiveLink(reader: Reader, linkId: number): Promise<LiveLink | undefined> {
  return reader.selectFrom('live_link').selectAll().where('link_id', '=', linkId).executeTakeFirst()
}

/** What a follower has to know before each batch. */
export interface LiveFacts {
  readonly token: number
  readonly recordId: string
  readonly epoch: string | null
  readonly floorSeq: number | null
  /** Of the repository. */
  readonly deletedAt: number | null
}
const facts = preparedQuery<{ linkId: number }, LiveFacts>((reader, { linkId }) =>
  reader
    .selectFrom('live_link as live')
    .innerJoin('link', 'link.id', 'live.link_id')
    .leftJoin('repository as repo', 'repo.id', 'link.repo_id')
    .where('live.link_id', '=', linkId)
    .select([
      'live.token',
      'live.record_id as recordId',
      'repo.epoch',
      'repo.floor_seq as floorSeq',
      'repo.deleted_at as deletedAt',
    ]),
)
export async function findLiveFacts(reader: Reader, linkId: number): Promise<LiveFacts | undefined> {
  return (await facts(reader, { linkId }))[0]
}

/** Tasks whose open record began before `before` (UTC epoch ms). Those with a link that is being filled wait for it. */
export async function listRollOvers(
  reader: Reader,
  { before, atLatest }: { readonly before: number; readonly atLatest: number },
): Promise<string[]> {
  const rows = await reader
    .selectFrom('execution_record as record')
    .select('record.task_key')
    .where('record.status', '=', 'RUNNING')
    .where('record.replica_type', '=', 'REAL_TIME')
    .where('record.started_at', '<', before)
    .where((eb) =>
      eb.or([
        eb('record.started_at', '<', atLatest),
        eb.not(
          eb.exists(
            eb
              .selectFrom('live_link')
              .select('live_link.link_id')
              .whereRef('live_link.task_key', '=', 'record.task_key')
              .where('live_link.state', 'in', ['NEW', 'BACKFILL']),
          ),
        ),
      ]),
    )
    .execute()
  return rows.map(({ task_key }) => task_key)
}
