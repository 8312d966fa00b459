import { enqueueJob } from '../../jobs/lease-table.ts'
import type { Transaction } from '../../metadata/database.ts'
import type { TaskRow } from '../../metadata/replication/tasks.ts'
import { insertDelivery } from '../../metadata/replication/webhook-deliveries.ts'
import type { TaskSetting } from '../task.ts'

/** Kind of the job that tells a webhook; payload `{recordId}`. */
export const WEBHOOK_JOB = 'deliver-webhook'

/** The record of a run was closed in this transaction: if the task has a webhook, it will be told. */
export async function announceEnd(
  trx: Transaction,
  { key, setting }: Pick<TaskRow, 'key' | 'setting'>,
  recordId: string,
  now: number,
): Promise<void> {
  const { webhook } = JSON.parse(setting) as TaskSetting
  if (webhook === undefined || webhook === null) return
  await insertDelivery(trx, { recordId, taskKey: key, now })
  await enqueueJob(webhookJob(recordId), trx, now)
}

export const webhookJob = (recordId: string) => ({ kind: WEBHOOK_JOB, dedupeKey: recordId, payload: { recordId } })
