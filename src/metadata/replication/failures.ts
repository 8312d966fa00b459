import { sql } from 'kysely'
import type { Reader, Transaction } from '../database.ts'
import { anyOf } from '../sql/any-of.ts'
import { WHOLE_LINK } from './divergences.ts'
import { failedAgain, MOST_ATTEMPTS } from './failure-state.ts'

// The queue of what failed and is to be tried again (replication.md 3.9): the rows of the ledger that have a `failure_id`.

/** Links that wait as a whole, and paths of the others, of one task; those that are due longest first. */
export async function listDueOfTask(
  reader: Reader,
  taskKey: string,
  now: number,
  limit: number,
): Promise<{ linkKey: string; path: string }[]> {
  return reader
    .selectFrom('link_divergence')
    .innerJoin('link', 'link.id', 'link_divergence.link_id')
    .select(['link.key as linkKey', 'link_divergence.path'])
    .where('link.task_key', '=', taskKey)
    .where('link_divergence.due_at', '<=', now)
    .orderBy('link_divergence.due_at')
    .orderBy('link_divergence.path')
    .limit(limit)
    .execute()
}

/**
 * The link failed as a whole while what was due of it was not tried: that counts as one more attempt on each, or it would be due again
 * at once.
 */
export async function postponeDue(trx: Transaction, linkId: number, now: number): Promise<void> {
  await trx
    .updateTable('link_divergence')
    .set((eb) => ({
      attempts: eb('attempts', '+', 1),
      due_at: sql<number | null>`${dueAfterNext(now)}`,
      modified_at: now,
    }))
    .where('link_id', '=', linkId)
    .where('due_at', '<=', now)
    .where('path', '!=', WHOLE_LINK)
    .execute()
}
/** As `failedAgain`, without its jitter: they are one link's. */
const dueAfterNext = (now: number) =>
  sql`case when attempts + 1 >= ${sql.lit(MOST_ATTEMPTS)} then null
    when attempts >= 7 then cast(${now} as bigint) + 3600000 else cast(${now} as bigint) + (30000 << cast(attempts as integer)) end`

/** Enabled tasks of these types with something due and no run in progress. */
export async function listTasksWithDue(
  reader: Reader,
  replicaTypes: readonly string[],
  now: number,
  limit: number,
): Promise<string[]> {
  const rows = await reader
    .selectFrom('link_divergence')
    .innerJoin('link', 'link.id', 'link_divergence.link_id')
    .innerJoin('replication_task as task', 'task.key', 'link.task_key')
    .select('task.key')
    .distinct()
    .where('link_divergence.due_at', '<=', now)
    .where('task.enabled', '=', 1)
    .where('task.replica_type', 'in', replicaTypes)
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('execution_record as record')
            .select('record.id')
            .whereRef('record.task_key', '=', 'task.key')
            .where('record.status', '=', 'RUNNING'),
        ),
      ),
    )
    .limit(limit)
    .execute()
  return rows.map(({ key }) => key)
}

/** Paths of one link that are due, those that are due longest first: what follows changes as they come takes them with it. */
export async function listDuePaths(reader: Reader, linkId: number, now: number, limit: number): Promise<string[]> {
  const rows = await reader
    .selectFrom('link_divergence')
    .select('path')
    .where('link_id', '=', linkId)
    .where('due_at', '<=', now)
    .where('path', '!=', WHOLE_LINK)
    .orderBy('due_at')
    .orderBy('path')
    .limit(limit)
    .execute()
  return rows.map(({ path }) => path)
}

/** When the first of a link's failures becomes due. */
export async function nextDueOfLink(reader: Reader, linkId: number): Promise<number | undefined> {
  const row = await reader
    .selectFrom('link_divergence')
    .select((eb) => eb.fn.min('due_at').as('dueAt'))
    .where('link_id', '=', linkId)
    .where('path', '!=', WHOLE_LINK)
    .executeTakeFirst()
  return row?.dueAt ?? undefined
}

/** The link failed as a whole: once more, or for the first time. */
export async function putLinkFailure(trx: Transaction, linkId: number, reason: string, now: number): Promise<void> {
  const earlier = await trx
    .deleteFrom('link_divergence')
    .where('link_id', '=', linkId)
    .where('path', '=', WHOLE_LINK)
    .returning(['failure_id', 'attempts', 'created_at'])
    .executeTakeFirst()
  const known =
    earlier === undefined
      ? undefined
      : { id: earlier.failure_id!, attempts: earlier.attempts!, createdAt: earlier.created_at! }
  const state = failedAgain({ linkId, path: WHOLE_LINK }, { kind: 'LINK', reason }, known, now)
  await trx
    .insertInto('link_divergence')
    .values({
      link_id: linkId,
      path: WHOLE_LINK,
      reason: 'failed',
      since: now,
      failure_id: state.id,
      kind: state.kind,
      error_reason: state.reason,
      attempts: state.attempts,
      due_at: state.dueAt,
      created_at: state.createdAt,
      modified_at: state.modifiedAt,
    })
    .execute()
}

/** All of the link was brought over, or tried one by one. */
export async function clearLinkFailure(trx: Transaction, linkId: number): Promise<void> {
  await trx.deleteFrom('link_divergence').where('link_id', '=', linkId).where('path', '=', WHOLE_LINK).execute()
}

/** Ids of what failed, of one task or one id, in tasks of a type. */
export async function listFailureIds(
  reader: Reader,
  { id, taskKey, replicaType }: { id?: string | undefined; taskKey?: string | undefined; replicaType: string },
): Promise<string[]> {
  const rows = await reader
    .selectFrom('link_divergence')
    .innerJoin('link', 'link.id', 'link_divergence.link_id')
    .innerJoin('replication_task as task', 'task.key', 'link.task_key')
    .select('link_divergence.failure_id')
    .where('link_divergence.failure_id', 'is not', null)
    .where('task.replica_type', '=', replicaType)
    .$if(id !== undefined, (query) => query.where('link_divergence.failure_id', '=', id!))
    .$if(taskKey !== undefined, (query) => query.where('task.key', '=', taskKey!))
    .execute()
  return rows.map(({ failure_id }) => failure_id!)
}

/** Makes the failures with these ids due. @returns how many there are. */
export async function hurryFailures(trx: Transaction, ids: readonly string[], now: number): Promise<number> {
  if (ids.length === 0) return 0
  const result = await trx
    .updateTable('link_divergence')
    .set({ due_at: now })
    .where(anyOf(trx, 'failure_id', ids))
    .executeTakeFirst()
  return Number(result.numUpdatedRows)
}

/** Makes these paths of a link due, as far as they failed. */
export async function hurryPaths(trx: Transaction, linkId: number, paths: readonly string[], now: number) {
  if (paths.length === 0) return
  await trx
    .updateTable('link_divergence')
    .set({ due_at: now })
    .where('link_id', '=', linkId)
    .where('failure_id', 'is not', null)
    .where(anyOf(trx, 'path', paths))
    .execute()
}

/**
 * Takes failures out of the queue. The ledger goes on saying that the target lacks them, so that every run looks at them again: without
 * that a cursor would count them as arrived. @returns how many.
 */
export async function dismissFailures(
  trx: Transaction,
  { ids, taskKey, retriedMoreThan }: FailureChoice,
): Promise<number> {
  let query = trx
    .updateTable('link_divergence')
    .set({ failure_id: null, kind: null, error_reason: null, attempts: null, due_at: null })
    .where('failure_id', 'is not', null)
  if (ids !== undefined)
    query = ids.length === 0 ? query.where('link_id', '<', 0) : query.where(anyOf(trx, 'failure_id', ids))
  if (retriedMoreThan !== undefined) query = query.where('attempts', '>', retriedMoreThan + 1)
  if (taskKey !== undefined) {
    query = query.where('link_id', 'in', (eb) => eb.selectFrom('link').select('id').where('task_key', '=', taskKey))
  }
  const { numUpdatedRows } = await query.executeTakeFirst()
  await trx.deleteFrom('link_divergence').where('path', '=', WHOLE_LINK).where('failure_id', 'is', null).execute()
  return Number(numUpdatedRows)
}
export interface FailureChoice {
  readonly ids?: readonly string[] | undefined
  readonly taskKey?: string | undefined
  readonly retriedMoreThan?: number | undefined
}
