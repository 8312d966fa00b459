import type { Clock } from '../../core/clock.ts'
import { AppError, messageOf } from '../../core/errors.ts'
import type { Page, PageRequest } from '../../core/paging.ts'
import type { JobQueue } from '../../jobs/job-queue.ts'
import type { JobHandler } from '../../jobs/worker.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { findRecord } from '../../metadata/replication/records.ts'
import { findTask } from '../../metadata/replication/tasks.ts'
import {
  findDelivery,
  pageDeliveries,
  reviveDelivery,
  updateDelivery,
  type WebhookDeliveryRow,
} from '../../metadata/replication/webhook-deliveries.ts'
import type { WebhookClient } from '../../remotes/webhook-client.ts'
import { readSnapshot, recordFromRow } from '../record.ts'
import type { TaskSetting } from '../task.ts'
import { webhookBody, webhookHeaders } from './webhook-message.ts'
import { webhookJob } from './webhook-queue.ts'
import type { WebhookSettings } from './webhook-settings.ts'

/** Tells webhooks of the ends of runs, and shows how that went (docs/webhooks.md). */
export interface WebhookDeliveries {
  /** Handler of `WEBHOOK_JOB`. */
  readonly handler: JobHandler
  /** Newest first; unknown tasks have none. */
  page(taskKey: string, page: PageRequest): Promise<Page<WebhookDelivery>>
  /** Of a record; undefined: nobody is to be told of it. */
  find(recordId: string): Promise<WebhookDelivery | undefined>
  /** Sends one that ended once more, with all attempts again. @throws AppError TASK_NOT_FOUND; TASK_STATUS_INVALID while it is PENDING. */
  again(recordId: string): Promise<void>
}

/** Times are UTC epoch milliseconds. */
export interface WebhookDelivery {
  /** Also the record that it is about: a run is told once. */
  readonly id: string
  readonly taskKey: string
  /** `DROPPED`: the task has no webhook any more, or the record is gone. */
  readonly state: 'PENDING' | 'DELIVERED' | 'FAILED' | 'DROPPED'
  readonly attempts: number
  /** HTTP status of the last answer. */
  readonly lastStatus: number | null
  readonly lastError: string | null
  readonly createdAt: number
  readonly attemptedAt: number | null
  readonly nextAttemptAt: number | null
}

interface DeliveryDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly queue: Pick<JobQueue, 'enqueue'>
  readonly settings: WebhookSettings
  readonly client: WebhookClient
  /** Waits after the first, second … failed attempt; after as many and one more it is given up. */
  readonly retryDelaysMs: readonly number[]
  formatTime(at: number | null): string | null
}

/** A process that died over an attempt may be followed by another: the lease of the job ends before. */
const ATTEMPT_MS = 60_000

export function createWebhookDeliveries(deps: DeliveryDeps): WebhookDeliveries {
  const { db, clock, settings, client, retryDelaysMs } = deps
  const change = (recordId: string, row: Parameters<typeof updateDelivery>[2]) =>
    db.transact((trx) => updateDelivery(trx, recordId, row))

  async function deliver(recordId: string, signal: AbortSignal): Promise<{ retryAt: number } | undefined> {
    const row = await findDelivery(db.read, recordId)
    if (row === undefined || row.state !== 'PENDING') return undefined
    if (row.due_at !== null && row.due_at > clock.now()) return { retryAt: row.due_at }
    const message = await messageFor(row)
    if (message === undefined) {
      await change(recordId, { state: 'DROPPED', due_at: null })
      return undefined
    }
    const attempts = row.attempts + 1
    const attemptedAt = clock.now()
    // Counted before it is made: a receiver that kills us does not get it for ever.
    if (!(await change(recordId, { attempts, attempted_at: attemptedAt, due_at: attemptedAt + ATTEMPT_MS })))
      return undefined
    const outcome = await attempt(recordId, message, signal)
    if (outcome.error === null) {
      await change(recordId, { state: 'DELIVERED', status: outcome.status, error: null, due_at: null })
      return undefined
    }
    const delayMs = retryDelaysMs[attempts - 1]
    if (delayMs === undefined) {
      await change(recordId, { state: 'FAILED', ...outcome, due_at: null })
      return undefined
    }
    const retryAt = clock.now() + delayMs
    return (await change(recordId, { ...outcome, due_at: retryAt })) ? { retryAt } : undefined
  }

  /** By the task's webhook as it is by now: who corrects a wrong address is told what happened meanwhile. */
  async function messageFor({ record_id, task_key }: WebhookDeliveryRow) {
    const task = await findTask(db.read, task_key)
    const record = await findRecord(db.read, record_id)
    const webhook = task && (JSON.parse(task.setting) as TaskSetting).webhook
    if (record === undefined || webhook === undefined || webhook === null) return undefined
    const about = { task: readSnapshot(record).task, record: recordFromRow(record, undefined) }
    return { webhook, body: webhookBody({ ...about, formatTime: deps.formatTime }) }
  }

  async function attempt(
    recordId: string,
    { webhook, body }: NonNullable<Awaited<ReturnType<typeof messageFor>>>,
    signal: AbortSignal,
  ): Promise<{ status: number | null; error: string | null }> {
    try {
      const headers = webhookHeaders(recordId, body, { secret: settings.secretOf(webhook), now: clock.now() })
      const status = await client.post({ url: webhook.url, headers, body }, signal)
      return { status, error: status >= 200 && status < 300 ? null : `it answered HTTP ${status}` }
    } catch (error) {
      signal.throwIfAborted()
      return { status: null, error: messageOf(error) }
    }
  }

  return {
    handler: (job, signal) => deliver(job.payload.recordId!, signal),
    async page(taskKey, page) {
      const found = await pageDeliveries(db.read, taskKey, page)
      return { ...found, records: found.records.map(deliveryFromRow) }
    },
    async find(recordId) {
      const row = await findDelivery(db.read, recordId)
      return row && deliveryFromRow(row)
    },
    async again(recordId) {
      await db.transact(async (trx) => {
        if (await reviveDelivery(trx, recordId, clock.now())) return deps.queue.enqueue(webhookJob(recordId), trx)
        if ((await findDelivery(trx, recordId)) === undefined) {
          throw new AppError('TASK_NOT_FOUND', `webhook delivery [${recordId}] not found`, { recordId })
        }
        throw new AppError('TASK_STATUS_INVALID', 'task status invalid: the delivery is still under way', { recordId })
      })
    },
  }
}

const deliveryFromRow = (row: WebhookDeliveryRow): WebhookDelivery => ({
  id: row.record_id,
  taskKey: row.task_key,
  state: row.state as WebhookDelivery['state'],
  attempts: row.attempts,
  lastStatus: row.status,
  lastError: row.error,
  createdAt: row.created_at,
  attemptedAt: row.attempted_at,
  nextAttemptAt: row.due_at,
})
