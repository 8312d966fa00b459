import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { CatalogRequest, ImageCatalog } from '../../artifacts/images/image-catalog.ts'
import type { Repositories } from '../../artifacts/repositories/repositories.ts'
import type { Principal } from '../../auth/principal.ts'
import { invalid } from '../../core/errors.ts'
import type { App } from '../route.ts'
import { imageRepository } from './image-routes.ts'

export interface CatalogRouteDeps {
  readonly catalog: ImageCatalog
  readonly repositories: Pick<Repositories, 'get'>
}

const DEFAULT_ENTRIES = 100
const MAX_ENTRIES = 1000
const tags = ['images']
const CatalogQuery = Type.Object({
  n: Type.Optional(Type.String({ description: `How many at most; ${DEFAULT_ENTRIES}, up to ${MAX_ENTRIES}` })),
  last: Type.Optional(Type.String({ description: 'Those after this one' })),
})
const RepositoryParams = Type.Object({ projectId: Type.String(), repoName: Type.String() })
const response = { 200: Type.Object({ repositories: Type.Array(Type.String()) }) }
type Asked = FastifyRequest<{ Querystring: { n?: string; last?: string } }>

/** Names of images as clients write them after the host: `{project}/{repo}/{image}`. */
export async function mountCatalog(app: App, { catalog, repositories }: CatalogRouteDeps): Promise<void> {
  async function answer(request: Asked, reply: FastifyReply, only: CatalogRequest['only']) {
    const { n, last } = request.query
    const principal = asUser(request.principal)
    const limit = limitOf(n)
    const { names, more } =
      limit === 0 ? { names: [], more: false } : await catalog.list(principal, { only, last, limit })
    if (more) {
      const next = new URLSearchParams({ n: String(limit), last: names.at(-1)! })
      reply.header('link', `<${request.url.split('?', 1)[0]}?${next}>; rel="next"`)
    }
    return { repositories: names }
  }
  app.get(
    '/v2/_catalog',
    {
      schema: { tags, summary: 'Images that the caller may pull', querystring: CatalogQuery, response },
      config: { access: 'CATALOG' },
    },
    (request, reply) => answer(request, reply, undefined),
  )
  app.get(
    '/:projectId/:repoName/v2/_catalog',
    {
      schema: {
        tags,
        summary: 'Images of one repository that the caller may pull',
        params: RepositoryParams,
        querystring: CatalogQuery,
        response,
      },
      config: { access: 'CATALOG' },
    },
    async (request, reply) => {
      const { projectId, repoName } = request.params
      // To all others it makes no difference whether it is absent or not theirs to see.
      if (request.principal.admin) await imageRepository(repositories, projectId, repoName)
      return answer(request, reply, { project: projectId, repo: repoName })
    },
  )
}

/** A token for the catalog covers nothing else: what its user may pull is what it shows. */
const asUser = (principal: Principal): Principal =>
  principal.appId === undefined ? { ...principal, covers: undefined } : principal

/** @throws AppError PARAMETER_INVALID. */
function limitOf(text: string | undefined): number {
  if (text === undefined || text === '') return DEFAULT_ENTRIES
  if (!/^\d{1,9}$/.test(text)) throw invalid('n', 'a whole number from 0 on')
  return Math.min(Number(text), MAX_ENTRIES)
}
