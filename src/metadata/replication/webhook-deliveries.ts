import type { Selectable, Updateable } from 'kysely'
import { type Page, type PageRequest, pageOffset } from '../../core/paging.ts'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'

export type WebhookDeliveryRow = Selectable<Schema['webhook_delivery']>

/** A run has one delivery: a second request for it changes nothing. */
export async function insertDelivery(
  trx: Transaction,
  { recordId, taskKey, now }: { readonly recordId: string; readonly taskKey: string; readonly now: number },
): Promise<void> {
  await trx
    .insertInto('webhook_delivery')
    .values({
      ...{ record_id: recordId, task_key: taskKey, state: 'PENDING', error: null, attempts: 0, status: null },
      ...{ created_at: now, attempted_at: null, due_at: now },
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

export async function findDelivery(reader: Reader, recordId: string): Promise<WebhookDeliveryRow | undefined> {
  return reader.selectFrom('webhook_delivery').selectAll().where('record_id', '=', recordId).executeTakeFirst()
}

/** Only while it is PENDING. False: it is not, or is gone. */
export async function updateDelivery(
  trx: Transaction,
  recordId: string,
  change: Updateable<Schema['webhook_delivery']>,
): Promise<boolean> {
  const result = await trx
    .updateTable('webhook_delivery')
    .set(change)
    .where('record_id', '=', recordId)
    .where('state', '=', 'PENDING')
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

/** One that ended is sent again. False: there is none, or it is PENDING. */
export async function reviveDelivery(trx: Transaction, recordId: string, now: number): Promise<boolean> {
  const result = await trx
    .updateTable('webhook_delivery')
    .set({ state: 'PENDING', attempts: 0, due_at: now })
    .where('record_id', '=', recordId)
    .where('state', '!=', 'PENDING')
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

/** Newest first. */
export async function pageDeliveries(
  reader: Reader,
  taskKey: string,
  page: PageRequest,
): Promise<Page<WebhookDeliveryRow>> {
  const matching = reader.selectFrom('webhook_delivery').where('task_key', '=', taskKey)
  const { total } = await matching.select((eb) => eb.fn.countAll<number>().as('total')).executeTakeFirstOrThrow()
  const records = await matching
    .selectAll()
    .orderBy('created_at', 'desc')
    .orderBy('record_id', 'desc')
    .limit(page.pageSize)
    .offset(pageOffset(page))
    .execute()
  return { ...page, totalRecords: Number(total), records }
}

/** Of records that were deleted since. */
export async function deleteOrphanDeliveries(trx: Transaction): Promise<void> {
  await trx
    .deleteFrom('webhook_delivery')
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('execution_record')
            .select('execution_record.id')
            .whereRef('execution_record.id', '=', 'webhook_delivery.record_id'),
        ),
      ),
    )
    .execute()
}
