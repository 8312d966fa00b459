import { type Static, Type } from 'typebox'
import { CONFLICT_STRATEGIES, type RestorePoint } from '../../artifacts/trees/trees.ts'
import { invalid } from '../../core/errors.ts'
import { clientGone } from '../client-gone.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { given, queryChoice } from '../query-choice.ts'
import type { Routes } from '../route.ts'
import { NodeParams, nodePathOf } from './node-path.ts'
import type { TreeRouteDeps } from './tree-routes.ts'
import { DeletedPointData, toDeletedPoint } from './tree-wire.ts'

const PATH = '/repository/api/node'
const tags = ['nodes']

const fields = {
  id: Type.Optional(Type.Union([Type.String(), Type.Null()], { description: 'Of `list-deleted`' })),
  deletedTime: Type.Optional(
    Type.Union([Type.String(), Type.Integer(), Type.Null()], {
      description: 'Of `list-deleted`, or of a deletion’s answer',
    }),
  ),
  conflictStrategy: Type.Optional(
    Type.Union([Type.String(), Type.Null()], { description: 'SKIP (default), OVERWRITE or FAILED' }),
  ),
}
/** The same in the query or in a body; the body counts first. */
const RestoreFields = Type.Object(fields)
const RestoreBody = Type.Union([RestoreFields, Type.Null()])
const RestoredData = Type.Object({
  fullPath: Type.String(),
  restoreCount: Type.Integer({ description: 'Files and folders' }),
  skipCount: Type.Integer({ description: 'Left as they are' }),
  conflictCount: Type.Integer({ description: 'Had something in the way' }),
})

/** core.md 7.3: what was deleted or overwritten comes back, until it is purged. */
export const restoreRoutes =
  ({ repositories, trees, dates }: TreeRouteDeps): Routes =>
  async (app) => {
    app.get(
      `${PATH}/list-deleted/:projectId/:repoName/*`,
      {
        schema: {
          ...{ tags, summary: 'What was deleted or overwritten at a path, the latest first' },
          ...{ params: NodeParams, response: answers(Type.Array(DeletedPointData)) },
        },
        config: { access: { repo: 'READ' } },
      },
      async ({ params }) => {
        const path = nodePathOf(params)
        const repository = await repositories.get(params.projectId, params.repoName)
        return ok((await trees.listDeleted(repository, path)).map((node) => toDeletedPoint(node, dates)))
      },
    )

    app.post(
      `${PATH}/restore/:projectId/:repoName/*`,
      {
        schema: {
          ...{ tags, summary: 'Bring back what one deletion took' },
          ...{ params: NodeParams, querystring: RestoreFields, body: RestoreBody, response: answers(RestoredData) },
        },
        config: { access: { repo: 'WRITE' } },
      },
      async ({ params, query, body, principal }, reply) => {
        const path = nodePathOf(params)
        const wanted = { ...query, ...definedOf(body ?? {}) }
        const point = pointOf(wanted, dates)
        const onConflict =
          queryChoice('conflictStrategy', wanted.conflictStrategy ?? undefined, CONFLICT_STRATEGIES) ?? 'SKIP'
        const repository = await repositories.get(params.projectId, params.repoName)
        const by = principal.userId
        const done = await trees.restore(repository, path, point, onConflict, by, clientGone(reply))
        return ok({
          fullPath: path,
          restoreCount: done.restored,
          skipCount: done.skipped,
          conflictCount: done.conflicts,
        })
      },
    )
  }

type Wanted = Static<typeof RestoreFields>

const definedOf = (body: Wanted): Wanted =>
  Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null && value !== undefined))

/** @throws AppError PARAMETER_INVALID. */
function pointOf({ id, deletedTime }: Wanted, dates: Dates): RestorePoint {
  const text = given(id ?? undefined)
  if (text !== undefined && !/^\d{1,15}$/.test(text)) throw invalid('id', 'it is none of list-deleted')
  const time = deletedTime === '' ? undefined : (deletedTime ?? undefined)
  return {
    id: text === undefined ? undefined : Number(text),
    deletedAt: time === undefined ? undefined : dates.parse('deletedTime', time),
  }
}
