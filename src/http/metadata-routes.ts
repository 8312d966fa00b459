import { Type } from 'typebox'
import type { Nodes } from '../artifacts/nodes.ts'
import type { Repositories } from '../artifacts/repositories.ts'
import { type MetadataEntry, metadataFromMap, metadataMap } from '../core/metadata.ts'
import { answers, ok } from './envelope.ts'
import { NodeParams, nodePathOf } from './node-path.ts'
import type { Routes } from './route.ts'

export interface MetadataRouteDeps {
  readonly repositories: Repositories
  readonly nodes: Nodes
}

const PATH = '/repository/api/metadata/:projectId/:repoName/*'
const tags = ['metadata']

const MapData = Type.Record(Type.String(), Type.Unknown())
const Entry = Type.Object({
  key: Type.String(),
  value: Type.Unknown(),
  description: Type.Optional(Type.String()),
  link: Type.Optional(Type.String()),
  color: Type.Optional(Type.String()),
})
const SaveBody = Type.Object({
  metadata: Type.Optional(MapData),
  nodeMetadata: Type.Optional(Type.Array(Entry, { description: 'When given, `metadata` is ignored' })),
})
const DeleteBody = Type.Object({ keyList: Type.Array(Type.String()) })

/** core.md 8: metadata of nodes. */
export const metadataRoutes =
  ({ repositories, nodes }: MetadataRouteDeps): Routes =>
  async (app) => {
    app.get(
      PATH,
      { schema: { tags, params: NodeParams, response: answers(MapData) }, config: { access: { repo: 'READ' } } },
      async ({ params }) => {
        const path = nodePathOf(params)
        const node = await nodes.get(await repositories.get(params.projectId, params.repoName), path)
        return ok(metadataMap(node.metadata))
      },
    )

    app.post(
      PATH,
      {
        schema: { tags, params: NodeParams, body: SaveBody, response: answers(Type.Null()) },
        config: { access: { repo: 'WRITE' } },
      },
      async ({ params, body, principal }) => {
        const path = nodePathOf(params)
        const entries = body.nodeMetadata?.map(toEntry) ?? metadataFromMap(body.metadata ?? {})
        const repository = await repositories.get(params.projectId, params.repoName)
        await nodes.saveMetadata(repository, path, entries, principal.userId)
        return ok(null)
      },
    )

    app.delete(
      PATH,
      {
        schema: { tags, params: NodeParams, body: DeleteBody, response: answers(Type.Null()) },
        config: { access: { repo: 'WRITE' } },
      },
      async ({ params, body, principal }) => {
        const path = nodePathOf(params)
        const repository = await repositories.get(params.projectId, params.repoName)
        await nodes.deleteMetadata(repository, path, body.keyList, principal.userId)
        return ok(null)
      },
    )
  }

/** Only what users may say: whether an entry is the system's is not among it. */
function toEntry({ key, value, description, link, color }: MetadataEntry): MetadataEntry {
  return {
    key,
    value,
    ...(description === undefined ? {} : { description }),
    ...(link === undefined ? {} : { link }),
    ...(color === undefined ? {} : { color }),
  }
}
