import { Type } from 'typebox'
import type { Imports } from '../../tasks/imports/imports.ts'
import { clientGone } from '../client-gone.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { documented } from '../request-validation.ts'
import type { Routes } from '../route.ts'
import { RecordInfo, toRecordInfo } from './record-wire.ts'
import { nullable, TaskSettingBody } from './task-schemas.ts'

export interface ImportRouteDeps {
  readonly imports: Imports
  readonly dates: Dates
}

const PATH = '/replication/api/remote/import'
const REPOSITORY = '/:projectId/:repoName'
const tags = ['import']
const writing = { access: { repo: 'WRITE' } } as const
const reading = { access: { repo: 'READ' } } as const
const nothing = answers(Type.Null())

const RepositoryParams = Type.Object({ projectId: Type.String(), repoName: Type.String() })
const NameQuery = Type.Object({ name: Type.String() })
const text = Type.String()
const orNone = Type.Optional(nullable(text))
/** For the OpenAPI document; bodies are checked by `tasks/imports/import-request.ts`. */
const ImportCreate = Type.Object(
  {
    name: text,
    registry: Type.String({ examples: ['registry.example:5000/team'] }),
    username: orNone,
    password: orNone,
    certificate: Type.Optional(nullable(Type.String({ description: 'PEM; trusted for this registry only' }))),
    ping: Type.Optional(Type.Boolean({ default: true, description: 'Connect before storing' })),
    packageName: Type.Optional(
      nullable(Type.String({ description: 'Without scheme; none: all that the registry tells of' })),
    ),
    versions: Type.Optional(nullable(Type.Array(text, { description: 'None: all' }))),
    setting: Type.Optional(TaskSettingBody),
    description: orNone,
  },
  { examples: [{ name: 'nginx', registry: 'registry.example:5000/team', packageName: 'nginx', versions: [] }] },
)
const Created = Type.Object({ taskKey: Type.String({ description: 'Of its records: /replication/api/task/record/…' }) })

/** Versions of registries of others come to a repository, to stay; by whoever may write it. */
export const importRoutes =
  ({ imports, dates }: ImportRouteDeps): Routes =>
  async (app) => {
    app.post(
      `${PATH}/create${REPOSITORY}`,
      {
        schema: {
          ...{ tags, summary: 'Prepare an import from a registry' },
          params: RepositoryParams,
          body: documented(ImportCreate),
          response: answers(Created),
        },
        config: writing,
      },
      async ({ params, body, principal }, reply) => {
        const { projectId, repoName } = params
        const taskKey = await imports.create(projectId, repoName, body, principal.userId, clientGone(reply))
        return ok({ taskKey })
      },
    )
    app.post(
      `${PATH}/execute${REPOSITORY}`,
      {
        schema: {
          ...{ tags, summary: 'Start a prepared import' },
          params: RepositoryParams,
          querystring: NameQuery,
          response: nothing,
        },
        config: writing,
      },
      async ({ params, query }) => {
        await imports.execute(params.projectId, params.repoName, query.name)
        return ok(null)
      },
    )
    app.get(
      `${PATH}/status${REPOSITORY}`,
      {
        schema: {
          ...{ tags, summary: 'The newest run of an import' },
          params: RepositoryParams,
          querystring: NameQuery,
          response: answers(Type.Union([RecordInfo, Type.Null()])),
        },
        config: reading,
      },
      async ({ params, query }) => {
        const record = await imports.status(params.projectId, params.repoName, query.name)
        return ok(record === undefined ? null : toRecordInfo(record, dates))
      },
    )
    app.delete(
      `${PATH}/delete${REPOSITORY}`,
      {
        schema: {
          ...{ tags, summary: 'Delete an import; what it brought stays' },
          params: RepositoryParams,
          querystring: NameQuery,
          response: nothing,
        },
        config: writing,
      },
      async ({ params, query }) => {
        await imports.delete(params.projectId, params.repoName, query.name)
        return ok(null)
      },
    )
  }
