import { Type } from 'typebox'
import type { Quotas } from '../../artifacts/repositories/quotas.ts'
import type { Repositories, Repository } from '../../artifacts/repositories/repositories.ts'
import { decide, WHOLE } from '../../auth/access.ts'
import type { Principal } from '../../auth/principal.ts'
import type { Rights } from '../../auth/rights.ts'
import { AppError } from '../../core/errors.ts'
import { pageRequest } from '../../core/paging.ts'
import { REPOSITORY_TYPES } from '../../core/repository-type.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { authoriseMembers } from '../files/virtual-members.ts'
import { RepositoryParams } from '../nodes/node-path.ts'
import { PageData, toPage } from '../paging.ts'
import { given, queryChoice } from '../query-choice.ts'
import type { Routes } from '../route.ts'
import { RepositoryInfo, toRepositoryInfo, withoutOrigin } from './repository-wire.ts'

export interface RepositoryRouteDeps {
  readonly repositories: Repositories
  readonly quotas: Quotas
  readonly rights: Pick<Rights, 'visibleRepositories' | 'grantsOf'>
  readonly dates: Dates
}

const PATH = '/repository/api/repo'
const tags = ['repositories']
const MANAGE = { access: { repo: 'MANAGE' } } as const
/** Whoever may see anything in it. */
const VIEW = { access: { repo: 'VIEW', extent: 'part' } } as const
const ANY_USER = { access: 'AUTHENTICATED' } as const

const Configuration = Type.Record(Type.String(), Type.Unknown())
const DISPLAY = {
  displayName: Type.Optional(Type.String()),
  display: Type.Optional(Type.Boolean()),
  owner: Type.Optional(Type.String()),
  visibility: Type.Optional(Type.String()),
}
const CreateBody = Type.Object({
  projectId: Type.String(),
  name: Type.String(),
  type: Type.String({ description: REPOSITORY_TYPES.join(', ') }),
  category: Type.Optional(Type.String({ description: 'LOCAL, REMOTE, VIRTUAL or COMPOSITE, which is the default' })),
  public: Type.Optional(Type.Boolean()),
  description: Type.Optional(Type.String()),
  ...DISPLAY,
  configuration: Type.Optional(Configuration),
  quota: Type.Optional(Type.Integer({ description: 'Bytes' })),
  storageCredentialsKey: Type.Optional(Type.String()),
})
const UpdateBody = Type.Object({
  public: Type.Optional(Type.Boolean()),
  description: Type.Optional(Type.String()),
  ...DISPLAY,
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
  ({ repositories, quotas, rights, dates }: RepositoryRouteDeps): Routes =>
  async (app) => {
    /** What a repository is configured with, addresses and names of others among it, is told to those who manage it. */
    const managedBy = async (principal: Principal) => {
      const grants = await rights.grantsOf(principal)
      return ({ project: projectId, name: repoName, ...repository }: Repository): boolean => {
        const resource = { kind: 'repository', projectId, repoName, ...repository, ...WHOLE } as const
        return decide(principal, 'MANAGE', resource, grants) === 'allow'
      }
    }
    const infos = async (some: readonly Repository[], mayManage: (repository: Repository) => boolean) => {
      const used = await quotas.usedBytes(some)
      return some.map((repository) => {
        const info = toRepositoryInfo(repository, used.get(repository.id) ?? 0, dates)
        return mayManage(repository) ? info : withoutOrigin(info)
      })
    }
    const info = async (repository: Repository, principal: Principal) =>
      (await infos([repository], await managedBy(principal)))[0]!
    const filterOf = async (project: string, query: { name?: string; type?: string }, principal: Principal) => ({
      project,
      namePrefix: given(query.name),
      type: queryChoice('type', query.type, REPOSITORY_TYPES),
      visibility: await rights.visibleRepositories(principal, project),
    })

    app.post(
      `${PATH}/create`,
      {
        schema: { tags, summary: 'Make a repository', body: CreateBody, response: answers(RepositoryInfo) },
        config: ANY_USER,
      },
      async (request) => {
        const { projectId, ...wanted } = request.body
        await request.authoriseProject('WRITE', projectId)
        await authoriseMembers(request, projectId, wanted.configuration)
        const { principal } = request
        const made = await repositories.create({ ...wanted, project: projectId }, principal.userId)
        return ok((await infos([made], () => true))[0]!)
      },
    )
    app.post(
      `${PATH}/update/:projectId/:repoName`,
      {
        schema: {
          tags,
          summary: 'Change a repository',
          params: RepositoryParams,
          body: UpdateBody,
          response: answers(Type.Null()),
        },
        config: MANAGE,
      },
      async (request) => {
        const { params, body, principal } = request
        await authoriseMembers(request, params.projectId, body.configuration)
        await repositories.update(params.projectId, params.repoName, body, principal.userId)
        return ok(null)
      },
    )
    app.delete(
      `${PATH}/delete/:projectId/:repoName`,
      {
        schema: {
          tags,
          summary: 'Delete a repository',
          params: RepositoryParams,
          querystring: DeleteQuery,
          response: answers(Type.Null()),
        },
        config: MANAGE,
      },
      async ({ params, query, principal }) => {
        const mode = query.forced ? 'with-content' : 'if-empty'
        await repositories.delete(params.projectId, params.repoName, mode, principal.userId)
        return ok(null)
      },
    )
    app.get(
      `${PATH}/info/:projectId/:repoName`,
      {
        schema: { tags, summary: 'A repository', params: RepositoryParams, response: answers(RepositoryInfo) },
        config: VIEW,
      },
      async ({ params, principal }) =>
        ok(await info(await repositories.get(params.projectId, params.repoName), principal)),
    )
    app.get(
      `${PATH}/info/:projectId/:repoName/:type`,
      {
        schema: { tags, summary: 'A repository of that type', params: TypedParams, response: answers(RepositoryInfo) },
        config: VIEW,
      },
      async ({ params, principal }) => {
        const wanted = queryChoice('type', params.type, REPOSITORY_TYPES)
        const repository = await repositories.get(params.projectId, params.repoName)
        if (wanted !== undefined && wanted !== repository.type) {
          throw new AppError(
            'REPOSITORY_NOT_FOUND',
            `Repository [${params.repoName}] not found with type ${wanted}`,
            {},
          )
        }
        return ok(await info(repository, principal))
      },
    )
    app.get(
      `${PATH}/exist/:projectId/:repoName`,
      {
        schema: {
          tags,
          summary: 'Whether there is such a repository',
          params: RepositoryParams,
          response: answers(Type.Boolean()),
        },
        config: VIEW,
      },
      async ({ params }) => ok((await repositories.find(params.projectId, params.repoName)) !== undefined),
    )
    app.get(
      `${PATH}/page/:projectId/:pageNumber/:pageSize`,
      {
        schema: {
          tags,
          summary: 'Repositories of a project, page by page',
          params: PageParams,
          querystring: FilterQuery,
          response: answers(PageData(RepositoryInfo)),
        },
        config: ANY_USER,
      },
      async ({ params, query, principal }) => {
        const filter = await filterOf(params.projectId, query, principal)
        const page = await repositories.page(filter, pageRequest(params.pageNumber, params.pageSize))
        const shown = { ...page, records: await infos(page.records, await managedBy(principal)) }
        return ok(toPage(shown, (record) => record))
      },
    )
    app.get(
      `${PATH}/list/:projectId`,
      {
        schema: {
          tags,
          summary: 'Repositories of a project',
          params: ProjectParams,
          querystring: FilterQuery,
          response: answers(Type.Array(RepositoryInfo)),
        },
        config: ANY_USER,
      },
      async ({ params, query, principal }) => {
        const found = await repositories.list(await filterOf(params.projectId, query, principal))
        return ok(await infos(found, await managedBy(principal)))
      },
    )
  }
