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
  if (links.length === 0) return
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

export interface LinkPlan {
  readonly mode: 'cursor' | 'ranges'
  readonly toSeq: number
  readonly remote: RemotePosition
}

/** PENDING → COPYING. False: somebody else planned it, or the run is gone. */
export async function beginCopying(
  trx: Transaction,
  recordId: string,
  linkId: number,
  plan: LinkPlan,
): Promise<boolean> {
  const result = await update(trx, recordId, linkId, ['PENDING'])
    .set({
      state: 'COPYING',
      mode: plan.mode,
      to_seq: plan.toSeq,
      remote_epoch: plan.remote.epoch,
      remote_seq: plan.remote.seq,
      remote_mark: plan.remote.mark,
      down_since: null,
    })
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

/**
 * Notes that the target does not answer since `now`; an outage noted before goes on unless the target took something meanwhile.
 * @returns since when, and how often in a row. Undefined: the run is gone.
 */
export async function noteDown(
  trx: Transaction,
  recordId: string,
  linkId: number,
  { now, progressed }: { readonly now: number; readonly progressed: boolean },
): Promise<LinkOutage | undefined> {
  const row = await one(trx, recordId, linkId).executeTakeFirst()
  if (row === undefined) return undefined
  const goesOn = row.down_since !== null && !progressed
  const outage = goesOn ? { since: row.down_since!, attempts: row.attempts + 1 } : { since: now, attempts: 1 }
  await update(trx, recordId, linkId, ['PENDING', 'COPYING'])
    .set({ down_since: outage.since, attempts: outage.attempts })
    .execute()
  return outage
}
export interface LinkOutage {
  readonly since: number
  readonly attempts: number
}
/** The target took something durably: whatever outage there was is over. */
export async function noteUp(trx: Transaction, recordId: string, linkId: number): Promise<void> {
  await update(trx, recordId, linkId, ['COPYING'])
    .set({ down_since: null, attempts: 0 })
    .where('down_since', 'is not', null)
    .execute()
}

const update = (trx: Transaction, recordId: string, linkId: number, states: readonly ExecState[]) =>
  trx
    .updateTable('exec_link')
    .where('record_id', '=', recordId)
    .where('link_id', '=', linkId)
    .where('state', 'in', states)
