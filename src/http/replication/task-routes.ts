import { Type } from 'typebox'
import { hasCode, invalid } from '../../core/errors.ts'
import { chosen, fieldsOf, type RequestFields } from '../../core/request-fields.ts'
import type { TaskOrder } from '../../metadata/replication/tasks.ts'
import { REPLICA_TYPES, type ReplicationTask } from '../../tasks/task.ts'
import type { Tasks } from '../../tasks/tasks.ts'
import { MAX_OBJECTS } from '../../tasks/validate-object.ts'
import { clientGone } from '../client-gone.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { PAGE_FIELDS, PageData, pageOf, toPage } from '../paging.ts'
import { given, queryChoice } from '../query-choice.ts'
import { documented } from '../request-validation.ts'
import type { Routes } from '../route.ts'
import { RUN_STATUSES } from './detail-filter.ts'
import { TaskCopy, TaskCreate, TaskDetail, TaskInfo, TaskUpdate } from './task-schemas.ts'
import { toTaskDetail, toTaskInfo } from './task-wire.ts'

export interface TaskRouteDeps {
  readonly tasks: Tasks
  /** On an edge, a key that is no task here is one of its centre: it is pulled now. */
  readonly pullNow?: ((key: string, signal: AbortSignal) => Promise<unknown>) | undefined
  readonly dates: Dates
}

const PATH = '/replication/api/task'
const config = { access: 'ADMIN' } as const
const tags = ['replication tasks']

/** CREATE_TIME is what the contract's own example URL says (replication.md 2.2). */
const SORT_TYPES = ['CREATED_TIME', 'CREATE_TIME', 'LAST_EXECUTION_TIME', 'NEXT_EXECUTION_TIME'] as const
const COLUMN_OF: Readonly<Record<(typeof SORT_TYPES)[number], TaskOrder['by']>> = {
  CREATED_TIME: 'created_at',
  CREATE_TIME: 'created_at',
  LAST_EXECUTION_TIME: 'last_execution_at',
  NEXT_EXECUTION_TIME: 'next_execution_at',
}

const nothing = answers(Type.Null())
const KeyParams = Type.Object({ key: Type.String() })
const PageQuery = Type.Object({
  name: Type.Optional(Type.String({ description: 'Prefix' })),
  lastExecutionStatus: Type.Optional(Type.String({ description: RUN_STATUSES.join(', ') })),
  enabled: Type.Optional(Type.Boolean()),
  sortType: Type.Optional(Type.String({ description: SORT_TYPES.join(', '), default: 'CREATED_TIME' })),
  sortDirection: Type.Optional(Type.String({ description: 'DESC, ASC', default: 'DESC' })),
  ...PAGE_FIELDS,
})

/** Contract 000. */
export const taskRoutes =
  ({ tasks, pullNow, dates }: TaskRouteDeps): Routes =>
  async (app) => {
    const info = (task: ReplicationTask) => toTaskInfo(task, dates)

    app.post(
      `${PATH}/create`,
      {
        schema: { tags, summary: 'Make a replication task', body: documented(TaskCreate), response: answers(TaskInfo) },
        config,
      },
      async ({ body, principal }, reply) => ok(info(await tasks.create(body, principal.userId, clientGone(reply)))),
    )
    app.post(
      `${PATH}/edge/create`,
      {
        schema: {
          tags,
          summary: 'Make a task that edges pull',
          description:
            'Needs READ on each repository in place of an administrator, who alone may give an object another place at the edge.',
          body: documented(TaskCreate),
          response: nothing,
        },
        config: { access: 'AUTHENTICATED' },
      },
      async (request, reply) => {
        const body = fieldsOf(request.body)
        const type = body.choice('replicaType', REPLICA_TYPES) ?? 'EDGE_PULL'
        if (type !== 'EDGE_PULL') throw invalid('replicaType', 'it must be EDGE_PULL')
        const projectId = body.requiredText('localProjectId')
        const objects = [body.raw('replicaTaskObjects') ?? []].flat() as readonly unknown[]
        for (const object of objects.slice(0, MAX_OBJECTS)) {
          const fields = fieldsOf(object)
          const repoName = fields.requiredText('localRepoName')
          await request.authorise('READ', { projectId, repoName })
          if (!request.principal.admin) refuseOtherPlace(fields, projectId, repoName)
        }
        if (objects.length === 0) await request.authoriseProject('READ', projectId)
        const wanted = { ...(request.body as object), replicaType: type }
        await tasks.create(wanted, request.principal.userId, clientGone(reply))
        return ok(null)
      },
    )
    app.get(
      `${PATH}/info/:key`,
      { schema: { tags, summary: 'A task', params: KeyParams, response: answers(TaskInfo) }, config },
      async ({ params }) => ok(info(await tasks.get(params.key))),
    )
    app.get(
      `${PATH}/detail/:key`,
      {
        schema: { tags, summary: 'A task with its objects', params: KeyParams, response: answers(TaskDetail) },
        config,
      },
      async ({ params }) => {
        const { task, objects } = await tasks.getDetail(params.key)
        return ok(toTaskDetail(task, objects, dates))
      },
    )
    app.get(
      `${PATH}/page/:projectId`,
      {
        schema: {
          tags,
          summary: 'Tasks of a project, page by page',
          params: Type.Object({ projectId: Type.String() }),
          querystring: PageQuery,
          response: answers(PageData(TaskInfo)),
        },
        config,
      },
      async ({ params, query }) => {
        const filter = {
          project: params.projectId,
          name: given(query.name),
          lastExecutionStatus: queryChoice('lastExecutionStatus', query.lastExecutionStatus, RUN_STATUSES),
          enabled: query.enabled,
        }
        const by = COLUMN_OF[queryChoice('sortType', query.sortType, SORT_TYPES) ?? 'CREATED_TIME']
        const order = { by, direction: directionOf(query.sortDirection) }
        return ok(toPage(await tasks.page(filter, order, pageOf(query)), info))
      },
    )
    app.delete(
      `${PATH}/delete/:key`,
      { schema: { tags, summary: 'Delete a task with its records', params: KeyParams, response: nothing }, config },
      async ({ params }) => {
        await tasks.delete(params.key)
        return ok(null)
      },
    )
    app.post(
      `${PATH}/toggle/status/:key`,
      { schema: { tags, summary: 'Enable or disable a task', params: KeyParams, response: nothing }, config },
      async ({ params, principal }) => {
        await tasks.toggle(params.key, principal.userId)
        return ok(null)
      },
    )
    app.post(
      `${PATH}/copy`,
      {
        schema: { tags, summary: 'Copy a task under another name', body: documented(TaskCopy), response: nothing },
        config,
      },
      async ({ body, principal }) => {
        await tasks.copy(body, principal.userId)
        return ok(null)
      },
    )
    app.post(
      `${PATH}/update`,
      { schema: { tags, summary: 'Change a task', body: documented(TaskUpdate), response: nothing }, config },
      async ({ body, principal }, reply) => {
        await tasks.update(body, principal.userId, clientGone(reply))
        return ok(null)
      },
    )
    app.post(
      `${PATH}/stop/:key`,
      { schema: { tags, summary: 'End the run in progress', params: KeyParams, response: nothing }, config },
      async ({ params, principal }) => {
        await tasks.stop(params.key, principal.userId)
        return ok(null)
      },
    )
    app.post(
      `${PATH}/execute/:key`,
      { schema: { tags, summary: 'Run a task now', params: KeyParams, response: nothing }, config },
      async ({ params }, reply) => {
        try {
          await tasks.execute(params.key)
        } catch (error) {
          if (pullNow === undefined || !hasCode(error, 'TASK_NOT_FOUND')) throw error
          await pullNow(params.key, clientGone(reply))
        }
        return ok(null)
      },
    )
  }

/** Other than the enums of a query, a wrong direction is 250105 (replication.md 8). */
function directionOf(text: string | undefined): TaskOrder['direction'] {
  if (text === undefined || text === '') return 'desc'
  const direction = chosen(text, ['ASC', 'DESC'])
  if (direction === undefined) throw invalid('sortDirection', 'it must be ASC or DESC')
  return direction === 'ASC' ? 'asc' : 'desc'
}

/** Whoever may read a repository here may have it brought to an edge, not written over other repositories there. */
function refuseOtherPlace(fields: RequestFields, projectId: string, repoName: string): void {
  const own = { remoteProjectId: projectId, remoteRepoName: repoName }
  for (const [name, place] of Object.entries(own)) {
    const given = fields.text(name) ?? ''
    if (given.trim() !== '' && given !== place)
      throw invalid(name, `only an administrator may choose another than ${place}`)
  }
}
