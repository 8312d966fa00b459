import { type Static, Type } from 'typebox'
import type { Nodes } from '../../artifacts/nodes/nodes.ts'
import type { Repositories } from '../../artifacts/repositories/repositories.ts'
import type { NodeViews } from '../../artifacts/views/node-views.ts'
import { invalid, missing } from '../../core/errors.ts'
import { type MetadataEntry, metadataFromMap, metadataMap } from '../../core/metadata.ts'
import { answers, ok } from '../envelope.ts'
import { askerOf } from '../files/supplied-file.ts'
import type { Routes } from '../route.ts'
import { NodeParams, nodePathOf } from './node-path.ts'

export interface MetadataRouteDeps {
  readonly repositories: Repositories
  readonly nodes: Nodes
  readonly views: Pick<NodeViews, 'get'>
}

const PATH = '/repository/api/metadata/:projectId/:repoName/*'
const tags = ['metadata']

const MapData = Type.Record(Type.String(), Type.Unknown())
/** One metadata entry as a caller says it. */
export const EntryBody = Type.Object({
  key: Type.String(),
  value: Type.Unknown(),
  description: Type.Optional(Type.String()),
  link: Type.Optional(Type.String()),
  color: Type.Optional(Type.String()),
})
const SaveBody = Type.Object({
  metadata: Type.Optional(MapData),
  nodeMetadata: Type.Optional(Type.Array(EntryBody, { description: 'When given, `metadata` is ignored' })),
})
const ForbidBody = Type.Object({
  metadata: Type.Optional(MapData),
  nodeMetadata: Type.Optional(
    Type.Array(EntryBody, { description: 'With `forbidStatus`; its description may tell why' }),
  ),
})
const DeleteBody = Type.Object({ keyList: Type.Array(Type.String()) })

/** core.md 8: metadata of nodes. */
export const metadataRoutes =
  ({ repositories, nodes, views }: MetadataRouteDeps): Routes =>
  async (app) => {
    app.get(
      PATH,
      {
        schema: { tags, summary: 'Metadata of a node', params: NodeParams, response: answers(MapData) },
        config: { access: { repo: 'READ' } },
      },
      async (request) => {
        const { params } = request
        const path = nodePathOf(params)
        const repository = await repositories.get(params.projectId, params.repoName)
        const node = await views.get(repository, path, askerOf(request))
        return ok(metadataMap(node.metadata))
      },
    )

    app.post(
      PATH,
      {
        schema: {
          tags,
          summary: 'Add or replace metadata',
          params: NodeParams,
          body: SaveBody,
          response: answers(Type.Null()),
        },
        config: { access: { repo: 'UPDATE' } },
      },
      async ({ params, body, principal }) => {
        const path = nodePathOf(params)
        const repository = await repositories.get(params.projectId, params.repoName)
        await nodes.saveMetadata(repository, path, entriesOf(body), principal.userId)
        return ok(null)
      },
    )

    app.post(
      '/repository/api/metadata/forbid/:projectId/:repoName/*',
      {
        schema: {
          ...{ tags, summary: 'Forbid the download of a file, or allow it again' },
          ...{ params: NodeParams, body: ForbidBody, response: answers(Type.Null()) },
        },
        config: { access: { repo: 'MANAGE' } },
      },
      async ({ params, body, principal }) => {
        const path = nodePathOf(params)
        const repository = await repositories.get(params.projectId, params.repoName)
        await nodes.judge(repository, path, { ...forbidStatusOf(entriesOf(body)), by: principal.userId })
        return ok(null)
      },
    )

    app.delete(
      PATH,
      {
        schema: {
          tags,
          summary: 'Remove metadata',
          params: NodeParams,
          body: DeleteBody,
          response: answers(Type.Null()),
        },
        config: { access: { repo: 'UPDATE' } },
      },
      async ({ params, body, principal }) => {
        const path = nodePathOf(params)
        const repository = await repositories.get(params.projectId, params.repoName)
        await nodes.deleteMetadata(repository, path, body.keyList, principal.userId)
        return ok(null)
      },
    )
  }

/** The list form wins. */
const entriesOf = ({ metadata, nodeMetadata }: Static<typeof SaveBody>): MetadataEntry[] =>
  nodeMetadata?.map(toEntry) ?? metadataFromMap(metadata ?? {})

/** @throws AppError PARAMETER_MISSING, PARAMETER_INVALID. */
function forbidStatusOf(entries: readonly MetadataEntry[]) {
  const entry = entries.find(({ key }) => key === 'forbidStatus')
  if (entry === undefined) throw missing('forbidStatus')
  const { key: _, value, ...shown } = entry
  if (value !== true && value !== false && value !== 'true' && value !== 'false') {
    throw invalid('forbidStatus', 'it must be true or false')
  }
  return { ...shown, forbidden: String(value) === 'true' }
}

/** Only what users may say: whether an entry is the system's is not among it. */
export function toEntry({ key, value, description, link, color }: MetadataEntry): MetadataEntry {
  return {
    key,
    value,
    ...(description === undefined ? {} : { description }),
    ...(link === undefined ? {} : { link }),
    ...(color === undefined ? {} : { color }),
  }
}
