import { Type } from 'typebox'
import type { NodeOrder, NodeRecord, NodeSortKey, Nodes } from '../artifacts/nodes.ts'
import type { Repositories, Repository } from '../artifacts/repositories.ts'
import type { Dates } from './dates.ts'
import { answers, ok } from './envelope.ts'
import { NodeParams, nodePathOf } from './node-path.ts'
import { NodeInfo, toNodeInfo } from './node-wire.ts'
import { PAGE_FIELDS, PageData, pageOf, toPage } from './paging.ts'
import type { Routes } from './route.ts'
import { orderOf, SORT_FIELDS } from './sorting.ts'

export interface NodeRouteDeps {
  readonly repositories: Repositories
  readonly nodes: Nodes
  readonly dates: Dates
}

const PATH = '/repository/api/node'
const tags = ['nodes']
const READ = { access: { repo: 'READ' } } as const
const WRITE = { access: { repo: 'WRITE' } } as const
const DELETE = { access: { repo: 'DELETE' } } as const

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
const DeletedData = Type.Object({
  deletedNumber: Type.Integer({ description: 'Files and folders' }),
  deletedSize: Type.Integer({ description: 'Bytes' }),
  deletedTime: Type.String(),
})

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
  ({ repositories, nodes, dates }: NodeRouteDeps): Routes =>
  async (app) => {
    const repositoryOf = ({ projectId, repoName }: { projectId: string; repoName: string }): Promise<Repository> =>
      repositories.get(projectId, repoName)
    const infoOf = (repository: Repository) => (node: NodeRecord) => toNodeInfo(node, repository, dates)

    // The root may be named without the slash at its end.
    for (const rest of ['/*', '']) {
      app.get(
        `${PATH}/detail/:projectId/:repoName${rest}`,
        { schema: { tags, params: NodeParams, response: answers(NodeInfo) }, config: READ },
        async ({ params }) => {
          const path = nodePathOf(params)
          const repository = await repositoryOf(params)
          return ok(infoOf(repository)(await nodes.get(repository, path)))
        },
      )

      app.get(
        `${PATH}/page/:projectId/:repoName${rest}`,
        {
          schema: { tags, params: NodeParams, querystring: PageQuery, response: answers(PageData(NodeInfo)) },
          config: READ,
        },
        async ({ params, query }) => {
          const path = nodePathOf(params)
          const order = orderOf(query, SORT_KEYS)
          const repository = await repositoryOf(params)
          const listing = {
            depth: query.deep ? 'tree' : 'children',
            kinds: query.includeFolder === false ? 'files' : 'all',
            order: order.length === 0 && query.sort ? FOLDERS_FIRST : order,
          } as const
          const page = await nodes.page(repository, path, listing, pageOf(query))
          const metadata = query.includeMetadata ? 'with-metadata' : 'without-metadata'
          return ok(toPage(page, (node) => toNodeInfo(node, repository, dates, metadata)))
        },
      )

      app.get(
        `${PATH}/size/:projectId/:repoName${rest}`,
        { schema: { tags, params: NodeParams, response: answers(SizeData) }, config: READ },
        async ({ params }) => {
          const path = nodePathOf(params)
          const size = await nodes.size(await repositoryOf(params), path)
          return ok({ subNodeCount: size.nodes, size: size.bytes })
        },
      )
    }

    app.post(
      `${PATH}/mkdir/:projectId/:repoName/*`,
      { schema: { tags, params: NodeParams, response: answers(NodeInfo) }, config: WRITE },
      async ({ params, principal }) => {
        const path = nodePathOf(params)
        const repository = await repositoryOf(params)
        return ok(infoOf(repository)(await nodes.makeFolder(repository, path, principal.userId)))
      },
    )

    app.delete(
      `${PATH}/delete/:projectId/:repoName/*`,
      { schema: { tags, params: NodeParams, response: answers(DeletedData) }, config: DELETE },
      async ({ params, principal }) => {
        const path = nodePathOf(params)
        const gone = await nodes.delete(await repositoryOf(params), path, principal.userId)
        return ok({ deletedNumber: gone.nodes, deletedSize: gone.bytes, deletedTime: dates.format(gone.at) })
      },
    )
  }
