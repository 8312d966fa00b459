import { type Page, type PageRequest, pageOffset } from '../../core/paging.ts'
import type { Reader, Transaction } from '../database.ts'
import { insertingRows } from '../sql/insert-rows.ts'

export interface NewPlan {
  readonly id: string
  readonly kind: 'plan' | 'verify'
  readonly taskKey: string | null
  readonly createdAt: number
  readonly expiresAt: number
}
export interface StoredPlan extends NewPlan {
  /** JSON. */
  readonly summary: string
}
export interface PlanItem {
  readonly class: string
  /** Place of its link in the summary. */
  readonly linkNo: number
  readonly path: string
  readonly sizeBytes: number | null
  readonly conflict: boolean
  readonly reason: string | null
}

/** Without a summary nobody finds it; when whoever makes it dies, it is swept as any other. */
export async function beginPlan(trx: Transaction, plan: NewPlan): Promise<void> {
  await trx
    .insertInto('plan')
    .values({
      id: plan.id,
      kind: plan.kind,
      task_key: plan.taskKey,
      created_at: plan.createdAt,
      expires_at: plan.expiresAt,
      summary: null,
      progress: null,
    })
    .execute()
}

export async function endPlan(
  trx: Transaction,
  id: string,
  { summary, expiresAt }: { readonly summary: string; readonly expiresAt: number },
): Promise<void> {
  await trx.updateTable('plan').set({ summary, expires_at: expiresAt }).where('id', '=', id).execute()
}

export async function notePlanProgress(trx: Transaction, id: string, progress: string): Promise<void> {
  await trx.updateTable('plan').set({ progress }).where('id', '=', id).where('summary', 'is', null).execute()
}

/** Those of a task that are being found out and say how far they got; newest first. @param since of whoever died none is. */
export async function plansUnderWay(
  reader: Reader,
  taskKey: string,
  kind: NewPlan['kind'],
  since: number,
): Promise<{ readonly id: string; readonly createdAt: number; readonly progress: string }[]> {
  const rows = await reader
    .selectFrom('plan')
    .select(['id', 'created_at', 'progress'])
    .where('task_key', '=', taskKey)
    .where('kind', '=', kind)
    .where('summary', 'is', null)
    .where('progress', 'is not', null)
    .where('expires_at', '>', since)
    .orderBy('created_at', 'desc')
    .orderBy('id')
    .execute()
  return rows.map(({ id, created_at, progress }) => ({ id, createdAt: created_at, progress: progress! }))
}

interface NumberedItem extends PlanItem {
  readonly planId: string
  readonly itemNo: number
}
const insertItems = insertingRows<'plan_item', NumberedItem>({
  into: 'plan_item',
  columns: {
    plan_id: ['text', ({ planId }) => planId],
    item_no: ['bigint', ({ itemNo }) => itemNo],
    class: ['text', (item) => item.class],
    link_no: ['bigint', ({ linkNo }) => linkNo],
    path: ['text', ({ path }) => path],
    size: ['bigint', ({ sizeBytes }) => sizeBytes],
    conflict: ['bigint', ({ conflict }) => Number(conflict)],
    reason: ['text', ({ reason }) => reason],
  },
})

/** @param from number of the first of them. */
export async function putPlanItems(
  trx: Transaction,
  planId: string,
  from: number,
  items: readonly PlanItem[],
): Promise<void> {
  await insertItems(
    trx,
    items.map((item, index) => ({ ...item, planId, itemNo: from + index })),
  )
}

export async function findPlan(reader: Reader, id: string, now: number): Promise<StoredPlan | undefined> {
  const row = await reader
    .selectFrom('plan')
    .selectAll()
    .where('id', '=', id)
    .where('expires_at', '>', now)
    .executeTakeFirst()
  if (row === undefined || row.summary === null) return undefined
  const { kind, task_key, created_at, expires_at, summary } = row
  return { id, kind, taskKey: task_key, createdAt: created_at, expiresAt: expires_at, summary }
}

/** In the order in which they were found. */
export async function pagePlanItems(
  reader: Reader,
  planId: string,
  ofClass: string | undefined,
  page: PageRequest,
): Promise<Page<PlanItem>> {
  const matching = reader
    .selectFrom('plan_item')
    .where('plan_id', '=', planId)
    .$if(ofClass !== undefined, (query) => query.where('class', '=', ofClass!))
  const { total } = await matching.select((eb) => eb.fn.countAll<number>().as('total')).executeTakeFirstOrThrow()
  const rows = await matching.selectAll().orderBy('item_no').limit(page.pageSize).offset(pageOffset(page)).execute()
  const records = rows.map((row) => ({
    class: row.class,
    linkNo: row.link_no,
    path: row.path,
    sizeBytes: row.size,
    conflict: row.conflict === 1,
    reason: row.reason,
  }))
  return { ...page, totalRecords: Number(total), records }
}

export async function expiredPlans(reader: Reader, now: number, limit: number): Promise<string[]> {
  const rows = await reader.selectFrom('plan').select('id').where('expires_at', '<=', now).limit(limit).execute()
  return rows.map(({ id }) => id)
}

/** Deletes up to `limit` items, and the plan once it has none. @returns how many items went. */
export async function deletePlanSlice(trx: Transaction, id: string, limit: number): Promise<number> {
  const { last } = await trx
    .selectFrom((eb) =>
      eb.selectFrom('plan_item').select('item_no').where('plan_id', '=', id).orderBy('item_no').limit(limit).as('some'),
    )
    .select((eb) => eb.fn.max<number | null>('item_no').as('last'))
    .executeTakeFirstOrThrow()
  if (last === null) {
    await trx.deleteFrom('plan').where('id', '=', id).execute()
    return 0
  }
  const { numDeletedRows } = await trx
    .deleteFrom('plan_item')
    .where('plan_id', '=', id)
    .where('item_no', '<=', last)
    .executeTakeFirst()
  return Number(numDeletedRows)
}

/** How fast runs were that ended well and sent something: newest first, of one task or of all. */
export async function measuredRuns(
  reader: Reader,
  taskKey: string | undefined,
  limit: number,
): Promise<{ readonly bytes: number; readonly durationMs: number; readonly overview: string | null }[]> {
  const rows = await reader
    .selectFrom('execution_record')
    .select(['replicated_bytes', 'started_at', 'ended_at', 'overview'])
    .where('status', '=', 'SUCCESS')
    .where('replica_type', '!=', 'REAL_TIME')
    .where('replicated_bytes', '>', 0)
    .where('ended_at', 'is not', null)
    .$if(taskKey !== undefined, (query) => query.where('task_key', '=', taskKey!))
    .orderBy('started_at', 'desc')
    .limit(limit)
    .execute()
  return rows.map((row) => ({
    bytes: row.replicated_bytes,
    durationMs: row.ended_at! - row.started_at,
    overview: row.overview,
  }))
}
