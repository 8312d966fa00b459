import { Type } from 'typebox'
import type { BackupTasks } from '../../backup/tasks/backup-tasks.ts'
import { invalid } from '../../core/errors.ts'
import { chosen } from '../../core/request-fields.ts'
import { clientGone } from '../client-gone.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { PAGE_FIELDS, PageData, pageOf, toPage } from '../paging.ts'
import { documented } from '../request-validation.ts'
import type { Routes } from '../route.ts'
import { BackupRunData, BackupTaskBody, BackupTaskData, BackupTaskDetail, VerifyBody } from './backup-schemas.ts'
import { toBackupRun, toBackupTask, toBackupTaskDetail } from './backup-wire.ts'

export interface BackupRouteDeps {
  readonly tasks: BackupTasks
  readonly dates: Dates
}

/** `/api/job/backup` is the same place (`aliases.ts`). */
const PATH = '/job/api/job/backup'
const config = { access: 'ADMIN' } as const
const tags = ['backup']
const STATES = ['PENDING', 'RUNNING', 'FINISHED'] as const
const LONGEST_WAIT_SECONDS = 600

const nothing = answers(Type.Null())
const TaskParams = Type.Object({ taskId: Type.String() })
const WaitQuery = Type.Object({
  wait: Type.Optional(
    Type.Integer({
      description: `Answer when the run has ended, or after so many seconds, at most ${LONGEST_WAIT_SECONDS}`,
    }),
  ),
})

/** Contract 004. */
export const backupRoutes =
  ({ tasks, dates }: BackupRouteDeps): Routes =>
  async (app) => {
    async function wait(runId: string, seconds: number | undefined, signal: AbortSignal): Promise<void> {
      if (seconds === undefined || seconds <= 0) return
      try {
        await tasks.ended(runId, Math.min(seconds, LONGEST_WAIT_SECONDS) * 1000, signal)
      } catch (error) {
        // The run was started, whether anybody hears of it or not.
        if (!signal.aborted) throw error
      }
    }

    app.post(
      PATH,
      {
        schema: {
          tags,
          summary: 'Make a task of backup or restore',
          description:
            'Answers the id of the task, which waits until it is executed or its time has come. Below /api/job/backup, too.',
          body: documented(BackupTaskBody),
          response: answers(Type.String()),
        },
        config,
      },
      async ({ body, principal }) => ok(await tasks.create(body, principal.userId)),
    )
    app.post(
      `${PATH}/execute/:taskId`,
      {
        schema: { tags, summary: 'Start a run', params: TaskParams, querystring: WaitQuery, response: nothing },
        config,
      },
      async ({ params, query, principal }, reply) => {
        await wait(await tasks.execute(params.taskId, principal.userId), query.wait, clientGone(reply))
        return ok(null)
      },
    )
    app.get(
      `${PATH}/tasks`,
      {
        schema: {
          tags,
          summary: 'Tasks, the newest first',
          querystring: Type.Object({
            state: Type.Optional(Type.String({ description: STATES.join(', ') })),
            ...PAGE_FIELDS,
          }),
          response: answers(PageData(BackupTaskData)),
        },
        config,
      },
      async ({ query }) =>
        ok(toPage(await tasks.page(stateOf(query.state), pageOf(query)), (view) => toBackupTask(view, dates))),
    )
    app.get(
      `${PATH}/task/:taskId`,
      {
        schema: {
          tags,
          summary: 'A task with what its last run has found out',
          params: TaskParams,
          response: answers(BackupTaskDetail),
        },
        config,
      },
      async ({ params }) => ok(toBackupTaskDetail(await tasks.get(params.taskId), dates)),
    )
    app.get(
      `${PATH}/runs/:taskId`,
      {
        schema: {
          tags,
          summary: 'Runs of a task, the newest first',
          params: TaskParams,
          querystring: Type.Object(PAGE_FIELDS),
          response: answers(PageData(BackupRunData)),
        },
        config,
      },
      async ({ params, query }) =>
        ok(toPage(await tasks.pageRuns(params.taskId, pageOf(query)), (run) => toBackupRun(run, dates))),
    )
    app.post(
      `${PATH}/cancel/:taskId`,
      { schema: { tags, summary: 'End the run that goes on', params: TaskParams, response: nothing }, config },
      async ({ params, principal }) => {
        await tasks.cancel(params.taskId, principal.userId)
        return ok(null)
      },
    )
    app.post(
      `${PATH}/verify`,
      {
        schema: {
          tags,
          summary: 'Check a backup',
          description:
            'Makes a DATA_VERIFY task, starts it and answers its id; what it finds is the report of the task.',
          body: documented(VerifyBody),
          querystring: WaitQuery,
          response: answers(Type.String()),
        },
        config,
      },
      async ({ body, query, principal }, reply) => {
        const { taskId, runId } = await tasks.verify(body, principal.userId)
        await wait(runId, query.wait, clientGone(reply))
        return ok(taskId)
      },
    )
    app.delete(
      `${PATH}/:taskId`,
      {
        schema: {
          tags,
          summary: 'Delete a task with its runs, not with what they made',
          params: TaskParams,
          response: nothing,
        },
        config,
      },
      async ({ params }) => {
        await tasks.delete(params.taskId)
        return ok(null)
      },
    )
  }

/** Other than in replication, an unknown state is 250105 (backup.md 4). */
function stateOf(text: string | undefined): (typeof STATES)[number] | undefined {
  if (text === undefined || text === '') return undefined
  const state = chosen(text, STATES)
  if (state === undefined) throw invalid('state', `it must be one of ${STATES.join(', ')}`)
  return state
}
