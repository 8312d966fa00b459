import { Type } from 'typebox'
import type { Quotas } from '../../artifacts/repositories/quotas.ts'
import type { Repositories } from '../../artifacts/repositories/repositories.ts'
import { invalid } from '../../core/errors.ts'
import { answers, ok } from '../envelope.ts'
import { RepositoryParams } from '../nodes/node-path.ts'
import type { Routes } from '../route.ts'

export interface QuotaRouteDeps {
  readonly repositories: Repositories
  readonly quotas: Quotas
}

const PATH = '/repository/api/repo/quota/:projectId/:repoName'
const tags = ['repositories']

const QuotaData = Type.Object({
  quota: Type.Union([Type.Integer({ description: 'Bytes' }), Type.Null({ description: 'No limit' })]),
  used: Type.Integer({ description: 'Bytes' }),
})
const QuotaQuery = Type.Object({ quota: Type.String({ description: 'Bytes; empty: no limit' }) })

/** core.md 6. */
export const quotaRoutes =
  ({ repositories, quotas }: QuotaRouteDeps): Routes =>
  async (app) => {
    app.get(
      PATH,
      {
        schema: { tags, summary: 'Quota and bytes in use', params: RepositoryParams, response: answers(QuotaData) },
        config: { access: { repo: 'VIEW', extent: 'part' } },
      },
      async ({ params }) => ok(await quotas.usage(await repositories.get(params.projectId, params.repoName))),
    )
    app.post(
      PATH,
      {
        schema: {
          ...{ tags, summary: 'Set or lift the quota' },
          params: RepositoryParams,
          querystring: QuotaQuery,
          response: answers(Type.Null()),
        },
        // A limit is for those who run the repository, not by them.
        config: { access: { project: 'MANAGE' } },
      },
      async ({ params, query, principal }) => {
        const repository = await repositories.get(params.projectId, params.repoName)
        await quotas.set(repository, parseQuota(query.quota), principal.userId)
        return ok(null)
      },
    )
  }

function parseQuota(text: string): number | null {
  const digits = text.trim()
  if (digits === '') return null
  if (!/^\d{1,16}$/.test(digits)) throw invalid('quota', 'it must be a whole number of bytes, or empty for no limit')
  return Number(digits)
}
