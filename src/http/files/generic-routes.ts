import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Downloads } from '../../artifacts/downloads/downloads.ts'
import type { Repositories } from '../../artifacts/repositories/repositories.ts'
import type { Trees } from '../../artifacts/trees/trees.ts'
import type { BlockUploads } from '../../artifacts/uploads/block-uploads.ts'
import type { Uploads } from '../../artifacts/uploads/uploads.ts'
import type { Clock } from '../../core/clock.ts'
import { clientGone } from '../client-gone.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { NodeParams, nodePathOf } from '../nodes/node-path.ts'
import { NodeInfo, toNodeInfo } from '../nodes/node-wire.ts'
import { openBody } from '../raw-body.ts'
import type { Routes } from '../route.ts'
import { type BlockHeaders, parseBlockHeaders } from './block-headers.ts'
import { BlockData, toBlock } from './block-wire.ts'
import { checksumHeaders, parseDigestHeaders } from './digest-headers.ts'
import { createDownloadAnswers, DownloadQuery } from './download-answer.ts'
import { announcedBody, announcedBytes, keepFileBodies } from './file-bodies.ts'
import { askerOf } from './supplied-file.ts'
import { parseUploadHeaders } from './upload-headers.ts'

export interface GenericRouteDeps {
  readonly repositories: Repositories
  readonly trees: Trees
  readonly uploads: Uploads
  readonly blockUploads: Pick<BlockUploads, 'putPart'>
  readonly downloads: Downloads
  readonly dates: Dates
  readonly clock: Clock
}

const PATH = '/generic/:projectId/:repoName/*'
const tags = ['files']
type FileRequest = FastifyRequest<{ Params: Static<typeof NodeParams> }>

/** core.md 11.1 to 11.3: files by their path. */
export const genericRoutes =
  ({ repositories, trees, uploads, blockUploads, downloads, dates, clock }: GenericRouteDeps): Routes =>
  async (app) => {
    keepFileBodies(app, clock)
    const files = createDownloadAnswers(downloads)

    async function upload(request: FileRequest, reply: FastifyReply) {
      const { params, headers, principal } = request
      const said = parseUploadHeaders(headers)
      const overwrite = said.overwrite ?? 'refuse'
      const file = { ...said, ...announcedBody(headers), path: nodePathOf(params), overwrite }
      const repository = await repositories.get(params.projectId, params.repoName)
      const open = () => openBody(request, reply)
      const node = await uploads.upload(repository, file, open, principal.userId, clientGone(reply))
      reply.headers(checksumHeaders(node))
      return ok(toNodeInfo(node, repository, dates))
    }
    /** core.md 11.4, 11.5: blocks go to the URL of the file that they become. */
    async function uploadBlock(request: FileRequest, reply: FastifyReply, { position, ...named }: BlockHeaders) {
      const { params, headers } = request
      const name = { ...named, path: nodePathOf(params) }
      const block = { ...parseDigestHeaders(headers), position, sizeBytes: announcedBytes(headers) }
      const repository = await repositories.get(params.projectId, params.repoName)
      const open = () => openBody(request, reply)
      const part = await blockUploads.putPart(repository, name, block, open, clientGone(reply))
      return ok(toBlock(name, part))
    }

    const summary = 'Upload a file, or a block of one'
    app.put(
      PATH,
      {
        schema: { tags, summary, params: NodeParams, response: answers(Type.Union([NodeInfo, BlockData])) },
        config: { access: { repo: 'WRITE' } },
      },
      async (request, reply) => {
        const block = parseBlockHeaders(request.headers)
        return block === undefined ? upload(request, reply) : uploadBlock(request, reply, block)
      },
    )

    const reading = {
      schema: { tags, summary: 'Download', params: NodeParams, querystring: DownloadQuery },
      config: { access: { repo: 'DOWNLOAD' } },
    } as const
    app.get(PATH, { ...reading, exposeHeadRoute: false }, (request, reply) =>
      files.get(request, reply, askerOf(request)),
    )
    app.head(PATH, reading, (request, reply) => files.head(request, reply, askerOf(request)))

    app.delete(
      PATH,
      {
        schema: { tags, summary: 'Delete', params: NodeParams, response: answers(Type.Null()) },
        config: { access: { repo: 'DELETE' } },
      },
      async ({ params, principal }, reply) => {
        const path = nodePathOf(params)
        const repository = await repositories.get(params.projectId, params.repoName)
        await trees.delete(repository, path, principal.userId, clientGone(reply))
        return ok(null)
      },
    )
  }
