import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Downloads } from '../artifacts/downloads.ts'
import type { Nodes } from '../artifacts/nodes.ts'
import type { Repositories } from '../artifacts/repositories.ts'
import type { Uploads } from '../artifacts/uploads.ts'
import type { Clock } from '../core/clock.ts'
import { digestHex } from '../core/digest.ts'
import { AppError } from '../core/errors.ts'
import { nameOf } from '../core/paths.ts'
import type { NodeRecord } from '../metadata/nodes.ts'
import type { ByteRange } from '../storage/blob-store.ts'
import { parseByteRange } from './byte-range.ts'
import { clientGone } from './client-gone.ts'
import { attachmentOf } from './content-disposition.ts'
import type { Dates } from './dates.ts'
import { answers, ok } from './envelope.ts'
import { mediaTypeOf } from './media-types.ts'
import { NodeParams, nodePathOf } from './node-path.ts'
import { NodeInfo, toNodeInfo } from './node-wire.ts'
import { checkPreconditions, rangeApplies } from './preconditions.ts'
import { keepBodiesRaw, openBody } from './raw-body.ts'
import type { Routes } from './route.ts'
import { answerBeforeBody } from './unread-body.ts'
import { parseUploadHeaders } from './upload-headers.ts'

export interface GenericRouteDeps {
  readonly repositories: Repositories
  readonly nodes: Nodes
  readonly uploads: Uploads
  readonly downloads: Downloads
  readonly dates: Dates
  readonly clock: Clock
}

const PATH = '/generic/:projectId/:repoName/*'
const tags = ['files']

const DownloadQuery = Type.Object({
  preview: Type.Optional(Type.Boolean({ description: 'Shown by a browser instead of saved' })),
  download: Type.Optional(Type.Boolean({ description: 'Saved, which is the default' })),
})
type Download = FastifyRequest<{ Params: Static<typeof NodeParams>; Querystring: Static<typeof DownloadQuery> }>

/** core.md 11.1 to 11.3: files by their path. */
export const genericRoutes =
  ({ repositories, nodes, uploads, downloads, dates, clock }: GenericRouteDeps): Routes =>
  async (app) => {
    keepBodiesRaw(app)
    answerBeforeBody(app, clock)
    // A body is bytes, whatever its sender calls it; without this a header that is no media type would be refused.
    app.addHook('onRequest', async (request) => {
      delete request.raw.headers['content-type']
    })

    app.put(
      PATH,
      {
        schema: { tags, summary: 'Upload', params: NodeParams, response: answers(NodeInfo) },
        config: { access: { repo: 'WRITE' } },
      },
      async (request, reply) => {
        const { params, headers, principal } = request
        const file = { path: nodePathOf(params), ...parseUploadHeaders(headers) }
        const repository = await repositories.get(params.projectId, params.repoName)
        const open = () => openBody(request, reply)
        const node = await uploads.upload(repository, file, open, principal.userId, clientGone(reply))
        reply.headers(checksumHeaders(node))
        return ok(toNodeInfo(node, repository, dates))
      },
    )

    const reading = {
      schema: { tags, summary: 'Download', params: NodeParams, querystring: DownloadQuery },
      config: { access: { repo: 'READ' } },
    } as const
    app.get(PATH, { ...reading, exposeHeadRoute: false }, async (request, reply) => {
      const file = await findFile(request)
      const { headers } = request
      if (conditionsHold(request, reply, file) === 'answered') return reply
      const range = rangeApplies(headers, validatorsOf(file)) ? rangeOf(headers.range, file, reply) : undefined
      const body = await downloads.open(file, range, clientGone(reply))
      reply.headers({ ...stateHeaders(file), ...contentHeaders(file, request.query) })
      if (range === undefined) return reply.header('content-length', file.sizeBytes).send(body)
      return reply
        .code(206)
        .header('content-length', range.end - range.start)
        .header('content-range', `bytes ${range.start}-${range.end - 1}/${file.sizeBytes}`)
        .send(body)
    })
    app.head(PATH, reading, async (request, reply) => {
      const file = await findFile(request)
      if (conditionsHold(request, reply, file) === 'answered') return reply
      await downloads.check(file, clientGone(reply))
      reply.headers({ ...stateHeaders(file), ...contentHeaders(file, request.query) })
      return reply.header('content-length', file.sizeBytes).send()
    })

    app.delete(
      PATH,
      {
        schema: { tags, summary: 'Delete', params: NodeParams, response: answers(Type.Null()) },
        config: { access: { repo: 'DELETE' } },
      },
      async ({ params, principal }) => {
        const path = nodePathOf(params)
        const repository = await repositories.get(params.projectId, params.repoName)
        await nodes.delete(repository, path, principal.userId)
        return ok(null)
      },
    )

    const findFile = ({ params }: Download): Promise<NodeRecord> =>
      downloads.get(params.projectId, params.repoName, nodePathOf(params))
  }

const etagOf = (file: NodeRecord): string => `"${digestHex(file.digest!)}"`
const validatorsOf = (file: NodeRecord) => ({ etag: etagOf(file), modifiedAt: file.modifiedAt })

/** Answers 304 itself. @throws AppError PRECONDITION_FAILED. */
function conditionsHold({ headers }: Download, reply: FastifyReply, file: NodeRecord): 'go on' | 'answered' {
  const verdict = checkPreconditions(headers, validatorsOf(file))
  if (verdict === 'proceed') return 'go on'
  if (verdict === 'failed') {
    throw new AppError('PRECONDITION_FAILED', `Node [${file.path}] is not in the state the request asks for`, {})
  }
  reply.code(304).headers(stateHeaders(file)).send()
  return 'answered'
}

function rangeOf(header: string | undefined, file: NodeRecord, reply: FastifyReply): Required<ByteRange> | undefined {
  try {
    return parseByteRange(header, file.sizeBytes)
  } catch (error) {
    reply.header('content-range', `bytes */${file.sizeBytes}`)
    throw error
  }
}

const stateHeaders = (file: NodeRecord) => ({
  etag: etagOf(file),
  'last-modified': new Date(file.modifiedAt).toUTCString(),
  'cache-control': 'no-cache',
})

const contentHeaders = (file: NodeRecord, { preview, download }: Static<typeof DownloadQuery>) => ({
  'accept-ranges': 'bytes',
  'content-type': mediaTypeOf(nameOf(file.path)),
  ...checksumHeaders(file),
  // What users uploaded must not run as a page of this server's origin.
  ...(preview === true && download !== true
    ? { 'content-security-policy': 'sandbox' }
    : { 'content-disposition': attachmentOf(nameOf(file.path)) }),
})

const checksumHeaders = (file: NodeRecord) => ({
  'x-checksum-sha256': digestHex(file.digest!),
  ...(file.md5 === null ? {} : { 'x-checksum-md5': file.md5 }),
})
