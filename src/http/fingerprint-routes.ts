import { Type } from 'typebox'
import type { Repositories } from '../artifacts/repositories/repositories.ts'
import type { CheckedSlice, SumsState } from '../metadata/fingerprints/checking.ts'
import { answers, ok } from './envelope.ts'
import { RepositoryParams } from './nodes/node-path.ts'
import type { Routes } from './route.ts'

export interface FingerprintRouteDeps {
  readonly repositories: Pick<Repositories, 'get'>
  /** All live ones, `project/name`. */
  readonly names: () => Promise<readonly string[]>
  readonly state: (repoId: number) => Promise<SumsState>
  readonly check: (repoId: number, from: string) => Promise<CheckedSlice>
  readonly rebuild: (repoId: number) => Promise<void>
}

const PATH = '/repository/api/fingerprints'
const tags = ['storage']
const ADMIN = { access: 'ADMIN' } as const

const Count = Type.Integer()
const OptionalPath = Type.Union([Type.String(), Type.Null()])
const StateData = Type.Object({
  rows: Count,
  buckets: Count,
  complete: Type.Boolean({ description: 'False: some sums are still being built' }),
})
const SliceData = Type.Object({
  rows: Type.Integer({ description: 'Files, versions and packages that were read' }),
  wrong: Type.Array(
    Type.Object({
      from: Type.String(),
      to: OptionalPath,
      keptRows: Type.Integer({ description: 'What the sums say' }),
      foundRows: Type.Integer({ description: 'What is there; equal numbers: other contents' }),
    }),
  ),
  next: Type.Union([Type.String({ description: 'The `from` of the next call' }), Type.Null()]),
})

/** What administrators do about the sums that replication compares (docs/design/fingerprints.md; the calls are ours). */
export const fingerprintRoutes =
  ({ repositories, names, state, check, rebuild }: FingerprintRouteDeps): Routes =>
  async (app) => {
    const idOf = async ({ projectId, repoName }: { projectId: string; repoName: string }) =>
      (await repositories.get(projectId, repoName)).id

    app.get(
      `${PATH}/list`,
      {
        schema: {
          ...{ tags, summary: 'Repositories that have sums, as project/repository' },
          response: answers(Type.Array(Type.String())),
        },
        config: ADMIN,
      },
      async () => ok([...(await names())]),
    )

    app.get(
      `${PATH}/info/:projectId/:repoName`,
      {
        schema: {
          ...{ tags, summary: 'How much of a repository its sums hold' },
          params: RepositoryParams,
          response: answers(StateData),
        },
        config: ADMIN,
      },
      async ({ params }) => ok(await state(await idOf(params))),
    )

    app.post(
      `${PATH}/check/:projectId/:repoName`,
      {
        schema: {
          ...{ tags, summary: 'Compare some of the sums with what is there' },
          params: RepositoryParams,
          querystring: Type.Object({ from: Type.Optional(Type.String({ description: 'Of the last answer' })) }),
          response: answers(SliceData),
        },
        config: ADMIN,
      },
      async ({ params, query }) => {
        const { rows, wrong, next } = await check(await idOf(params), query.from ?? '')
        const ranges = wrong.map(({ range, kept, found }) => {
          return { from: range.lo, to: range.hi, keptRows: kept.rows, foundRows: found.rows }
        })
        return ok({ rows, wrong: ranges, next })
      },
    )

    app.post(
      `${PATH}/rebuild/:projectId/:repoName`,
      {
        schema: {
          ...{ tags, summary: 'Have all sums of a repository built anew' },
          params: RepositoryParams,
          response: answers(Type.Null()),
        },
        config: ADMIN,
      },
      async ({ params }) => {
        await rebuild(await idOf(params))
        return ok(null)
      },
    )
  }
