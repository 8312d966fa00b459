import { Type } from 'typebox'
import type { NodeOrder, NodeRecord, NodeSortKey, Nodes } from '../../artifacts/nodes/nodes.ts'
import type { Repositories, Repository } from '../../artifacts/repositories/repositories.ts'
import type { NodeViews } from '../../artifacts/views/node-views.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { askerOf } from '../files/supplied-file.ts'
import { PAGE_FIELDS, PageData, pageOf, toPage } from '../paging.ts'
import type { Routes } from '../route.ts'
import { orderOf, SORT_FIELDS } from '../sorting.ts'
import { NodeParams, nodePathOf } from './node-path.ts'
import { NodeInfo, toNodeInfo } from './node-wire.ts'

export interface NodeRouteDeps {
  readonly repositories: Repositories
  readonly nodes: Nodes
  readonly views: NodeViews
  readonly dates: Dates
}

const PATH = '/repository/api/node'
const tags = ['nodes']
const READ = { access: { repo: 'READ' } } as const
/** One node: what lies below it does not matter. */
const READ_NODE = { access: { repo: 'READ', extent: 'node' } } as const
const WRITE_NODE = { access: { repo: 'WRITE', extent: 'node' } } as const
/** What the caller may not see is left out. */
const LIST = { access: { repo: 'READ', extent: 'part' } } as const

const flag = (initial: boolean) => Type.Optional(Type.Boolean({ default: initial }))
const PageQuery = Type.Object({
  ...PAGE_FIELDS,
  ...SORT_FIELDS,
  includeFolder: flag(true),
  includeMetadata: flag(false),
  deep: flag(false),
  sort: flag(false),
})
const SizeData = Type.Object({ subNodeCount: Type.Integer(), size: Type.Integer({ description: 'Bytes' }) })

const SORT_KEYS: Readonly<Record<string, NodeSortKey>> = {
  name: 'name',
  fullPath: 'fullPath',
  path: 'fullPath',
  folder: 'folder',
  size: 'size',
  createdBy: 'createdBy',
  createdDate: 'createdAt',
  lastModifiedBy: 'modifiedBy',
  lastModifiedDate: 'modifiedAt',
}
const FOLDERS_FIRST: readonly NodeOrder[] = [
  { key: 'folder', direction: 'desc' },
  { key: 'name', direction: 'asc' },
]

/** core.md 7.3: what is in a repository. */
export const nodeRoutes =
  ({ repositories, nodes, views, dates }: NodeRouteDeps): Routes =>
  async (app) => {
    const repositoryOf = ({ projectId, repoName }: { projectId: string; repoName: string }): Promise<Repository> =>
      repositories.get(projectId, repoName)
    const infoOf = (repository: Repository) => (node: NodeRecord) => toNodeInfo(node, repository, dates)

    // The root may be named without the slash at its end.
    for (const rest of ['/*', '']) {
      app.get(
        `${PATH}/detail/:projectId/:repoName${rest}`,
        {
          schema: { tags, summary: 'A file or folder', params: NodeParams, response: answers(NodeInfo) },
          config: READ_NODE,
        },
        async (request) => {
          const { params } = request
          const path = nodePathOf(params)
          const repository = await repositoryOf(params)
          return ok(infoOf(repository)(await views.get(repository, path, askerOf(request))))
        },
      )

      app.get(
        `${PATH}/page/:projectId/:repoName${rest}`,
        {
          schema: {
            tags,
            summary: 'What lies in a folder, page by page',
            params: NodeParams,
            querystring: PageQuery,
            response: answers(PageData(NodeInfo)),
          },
          config: LIST,
        },
        async (request) => {
          const { params, query, scopes } = request
          const path = nodePathOf(params)
          const order = orderOf(query, SORT_KEYS)
          const repository = await repositoryOf(params)
          const listing = {
            depth: query.deep ? 'tree' : 'children',
            kinds: query.includeFolder === false ? 'files' : 'all',
            order: order.length === 0 && query.sort ? FOLDERS_FIRST : order,
            scopes,
          } as const
          const page = await views.page(repository, path, listing, pageOf(query), askerOf(request))
          const metadata = query.includeMetadata ? 'with-metadata' : 'without-metadata'
          return ok(toPage(page, (node) => toNodeInfo(node, repository, dates, metadata)))
        },
      )

      app.get(
        `${PATH}/size/:projectId/:repoName${rest}`,
        {
          schema: { tags, summary: 'Nodes and bytes below a folder', params: NodeParams, response: answers(SizeData) },
          config: READ,
        },
        async (request) => {
          const { params } = request
          const path = nodePathOf(params)
          const size = await views.size(await repositoryOf(params), path, askerOf(request))
          return ok({ subNodeCount: size.nodes, size: size.bytes })
        },
      )
    }

    app.post(
      `${PATH}/mkdir/:projectId/:repoName/*`,
      {
        schema: { tags, summary: 'Make a folder', params: NodeParams, response: answers(NodeInfo) },
        config: WRITE_NODE,
      },
      async ({ params, principal }) => {
        const path = nodePathOf(params)
        const repository = await repositoryOf(params)
        return ok(infoOf(repository)(await nodes.makeFolder(repository, path, principal.userId)))
      },
    )
  }
