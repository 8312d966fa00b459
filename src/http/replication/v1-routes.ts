import { Type } from 'typebox'
import type { V1Task } from '../../tasks/v1/v1-task.ts'
import type { V1Tasks } from '../../tasks/v1/v1-tasks.ts'
import { clientGone } from '../client-gone.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { readGetBody } from '../get-body.ts'
import { documented } from '../request-validation.ts'
import type { Routes } from '../route.ts'
import { REMOTE_FIELDS, toV1Log, toV1Task, V1Create, V1LogInfo, V1TaskInfo } from './v1-wire.ts'

export interface V1RouteDeps {
  readonly v1: V1Tasks
  readonly dates: Dates
}

const PATH = '/replication/task'
const config = { access: 'ADMIN' } as const
/** The paths are not those of the management API, whose changes are audited by themselves. */
const changing = { access: 'ADMIN', audit: 'always' } as const
const tags = ['replication tasks, older API']

const nothing = answers(Type.Null())
const orNull = <T extends Parameters<typeof Type.Array>[0]>(schema: T) => answers(Type.Union([schema, Type.Null()]))
const KeyParams = Type.Object({ key: Type.String() })
const RemoteQuery = Type.Object(REMOTE_FIELDS)

/** Contract 003 and what a client of it needs besides (replication.md 1.7). */
export const v1Routes =
  ({ v1, dates }: V1RouteDeps): Routes =>
  async (app) => {
    const info = (task: V1Task) => toV1Task(task, dates)

    /** What the body says goes before the query. */
    const test = async (query: object, body: unknown, signal: AbortSignal) => {
      const given = typeof body === 'object' && body !== null && !Array.isArray(body) ? { ...query, ...body } : body
      await v1.testConnection(given ?? query, signal)
      return ok(null)
    }
    const summary = 'Whether another cluster can be reached'
    app.get(
      `${PATH}/connect/test`,
      // HEAD has no body, and would connect for nothing.
      { schema: { tags, summary, querystring: RemoteQuery, response: nothing }, config, exposeHeadRoute: false },
      async (request, reply) => test(request.query, await readGetBody(request), clientGone(reply)),
    )
    app.post(
      `${PATH}/connect/test`,
      {
        schema: { tags, summary, querystring: RemoteQuery, body: documented(RemoteQuery), response: nothing },
        config,
      },
      async ({ query, body }, reply) => test(query, body, clientGone(reply)),
    )
    app.post(
      `${PATH}/create`,
      {
        schema: { tags, summary: 'Make a task of the older API', body: documented(V1Create), response: nothing },
        config: changing,
      },
      async ({ body, principal }, reply) => {
        await v1.create(body, principal.userId, clientGone(reply))
        return ok(null)
      },
    )
    app.get(
      `${PATH}/list`,
      { schema: { tags, summary: 'Tasks of the older API', response: answers(Type.Array(V1TaskInfo)) }, config },
      async () => ok((await v1.list()).map(info)),
    )
    app.get(
      `${PATH}/detail/:key`,
      { schema: { tags, summary: 'A task of the older API', params: KeyParams, response: orNull(V1TaskInfo) }, config },
      async ({ params }) => {
        const task = await v1.find(params.key)
        return ok(task === undefined ? null : info(task))
      },
    )
    app.post(
      `${PATH}/interrupt/:key`,
      {
        schema: { tags, summary: 'End what a task of the older API does', params: KeyParams, response: nothing },
        config: changing,
      },
      async ({ params, principal }) => {
        await v1.interrupt(params.key, principal.userId)
        return ok(null)
      },
    )
    app.delete(
      `${PATH}/delete/:key`,
      {
        schema: { tags, summary: 'Delete a task of the older API', params: KeyParams, response: nothing },
        config: changing,
      },
      async ({ params }) => {
        await v1.delete(params.key)
        return ok(null)
      },
    )
    app.get(
      `${PATH}/log/list/:key`,
      {
        schema: {
          tags,
          summary: 'Runs of a task of the older API',
          params: KeyParams,
          response: answers(Type.Array(V1LogInfo)),
        },
        config,
      },
      async ({ params }) => ok((await v1.logs(params.key)).map((log) => toV1Log(log, dates))),
    )
    app.get(
      `${PATH}/log/latest/:key`,
      {
        schema: {
          tags,
          summary: 'The latest run of a task of the older API',
          params: KeyParams,
          response: orNull(V1LogInfo),
        },
        config,
      },
      async ({ params }) => {
        const log = await v1.latestLog(params.key)
        return ok(log === undefined ? null : toV1Log(log, dates))
      },
    )
  }
