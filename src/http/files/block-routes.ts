import type { FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Repositories } from '../../artifacts/repositories/repositories.ts'
import type { BlockStyle, BlockUploads } from '../../artifacts/uploads/block-uploads.ts'
import type { Clock } from '../../core/clock.ts'
import { clientGone } from '../client-gone.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { NodeParams, nodePathOf } from '../nodes/node-path.ts'
import { NodeInfo, toNodeInfo } from '../nodes/node-wire.ts'
import type { Routes } from '../route.ts'
import { parseSize, requireSize, uploadIdOf } from './block-headers.ts'
import { BlockData, toBlock } from './block-wire.ts'
import { checksumHeaders } from './digest-headers.ts'
import { keepFileBodies } from './file-bodies.ts'
import { parseOverwrite, parseUploadHeaders } from './upload-headers.ts'

export interface BlockRouteDeps {
  readonly repositories: Repositories
  readonly blockUploads: BlockUploads
  readonly dates: Dates
  readonly clock: Clock
}

const tags = ['block uploads']
const STYLES = [
  { url: '/generic/block/:projectId/:repoName/*', style: 'NUMBERED', what: 'in numbered blocks' },
  { url: '/generic/separate/:projectId/:repoName/*', style: 'SEPARATE', what: 'in blocks by offset' },
] as const satisfies readonly { url: string; style: BlockStyle; what: string }[]

const Started = Type.Object({
  uploadId: Type.String({ description: 'Header X-BKREPO-UPLOAD-ID of all that follows' }),
  expireSeconds: Type.Integer({ description: 'From now' }),
})
type FileRequest = FastifyRequest<{ Params: Static<typeof NodeParams> }>

/** core.md 11.4, 11.5: files that come in blocks. The blocks themselves go to `generic-routes.ts`. */
export const blockRoutes =
  ({ repositories, blockUploads, dates, clock }: BlockRouteDeps): Routes =>
  async (app) => {
    keepFileBodies(app, clock)
    const access = { repo: 'WRITE' } as const
    const params = NodeParams

    for (const { url, style, what } of STYLES) {
      const named = (request: FileRequest) => {
        return { uploadId: uploadIdOf(request.headers), style, path: nodePathOf(request.params) }
      }
      const repositoryOf = ({ params: { projectId, repoName } }: FileRequest) => repositories.get(projectId, repoName)

      app.post(
        url,
        {
          schema: { tags, summary: `Begin an upload ${what}`, params, response: answers(Started) },
          config: { access },
        },
        async (request) => {
          const { headers, principal } = request
          const overwrite = parseOverwrite(headers) ?? 'refuse'
          const order = { style, path: nodePathOf(request.params), overwrite, sizeBytes: parseSize(headers) }
          return ok(await blockUploads.start(await repositoryOf(request), order, principal.userId))
        },
      )
      app.get(
        url,
        {
          schema: { tags, summary: `Blocks of an upload ${what}`, params, response: answers(Type.Array(BlockData)) },
          config: { access },
          exposeHeadRoute: false,
        },
        async (request) => {
          const name = named(request)
          const parts = await blockUploads.list(await repositoryOf(request), name)
          return ok(parts.map((part) => toBlock(name, part)))
        },
      )
      app.put(
        url,
        {
          schema: { tags, summary: `Complete an upload ${what}`, params, response: answers(NodeInfo) },
          config: { access },
        },
        async (request, reply) => {
          const { headers, principal } = request
          const name = named(request)
          const sizeBytes = style === 'SEPARATE' ? requireSize(headers) : parseSize(headers)
          const file = { ...parseUploadHeaders(headers), sizeBytes }
          const repository = await repositoryOf(request)
          const node = await blockUploads.complete(repository, name, file, principal.userId, clientGone(reply))
          reply.headers(checksumHeaders(node))
          return ok(toNodeInfo(node, repository, dates))
        },
      )
      app.delete(
        url,
        {
          schema: { tags, summary: `Abort an upload ${what}`, params, response: answers(Type.Null()) },
          config: { access },
        },
        async (request) => {
          const name = named(request)
          await blockUploads.abort(await repositoryOf(request), name)
          return ok(null)
        },
      )
    }
  }
