import { Type } from 'typebox'
import type { NodeExpiry } from '../../artifacts/nodes/node-expiry.ts'
import type { Cleanup } from '../../artifacts/repositories/cleanup.ts'
import type { Repositories } from '../../artifacts/repositories/repositories.ts'
import { clientGone } from '../client-gone.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { NodeParams, nodePathOf, RepositoryParams } from '../nodes/node-path.ts'
import type { Routes } from '../route.ts'

export interface LifetimeRouteDeps {
  readonly repositories: Repositories
  readonly expiry: NodeExpiry
  readonly cleanup: Pick<Cleanup, 'clean'>
  readonly dates: Dates
}

const PATH = '/repository/api/node'
const tags = ['nodes']

const ExpiryBody = Type.Object({ expires: Type.Integer({ description: 'Days from now; 0: never' }) })
const CleanQuery = Type.Object({ date: Type.String({ description: 'E.g. 2021-05-12T12:19:08.813' }) })
const CleanedData = Type.Object({
  deletedNumber: Type.Integer({ description: 'Files' }),
  deletedSize: Type.Integer({ description: 'Bytes' }),
  deletedTime: Type.String(),
})

/** core.md 7.3: how long files live. */
export const lifetimeRoutes =
  ({ repositories, expiry, cleanup, dates }: LifetimeRouteDeps): Routes =>
  async (app) => {
    app.post(
      `${PATH}/update/:projectId/:repoName/*`,
      {
        schema: {
          ...{ tags, summary: 'Set when a file expires' },
          params: NodeParams,
          body: ExpiryBody,
          response: answers(Type.Null()),
        },
        config: { access: { repo: 'UPDATE' } },
      },
      async ({ params, body, principal }) => {
        const path = nodePathOf(params)
        const repository = await repositories.get(params.projectId, params.repoName)
        await expiry.setDays(repository, path, body.expires, principal.userId)
        return ok(null)
      },
    )
    app.delete(
      `${PATH}/clean/:projectId/:repoName`,
      {
        schema: {
          ...{ tags, summary: 'Delete files last modified before a date' },
          params: RepositoryParams,
          querystring: CleanQuery,
          response: answers(CleanedData),
        },
        config: { access: { repo: 'DELETE' } },
      },
      async ({ params, query, principal }, reply) => {
        const before = dates.parse('date', query.date)
        const repository = await repositories.get(params.projectId, params.repoName)
        const gone = await cleanup.clean(repository, before, principal.userId, clientGone(reply))
        return ok({ deletedNumber: gone.files, deletedSize: gone.bytes, deletedTime: dates.format(gone.at) })
      },
    )
  }
