import { Type } from 'typebox'
import type { FailureRow } from '../../metadata/replication/failure-pages.ts'
import type { Failures } from '../../tasks/failures.ts'
import type { Retries } from '../../tasks/retries.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { PAGE_FIELDS, PageData, pageOf, toPage } from '../paging.ts'
import { given, queryChoice } from '../query-choice.ts'
import { documented } from '../request-validation.ts'
import type { Routes } from '../route.ts'
import { FAILURE_TYPES, FailureInfo, KINDS_OF, toFailureInfo } from './failure-wire.ts'
import { queueOrder, SORT_QUERY } from './queue-order.ts'

export interface FailureRouteDeps {
  readonly failures: Failures
  readonly retries: Retries
  readonly dates: Dates
}

const PATH = '/replication/api/replica/failure'
const config = { access: 'ADMIN' } as const
const tags = ['replication failures']
const optional = Type.Optional(Type.String())

const PageQuery = Type.Object({
  taskKey: optional,
  remoteClusterId: optional,
  projectId: optional,
  repoName: optional,
  remoteProjectId: optional,
  remoteRepoName: optional,
  failureType: Type.Optional(Type.String({ description: FAILURE_TYPES.join(', ') })),
  retrying: Type.Optional(Type.Boolean()),
  maxRetryCount: Type.Optional(Type.Integer({ description: 'Those that were tried again more often' })),
  ...SORT_QUERY,
  ...PAGE_FIELDS,
})

/** What failed and waits to be tried again (replication.md 1.6, 3.9), and trying it again. */
export const failureRoutes =
  ({ failures, retries, dates }: FailureRouteDeps): Routes =>
  async (app) => {
    const info = (failure: FailureRow) => toFailureInfo(failure, dates)

    app.get(
      `${PATH}/page`,
      {
        schema: {
          tags,
          summary: 'What failed and waits, page by page',
          querystring: PageQuery,
          response: answers(PageData(FailureInfo)),
        },
        config,
      },
      async ({ query }) => {
        const type = queryChoice('failureType', query.failureType, FAILURE_TYPES)
        const filter = {
          taskKey: given(query.taskKey),
          clusterId: given(query.remoteClusterId),
          project: given(query.projectId),
          repo: given(query.repoName),
          remoteProject: given(query.remoteProjectId),
          remoteRepo: given(query.remoteRepoName),
          kinds: type && KINDS_OF[type],
          retrying: query.retrying,
          retriedMoreThan: query.maxRetryCount,
        }
        return ok(toPage(await failures.page(filter, queueOrder(query), pageOf(query)), info))
      },
    )
    app.get(
      `${PATH}/:id`,
      {
        schema: {
          tags,
          summary: 'One failure',
          params: Type.Object({ id: Type.String() }),
          response: answers(Type.Union([FailureInfo, Type.Null()])),
        },
        config,
      },
      async ({ params }) => {
        const found = await failures.find(params.id)
        return ok(found === undefined ? null : info(found))
      },
    )
    app.delete(
      `${PATH}/delete`,
      {
        schema: {
          tags,
          summary: 'Do not try these again by themselves',
          body: documented(
            Type.Object({
              ids: Type.Optional(Type.Array(Type.String())),
              maxRetryCount: Type.Optional(Type.Integer({ description: 'Those that were tried again more often' })),
            }),
          ),
          response: answers(Type.Integer()),
        },
        config,
      },
      async ({ body }) => ok(await failures.delete(body)),
    )
    app.post(
      `${PATH}/retry`,
      {
        schema: {
          tags,
          summary: 'Try one failure again now',
          body: documented(Type.Object({ id: Type.String() })),
          response: answers(Type.Boolean()),
        },
        config,
      },
      async ({ body }) => {
        await failures.retry(body)
        return ok(true)
      },
    )
    app.post(
      '/replication/api/task/record/retry/:recordId',
      {
        schema: {
          tags,
          summary: 'Try again what failed in a run; answers the id of the new record',
          params: Type.Object({ recordId: Type.String() }),
          response: answers(Type.String()),
        },
        config,
      },
      async ({ params }) => ok(await retries.retryRecord(params.recordId)),
    )
  }
