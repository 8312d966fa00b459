import { Type } from 'typebox'
import { AppError } from '../../core/errors.ts'
import type { WebhookDeliveries, WebhookDelivery } from '../../tasks/webhooks/webhook-deliveries.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { PAGE_FIELDS, PageData, pageOf, toPage } from '../paging.ts'
import type { Routes } from '../route.ts'
import { nullable } from './task-schemas.ts'

export interface WebhookRouteDeps {
  readonly deliveries: WebhookDeliveries
  readonly dates: Dates
}

const PATH = '/replication/api/task/webhook'
const config = { access: 'ADMIN' } as const
const tags = ['webhooks']

const Delivery = Type.Object({
  id: Type.String({ description: 'Also the id of the record that it is about' }),
  taskKey: Type.String(),
  state: Type.Enum(['PENDING', 'DELIVERED', 'FAILED', 'DROPPED']),
  attempts: Type.Integer(),
  lastStatus: nullable(Type.Integer({ description: 'HTTP status of the last answer' })),
  lastError: nullable(Type.String()),
  createdDate: Type.String(),
  lastAttemptTime: nullable(Type.String()),
  nextAttemptTime: nullable(Type.String()),
})
const RecordParams = Type.Object({ recordId: Type.String() })

/** Who was told of the end of runs, and how that went. */
export const webhookRoutes =
  ({ deliveries, dates }: WebhookRouteDeps): Routes =>
  async (app) => {
    const info = (delivery: WebhookDelivery) => ({
      id: delivery.id,
      taskKey: delivery.taskKey,
      state: delivery.state,
      attempts: delivery.attempts,
      lastStatus: delivery.lastStatus,
      lastError: delivery.lastError,
      createdDate: dates.format(delivery.createdAt),
      lastAttemptTime: dates.format(delivery.attemptedAt),
      nextAttemptTime: dates.format(delivery.nextAttemptAt),
    })
    app.get(
      `${PATH}/page/:key`,
      {
        schema: {
          tags,
          summary: 'Deliveries to the webhook of a task, newest first',
          params: Type.Object({ key: Type.String() }),
          querystring: Type.Object(PAGE_FIELDS),
          response: answers(PageData(Delivery)),
        },
        config,
      },
      async ({ params, query }) => ok(toPage(await deliveries.page(params.key, pageOf(query)), info)),
    )
    app.get(
      `${PATH}/info/:recordId`,
      {
        schema: { tags, summary: 'Delivery of the end of one run', params: RecordParams, response: answers(Delivery) },
        config,
      },
      async ({ params }) => {
        const found = await deliveries.find(params.recordId)
        if (found !== undefined) return ok(info(found))
        const { recordId } = params
        throw new AppError('TASK_NOT_FOUND', `webhook delivery [${recordId}] not found`, { recordId })
      },
    )
    app.post(
      `${PATH}/retry/:recordId`,
      {
        schema: { tags, summary: 'Deliver once more', params: RecordParams, response: answers(Type.Null()) },
        config,
      },
      async ({ params }) => {
        await deliveries.again(params.recordId)
        return ok(null)
      },
    )
  }
