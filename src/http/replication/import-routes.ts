import { Type } from 'typebox'
import type { Imports } from '../../tasks/imports/imports.ts'
import { clientGone } from '../client-gone.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { documented } from '../request-validation.ts'
import type { Routes } from '../route.ts'
import { mountRunOnce, REPOSITORY, RepositoryParams, WRITING } from './run-once-routes.ts'
import { nullable, TaskSettingBody } from './task-schemas.ts'

export interface ImportRouteDeps {
  readonly imports: Imports
  readonly dates: Dates
}

const PATH = '/replication/api/remote/import'
const tags = ['import'] as const
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
        config: WRITING,
      },
      async ({ params, body, principal }, reply) => {
        const { projectId, repoName } = params
        const taskKey = await imports.create(projectId, repoName, body, principal.userId, clientGone(reply))
        return ok({ taskKey })
      },
    )
    mountRunOnce(
      app,
      {
        tags,
        execute: [`${PATH}/execute`, 'Start a prepared import'],
        status: [`${PATH}/status`, 'The newest run of an import'],
        delete: [`${PATH}/delete`, 'Delete an import; what it brought stays'],
        deleting: { repo: 'WRITE' },
      },
      imports,
      dates,
    )
  }
