import type { Selectable } from 'kysely'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import type { ExecState } from '../tables/replication.ts'
import type { RemotePosition } from './links.ts'

/** One link in one record: what the run found out about it, and how it stands. */
export type ExecLink = Selectable<Schema['exec_link']>

export interface NewExecLink {
  readonly recordId: string
  readonly linkId: number
  readonly clusterId: string
  readonly clusterName: string
  readonly localRepo: string
  readonly repoType: string
}

/** Planning a record twice is harmless: links that are there already stay as they are. */
export async function createExecLinks(trx: Transaction, links: readonly NewExecLink[]): Promise<void> {
  for (let at = 0; at < links.length; at += ROWS_PER_INSERT) {
    await insertSome(trx, links.slice(at, at + ROWS_PER_INSERT))
  }
}
const ROWS_PER_INSERT = 500

async function insertSome(trx: Transaction, links: readonly NewExecLink[]): Promise<void> {
  await trx
    .insertInto('exec_link')
    .values(
      links.map((link) => ({
        record_id: link.recordId,
        link_id: link.linkId,
        cluster_id: link.clusterId,
        cluster_name: link.clusterName,
        local_repo: link.localRepo,
        repo_type: link.repoType,
        state: 'PENDING' as const,
        mode: null,
        scope_hash: null,
        to_seq: null,
        remote_epoch: null,
        remote_seq: null,
        remote_mark: null,
        error_reason: null,
        down_since: null,
        attempts: 0,
        ended_at: null,
      })),
    )
    .onConflict((oc) => oc.columns(['record_id', 'link_id']).doNothing())
    .execute()
}

export async function findExecLink(reader: Reader, recordId: string, linkId: number): Promise<ExecLink | undefined> {
  return one(reader, recordId, linkId).executeTakeFirst()
}
const one = (reader: Reader, recordId: string, linkId: number) =>
  reader.selectFrom('exec_link').selectAll().where('record_id', '=', recordId).where('link_id', '=', linkId)

export async function listExecLinks(reader: Reader, recordId: string): Promise<ExecLink[]> {
  return reader.selectFrom('exec_link').selectAll().where('record_id', '=', recordId).orderBy('link_id').execute()
}

/** Links of a record to one target that have not ended, in the order in which FAST_FAIL works on them. */
export async function openLinksTo(reader: Reader, recordId: string, clusterId: string): Promise<number[]> {
  const rows = await reader
    .selectFrom('exec_link')
    .select('link_id')
    .where('record_id', '=', recordId)
    .where('cluster_id', '=', clusterId)
    .where('state', 'in', ['PENDING', 'COPYING'])
    .orderBy('link_id')
    .execute()
  return rows.map(({ link_id }) => link_id)
}

/** Whose link it is, and where it goes. */
export async function findLinkPlace(
  reader: Reader,
  recordId: string,
  linkId: number,
): Promise<{ clusterId: string; taskKey: string } | undefined> {
  return reader
    .selectFrom('exec_link')
    .innerJoin('execution_record', 'execution_record.id', 'exec_link.record_id')
    .select(['exec_link.cluster_id as clusterId', 'execution_record.task_key as taskKey'])
    .where('exec_link.record_id', '=', recordId)
    .where('exec_link.link_id', '=', linkId)
    .executeTakeFirst()
}

/** Begins to plan a link: whoever planned it until now writes nothing more. Undefined: it is planned, or the run is gone. */
export async function takePlanning(trx: Transaction, recordId: string, linkId: number): Promise<number | undefined> {
  const row = await update(trx, recordId, linkId, ['PENDING'])
    .set((eb) => ({ plan_token: eb('plan_token', '+', 1) }))
    .returning('plan_token')
    .executeTakeFirst()
  return row?.plan_token
}
/** Whether the link is still to be planned, and by the holder of the token. Until the transaction ends nobody else takes it. */
export async function holdsPlanning(
  trx: Transaction,
  recordId: string,
  linkId: number,
  token: number,
): Promise<boolean> {
  const result = await update(trx, recordId, linkId, ['PENDING'])
    .set({ plan_token: token })
    .where('plan_token', '=', token)
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

export interface LinkPlan {
  readonly mode: 'cursor' | 'ranges' | 'offer'
  readonly toSeq: number
  readonly remote: RemotePosition
}

/** PENDING → COPYING. False: somebody else planned it, or the run is gone. */
export async function beginCopying(
  trx: Transaction,
  recordId: string,
  linkId: number,
  plan: LinkPlan & { readonly scopeHash: string },
): Promise<boolean> {
  const result = await update(trx, recordId, linkId, ['PENDING'])
    .set({
      state: 'COPYING',
      mode: plan.mode,
      scope_hash: plan.scopeHash,
      to_seq: plan.toSeq,
      remote_epoch: plan.remote.epoch,
      remote_seq: plan.remote.seq,
      remote_mark: plan.remote.mark,
      down_since: null,
      error_reason: null,
    })
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

/** A link that follows changes: done with what exists, or to be compared once more. False: the run is gone. */
export async function markExecLink(
  trx: Transaction,
  recordId: string,
  linkId: number,
  state: 'PENDING' | 'DONE',
): Promise<boolean> {
  const result = await trx
    .updateTable('exec_link')
    .set({ state, error_reason: null, down_since: null, attempts: 0, ended_at: null })
    .where('record_id', '=', recordId)
    .where('link_id', '=', linkId)
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

/** Ends a link that has not ended yet. False: it had. */
export async function endExecLink(
  trx: Transaction,
  recordId: string,
  linkId: number,
  end: { readonly state: 'DONE' | 'FAILED'; readonly errorReason: string | null; readonly now: number },
): Promise<boolean> {
  const result = await update(trx, recordId, linkId, ['PENDING', 'COPYING'])
    .set({ state: end.state, error_reason: end.errorReason, ended_at: end.now })
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

/** Ends all links of a record that have not ended yet. */
export async function endExecLinks(
  trx: Transaction,
  recordId: string,
  end: { readonly state: 'DONE' | 'FAILED'; readonly errorReason: string | null; readonly now: number },
): Promise<void> {
  await trx
    .updateTable('exec_link')
    .set({ state: end.state, error_reason: end.errorReason, ended_at: end.now })
    .where('record_id', '=', recordId)
    .where('state', 'in', ['PENDING', 'COPYING'])
    .execute()
}

/**
 * Notes that the target does not answer since `now`; an outage noted before goes on unless the target answered, or took something, meanwhile.
 * @returns since when, and how often in a row. Undefined: the run is gone.
 */
export async function noteDown(
  trx: Transaction,
  recordId: string,
  linkId: number,
  { now, progressed, reason }: { readonly now: number; readonly progressed: boolean; readonly reason: string },
): Promise<LinkOutage | undefined> {
  const row = await one(trx, recordId, linkId).executeTakeFirst()
  if (row === undefined) return undefined
  const known = progressed ? { since: null, stalledSince: null, attempts: 0 } : outageOf(row)
  const outage = {
    since: known.since ?? now,
    stalledSince: known.stalledSince ?? now,
    attempts: known.attempts + 1,
  }
  await update(trx, recordId, linkId, ['PENDING', 'COPYING'])
    .set({
      down_since: outage.since,
      stalled_since: outage.stalledSince,
      attempts: outage.attempts,
      error_reason: reason,
    })
    .execute()
  return outage
}
const outageOf = ({ down_since, stalled_since, attempts }: ExecLink) => ({
  since: down_since,
  stalledSince: stalled_since,
  attempts,
})
/** The same without an attempt: nobody talks to the target at the moment. Undefined: the run is gone. */
export async function noteWaiting(
  trx: Transaction,
  recordId: string,
  linkId: number,
  { now, reason }: { readonly now: number; readonly reason: string },
): Promise<LinkOutage | undefined> {
  const row = await one(trx, recordId, linkId).executeTakeFirst()
  if (row === undefined) return undefined
  const [since, stalledSince] = [row.down_since ?? now, row.stalled_since ?? now]
  await update(trx, recordId, linkId, ['PENDING', 'COPYING'])
    .set({ down_since: since, stalled_since: stalledSince, error_reason: reason })
    .execute()
  return { since, stalledSince, attempts: row.attempts }
}
export interface LinkOutage {
  /** Since when the target does not answer. */
  readonly since: number
  /** Since when nothing gets through; an answer in between does not end it. */
  readonly stalledSince: number
  readonly attempts: number
}
/** The target took something durably: whatever outage there was is over. */
export async function noteUp(trx: Transaction, recordId: string, linkId: number): Promise<void> {
  await update(trx, recordId, linkId, ['COPYING'])
    .set({ down_since: null, stalled_since: null, attempts: 0, error_reason: null })
    .where('stalled_since', 'is not', null)
    .execute()
}
/** The target answered: it is not away, though nothing may get through. */
export async function noteAnswer(trx: Transaction, recordId: string, linkId: number): Promise<void> {
  await update(trx, recordId, linkId, ['PENDING', 'COPYING'])
    .set({ down_since: null })
    .where('down_since', 'is not', null)
    .execute()
}

const update = (trx: Transaction, recordId: string, linkId: number, states: readonly ExecState[]) =>
  trx
    .updateTable('exec_link')
    .where('record_id', '=', recordId)
    .where('link_id', '=', linkId)
    .where('state', 'in', states)
