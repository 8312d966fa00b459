import { Type } from 'typebox'
import { CLUSTER_TYPES } from '../../clusters/cluster.ts'
import type { Clusters } from '../../clusters/clusters.ts'
import { AppError } from '../../core/errors.ts'
import { fieldsOf } from '../../core/request-fields.ts'
import { clientGone } from '../client-gone.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { readGetBody } from '../get-body.ts'
import { PAGE_FIELDS, PageData, pageOf, toPage } from '../paging.ts'
import { given, queryChoice } from '../query-choice.ts'
import { documented } from '../request-validation.ts'
import type { Routes } from '../route.ts'
import { ClusterCreate, ClusterInfo, ClusterUpdate, toClusterInfo } from './cluster-wire.ts'

export interface ClusterRouteDeps {
  readonly clusters: Clusters
  readonly dates: Dates
}

const PATH = '/replication/api/cluster'
const config = { access: 'ADMIN' } as const
const tags = ['clusters']

const nothing = answers(Type.Null())
const maybeCluster = answers(Type.Union([ClusterInfo, Type.Null()]))
const IdParams = Type.Object({ id: Type.String() })
const NameQuery = Type.Object({ name: Type.String({ minLength: 1 }) })
const FILTER_FIELDS = {
  name: Type.Optional(Type.String({ description: 'Prefix' })),
  type: Type.Optional(Type.String({ description: CLUSTER_TYPES.join(', ') })),
}

/** Registry of other clusters (replication.md 1.5). */
export const clusterRoutes =
  ({ clusters, dates }: ClusterRouteDeps): Routes =>
  async (app) => {
    const info = (cluster: Parameters<typeof toClusterInfo>[0]) => toClusterInfo(cluster, dates)
    const filterOf = ({ name, type }: { name?: string; type?: string }) => ({
      name: given(name),
      type: queryChoice('type', type, CLUSTER_TYPES),
    })

    app.post(
      `${PATH}/create`,
      {
        schema: { tags, summary: 'Register another cluster', body: documented(ClusterCreate), response: nothing },
        config,
      },
      async ({ body, principal }, reply) => {
        await clusters.create(body, principal.userId, clientGone(reply))
        return ok(null)
      },
    )
    app.post(
      `${PATH}/update`,
      {
        schema: { tags, summary: 'Change a cluster', body: documented(ClusterUpdate), response: answers(ClusterInfo) },
        config,
      },
      async ({ body, principal }, reply) => ok(info(await clusters.update(body, principal.userId, clientGone(reply)))),
    )

    const connect = async (query: { name?: string }, body: unknown, signal: AbortSignal) => {
      const name = given(query.name) ?? fieldsOf(body ?? {}).requiredText('name')
      await clusters.tryConnect(name, signal)
      return ok(null)
    }
    const OptionalName = Type.Object({ name: Type.Optional(Type.String()) })
    app.get(
      `${PATH}/tryConnect`,
      { schema: { tags, summary: 'Try to reach a cluster', querystring: OptionalName, response: nothing }, config },
      async (request, reply) => connect(request.query, await readGetBody(request), clientGone(reply)),
    )
    app.post(
      `${PATH}/tryConnect`,
      {
        schema: {
          tags,
          summary: 'Try to reach a cluster',
          querystring: OptionalName,
          body: documented(OptionalName),
          response: nothing,
        },
        config,
      },
      async ({ query, body }, reply) => connect(query, body, clientGone(reply)),
    )

    app.delete(
      `${PATH}/delete/:id`,
      { schema: { tags, summary: 'Remove a cluster', params: IdParams, response: nothing }, config },
      async ({ params }) => {
        await clusters.delete(params.id)
        return ok(null)
      },
    )
    app.get(
      `${PATH}/exist`,
      {
        schema: {
          tags,
          summary: 'Whether a cluster of that name is registered',
          querystring: NameQuery,
          response: answers(Type.Boolean()),
        },
        config,
      },
      async ({ query }) => ok(await clusters.exists(query.name)),
    )
    app.get(
      `${PATH}/info`,
      { schema: { tags, summary: 'A cluster by its name', querystring: NameQuery, response: maybeCluster }, config },
      async ({ query }) => {
        const found = await clusters.findByName(query.name)
        return ok(found === undefined ? null : info(found))
      },
    )
    app.get(
      `${PATH}/info/center`,
      { schema: { tags, summary: 'The cluster of type CENTER', response: answers(ClusterInfo) }, config },
      async () => {
        const [center] = await clusters.list({ type: 'CENTER' })
        if (center === undefined) throw new AppError('CLUSTER_NOT_FOUND', 'cluster node [center] is not found')
        return ok(info(center))
      },
    )
    app.get(
      `${PATH}/info/:id`,
      { schema: { tags, summary: 'A cluster by its id', params: IdParams, response: maybeCluster }, config },
      async ({ params }) => {
        const found = await clusters.findById(params.id)
        return ok(found === undefined ? null : info(found))
      },
    )
    app.get(
      `${PATH}/list/edge`,
      { schema: { tags, summary: 'Clusters of type EDGE', response: answers(Type.Array(ClusterInfo)) }, config },
      async () => ok((await clusters.list({ type: 'EDGE' })).map(info)),
    )
    app.get(
      `${PATH}/list`,
      {
        schema: {
          tags,
          summary: 'All clusters',
          querystring: Type.Object(FILTER_FIELDS),
          response: answers(Type.Array(ClusterInfo)),
        },
        config,
      },
      async ({ query }) => ok((await clusters.list(filterOf(query))).map(info)),
    )
    app.get(
      `${PATH}/page`,
      {
        schema: {
          tags,
          summary: 'Clusters, page by page',
          querystring: Type.Object({ ...FILTER_FIELDS, ...PAGE_FIELDS }),
          response: answers(PageData(ClusterInfo)),
        },
        config,
      },
      async ({ query }) => ok(toPage(await clusters.page(filterOf(query), pageOf(query)), info)),
    )
  }
