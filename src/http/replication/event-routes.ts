import { Type } from 'typebox'
import { fieldsOf } from '../../core/request-fields.ts'
import type { EventRow } from '../../metadata/replication/events.ts'
import type { EventChoice, Events } from '../../tasks/events.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { PAGE_FIELDS, PageData, pageOf, toPage } from '../paging.ts'
import { given, queryChoice } from '../query-choice.ts'
import { documented } from '../request-validation.ts'
import type { Routes } from '../route.ts'
import { EventInfo, toEventInfo } from './failure-wire.ts'
import { queueOrder, SORT_QUERY } from './queue-order.ts'

export interface EventRouteDeps {
  readonly events: Events
  readonly dates: Dates
}

const PATH = '/replication/api/replica/event'
const config = { access: 'ADMIN' } as const
const tags = ['replication failures']
const EVENT_TYPES = ['NORMAL', 'FEDERATION'] as const

const optional = Type.Optional(Type.String())
const Choice = Type.Object({ eventId: optional, taskKey: optional })

/** Changes of REAL_TIME tasks that a target does not have yet (replication.md 1.6). */
export const eventRoutes =
  ({ events, dates }: EventRouteDeps): Routes =>
  async (app) => {
    const info = (event: EventRow) => toEventInfo(event, dates)

    app.get(
      `${PATH}/page`,
      {
        schema: {
          tags,
          summary: 'Changes that a target does not have yet, page by page',
          querystring: Type.Object({
            eventType: Type.Optional(Type.String({ description: EVENT_TYPES.join(', ') })),
            taskCompleted: Type.Optional(Type.Boolean({ description: 'It was tried' })),
            taskSucceeded: Type.Optional(Type.Boolean({ description: 'None did: they are gone then' })),
            taskKey: optional,
            ...SORT_QUERY,
            ...PAGE_FIELDS,
          }),
          response: answers(PageData(EventInfo)),
        },
        config,
      },
      async ({ query }) => {
        const type = queryChoice('eventType', query.eventType, EVENT_TYPES)
        const order = queueOrder(query)
        const page = pageOf(query)
        if (type === 'FEDERATION' || query.taskSucceeded === true) return ok(toPage(nothing(page), info))
        const filter = { taskKey: given(query.taskKey), isTried: query.taskCompleted }
        return ok(toPage(await events.page(filter, order, page), info))
      },
    )
    app.get(
      `${PATH}/:eventId`,
      {
        schema: {
          tags,
          summary: 'One such change',
          params: Type.Object({ eventId: Type.String() }),
          response: answers(Type.Union([EventInfo, Type.Null()])),
        },
        config,
      },
      async ({ params }) => {
        const found = await events.find(params.eventId)
        return ok(found === undefined ? null : info(found))
      },
    )
    app.post(
      `${PATH}/retry`,
      {
        schema: {
          tags,
          summary: 'Try one again now, or all of a task',
          body: documented(Choice),
          response: answers(Type.Boolean()),
        },
        config,
      },
      async ({ body }) => ok(await events.retry(choiceOf({}, body))),
    )
    app.delete(
      PATH,
      {
        schema: {
          tags,
          summary: 'Do not try one again by itself, or those of a task',
          querystring: Choice,
          body: documented(Choice),
          response: answers(Type.Boolean()),
        },
        config,
      },
      async ({ query, body }) => ok(await events.delete(choiceOf(query, body))),
    )
  }

const nothing = (page: ReturnType<typeof pageOf>) => ({ ...page, totalRecords: 0, records: [] })

/** Many clients leave out the body of a DELETE. */
function choiceOf(query: EventChoice, body: unknown): EventChoice {
  const fields = fieldsOf(body ?? {})
  return {
    eventId: given(fields.text('eventId') ?? query.eventId),
    taskKey: given(fields.text('taskKey') ?? query.taskKey),
  }
}
