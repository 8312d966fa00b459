import { Type } from 'typebox'
import type { Repositories, Repository } from '../artifacts/repositories.ts'
import { AppError } from '../core/errors.ts'
import { pageRequest } from '../core/paging.ts'
import { REPOSITORY_TYPES } from '../core/repository-type.ts'
import type { Dates } from './dates.ts'
import { answers, ok } from './envelope.ts'
import { RepositoryParams } from './node-path.ts'
import { PageData, toPage } from './paging.ts'
import { given, queryChoice } from './query-choice.ts'
import { RepositoryInfo, toRepositoryInfo } from './repository-wire.ts'
import type { Routes } from './route.ts'

export interface RepositoryRouteDeps {
  readonly repositories: Repositories
  readonly dates: Dates
}

const PATH = '/repository/api/repo'
const tags = ['repositories']
const ADMIN = { access: 'ADMIN' } as const
const READ = { access: { repo: 'READ' } } as const
const ANY_USER = { access: 'AUTHENTICATED' } as const

const Configuration = Type.Record(Type.String(), Type.Unknown())
const CreateBody = Type.Object({
  projectId: Type.String(),
  name: Type.String(),
  type: Type.String({ description: REPOSITORY_TYPES.join(', ') }),
  category: Type.Optional(Type.String({ description: 'LOCAL or COMPOSITE, which is the default' })),
  public: Type.Optional(Type.Boolean()),
  description: Type.Optional(Type.String()),
  displayName: Type.Optional(Type.String()),
  configuration: Type.Optional(Configuration),
  quota: Type.Optional(Type.Integer({ description: 'Bytes' })),
  storageCredentialsKey: Type.Optional(Type.String()),
})
const UpdateBody = Type.Object({
  public: Type.Optional(Type.Boolean()),
  description: Type.Optional(Type.String()),
  displayName: Type.Optional(Type.String()),
  configuration: Type.Optional(Configuration),
})
const DeleteQuery = Type.Object({ forced: Type.Optional(Type.Boolean({ default: false })) })
const ProjectParams = Type.Object({ projectId: Type.String() })
const PageParams = Type.Object({ projectId: Type.String(), pageNumber: Type.Integer(), pageSize: Type.Integer() })
const TypedParams = Type.Object({ projectId: Type.String(), repoName: Type.String(), type: Type.String() })
const FilterQuery = Type.Object({
  name: Type.Optional(Type.String({ description: 'Prefix' })),
  type: Type.Optional(Type.String({ description: REPOSITORY_TYPES.join(', ') })),
})

/** core.md 6. */
export const repositoryRoutes =
  ({ repositories, dates }: RepositoryRouteDeps): Routes =>
  async (app) => {
    const info = (repository: Repository) => toRepositoryInfo(repository, dates)
    const filterOf = (project: string, query: { name?: string; type?: string }, admin: boolean) => ({
      project,
      namePrefix: given(query.name),
      type: queryChoice('type', query.type, REPOSITORY_TYPES),
      visibility: admin ? undefined : ('public' as const),
    })

    app.post(
      `${PATH}/create`,
      { schema: { tags, body: CreateBody, response: answers(RepositoryInfo) }, config: ADMIN },
      async ({ body, principal }) => {
        const { projectId, ...wanted } = body
        return ok(info(await repositories.create({ ...wanted, project: projectId }, principal.userId)))
      },
    )
    app.post(
      `${PATH}/update/:projectId/:repoName`,
      { schema: { tags, params: RepositoryParams, body: UpdateBody, response: answers(Type.Null()) }, config: ADMIN },
      async ({ params, body, principal }) => {
        await repositories.update(params.projectId, params.repoName, body, principal.userId)
        return ok(null)
      },
    )
    app.delete(
      `${PATH}/delete/:projectId/:repoName`,
      {
        schema: { tags, params: RepositoryParams, querystring: DeleteQuery, response: answers(Type.Null()) },
        config: ADMIN,
      },
      async ({ params, query, principal }) => {
        const mode = query.forced ? 'with-content' : 'if-empty'
        await repositories.delete(params.projectId, params.repoName, mode, principal.userId)
        return ok(null)
      },
    )
    app.get(
      `${PATH}/info/:projectId/:repoName`,
      { schema: { tags, params: RepositoryParams, response: answers(RepositoryInfo) }, config: READ },
      async ({ params }) => ok(info(await repositories.get(params.projectId, params.repoName))),
    )
    app.get(
      `${PATH}/info/:projectId/:repoName/:type`,
      { schema: { tags, params: TypedParams, response: answers(RepositoryInfo) }, config: READ },
      async ({ params }) => {
        const wanted = queryChoice('type', params.type, REPOSITORY_TYPES)
        const repository = await repositories.get(params.projectId, params.repoName)
        if (wanted !== undefined && wanted !== repository.type) {
          throw new AppError(
            'REPOSITORY_NOT_FOUND',
            `Repository [${params.repoName}] not found with type ${wanted}`,
            {},
          )
        }
        return ok(info(repository))
      },
    )
    app.get(
      `${PATH}/exist/:projectId/:repoName`,
      { schema: { tags, params: RepositoryParams, response: answers(Type.Boolean()) }, config: READ },
      async ({ params }) => ok((await repositories.find(params.projectId, params.repoName)) !== undefined),
    )
    app.get(
      `${PATH}/page/:projectId/:pageNumber/:pageSize`,
      {
        schema: { tags, params: PageParams, querystring: FilterQuery, response: answers(PageData(RepositoryInfo)) },
        config: ANY_USER,
      },
      async ({ params, query, principal }) => {
        const filter = filterOf(params.projectId, query, principal.admin)
        return ok(toPage(await repositories.page(filter, pageRequest(params.pageNumber, params.pageSize)), info))
      },
    )
    app.get(
      `${PATH}/list/:projectId`,
      {
        schema: {
          tags,
          params: ProjectParams,
          querystring: FilterQuery,
          response: answers(Type.Array(RepositoryInfo)),
        },
        config: ANY_USER,
      },
      async ({ params, query, principal }) =>
        ok((await repositories.list(filterOf(params.projectId, query, principal.admin))).map(info)),
    )
  }
