import { Type } from 'typebox'
import type { ExecutionRecord } from '../../tasks/record.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import type { App, RepositoryAccess } from '../route.ts'
import { RecordInfo, toRecordInfo } from './record-wire.ts'

export const REPOSITORY = '/:projectId/:repoName'
export const RepositoryParams = Type.Object({ projectId: Type.String(), repoName: Type.String() })
export const NOTHING = answers(Type.Null())
export const WRITING = { access: { repo: 'WRITE' } } as const
export const READING = { access: { repo: 'READ' } } as const
const NameQuery = Type.Object({ name: Type.String() })

/** What runs once, when it is told to: named by repository and name. */
export interface RunOnceCalls {
  execute(project: string, repo: string, name: string): Promise<void>
  /** Of the newest run; undefined: there was none. */
  status(project: string, repo: string, name: string): Promise<ExecutionRecord | undefined>
  delete(project: string, repo: string, name: string): Promise<void>
}
export interface RunOnceWords {
  readonly tags: readonly [string]
  /** URLs before `/{projectId}/{repoName}?name=`, and what each does. */
  readonly execute: readonly [path: string, summary: string]
  readonly status: readonly [path: string, summary: string]
  readonly delete: readonly [path: string, summary: string]
  readonly deleting: RepositoryAccess
}

/** Start, newest run and end of what runs once (contract 001). */
export function mountRunOnce(
  app: App,
  { tags, deleting, ...words }: RunOnceWords,
  calls: RunOnceCalls,
  dates: Dates,
): void {
  const about = ([, summary]: readonly [string, string]) => ({
    ...{ tags, summary },
    ...{ params: RepositoryParams, querystring: NameQuery },
  })
  app.post(
    `${words.execute[0]}${REPOSITORY}`,
    { schema: { ...about(words.execute), response: NOTHING }, config: WRITING },
    async ({ params, query }) => {
      await calls.execute(params.projectId, params.repoName, query.name)
      return ok(null)
    },
  )
  app.get(
    `${words.status[0]}${REPOSITORY}`,
    {
      schema: { ...about(words.status), response: answers(Type.Union([RecordInfo, Type.Null()])) },
      config: READING,
    },
    async ({ params, query }) => {
      const record = await calls.status(params.projectId, params.repoName, query.name)
      return ok(record === undefined ? null : toRecordInfo(record, dates))
    },
  )
  app.delete(
    `${words.delete[0]}${REPOSITORY}`,
    { schema: { ...about(words.delete), response: NOTHING }, config: { access: deleting } },
    async ({ params, query }) => {
      await calls.delete(params.projectId, params.repoName, query.name)
      return ok(null)
    },
  )
}
