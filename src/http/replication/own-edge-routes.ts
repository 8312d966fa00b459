import { Type } from 'typebox'
import type { EdgeLink } from '../../clusters/edges/edge-link.ts'
import { invalid } from '../../core/errors.ts'
import { clientGone } from '../client-gone.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import type { Routes } from '../route.ts'
import { nullable } from './task-schemas.ts'

export interface OwnEdgeRouteDeps {
  /** Undefined: this server is no edge. */
  readonly link: EdgeLink | undefined
  readonly dates: Dates
}

const PATH = '/replication/api/edge'
const config = { access: 'ADMIN' } as const
const tags = ['edge']

const Pulled = Type.Object({
  key: Type.String(),
  name: Type.String(),
  state: Type.Enum(['STARTED', 'RUNNING', 'WAITING']),
  recordId: nullable(Type.String({ description: 'At the centre' })),
})
const Status = Type.Object({
  centreUrl: Type.String(),
  name: Type.String({ description: 'Of this cluster, at the centre' }),
  lastReportTime: nullable(Type.String()),
  lastPullTime: nullable(Type.String()),
  errorReason: nullable(Type.String()),
  tunnels: Type.Object({ open: Type.Integer(), waiting: Type.Integer() }),
})

/** On an edge: how it stands with its centre, and pulling at once. */
export const ownEdgeRoutes =
  ({ link, dates }: OwnEdgeRouteDeps): Routes =>
  async (app) => {
    const own = () => {
      if (link !== undefined) return link
      throw invalid('edge.centreUrl', 'this server is no edge; set it in the configuration of one, or call an edge')
    }
    app.get(
      `${PATH}/status`,
      { schema: { tags, summary: 'How this edge stands with its centre', response: answers(Status) }, config },
      async () => {
        const { centreUrl, name, reportedAt, pulledAt, trouble, tunnels } = own().status()
        const lastReportTime = dates.format(reportedAt)
        return ok({
          centreUrl,
          name,
          lastReportTime,
          lastPullTime: dates.format(pulledAt),
          errorReason: trouble,
          tunnels,
        })
      },
    )
    app.post(
      `${PATH}/pull`,
      {
        schema: {
          tags,
          summary: 'Pull what waits at the centre now',
          querystring: Type.Object({
            key: Type.Optional(
              Type.String({ description: 'Of one task; it is pulled even after it failed too often' }),
            ),
          }),
          response: answers(Type.Array(Pulled)),
        },
        config,
      },
      async ({ query }, reply) => ok(await own().pull(query.key, clientGone(reply))),
    )
  }
