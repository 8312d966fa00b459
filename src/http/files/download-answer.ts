import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Downloads, FileBody } from '../../artifacts/downloads/downloads.ts'
import { allowed } from '../../artifacts/nodes/system-metadata.ts'
import type { Asker } from '../../artifacts/views/asker.ts'
import { digestHex } from '../../core/digest.ts'
import { AppError } from '../../core/errors.ts'
import { type NodePath, nameOf } from '../../core/paths.ts'
import { unlessAborted } from '../../core/unless-aborted.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import type { ByteRange } from '../../storage/blob-store.ts'
import { clientGone } from '../client-gone.ts'
import { type NodeParams, nodePathOf } from '../nodes/node-path.ts'
import { parseByteRange } from './byte-range.ts'
import { attachmentOf } from './content-disposition.ts'
import { checksumHeaders } from './digest-headers.ts'
import { mediaTypeOf } from './media-types.ts'
import { checkPreconditions, rangeApplies } from './preconditions.ts'
import { announcedHeaders, cacheStatusOf, liveFile, needsWhole } from './supplied-file.ts'

export const DownloadQuery = Type.Object({
  preview: Type.Optional(Type.Boolean({ description: 'Shown by a browser instead of saved' })),
  download: Type.Optional(Type.Boolean({ description: 'Saved, which is the default' })),
})
type Download = FastifyRequest<{ Params: Static<typeof NodeParams>; Querystring: Static<typeof DownloadQuery> }>

/** Answers with the file that the URL names (core.md 11.2). */
export interface DownloadAnswers {
  /** `begin` runs `open`, which begins to read the bytes, once everything else about the request is known to be right. */
  get(request: Download, reply: FastifyReply, asker: Asker, begin?: Begin): Promise<FastifyReply>
  head(request: Download, reply: FastifyReply, asker: Asker): Promise<FastifyReply>
  /** A file that is known already, whatever the URL: GET and HEAD. @throws AppError ARTIFACT_FORBIDDEN. */
  stored(request: FastifyRequest, reply: FastifyReply, file: NodeRecord, begin?: Begin): Promise<FastifyReply>
}
export type Begin = (open: () => Promise<FileBody>) => Promise<FileBody>

export function createDownloadAnswers(downloads: Downloads): DownloadAnswers {
  async function sendFile(
    request: FastifyRequest,
    reply: FastifyReply,
    file: NodeRecord,
    query: Static<typeof DownloadQuery>,
    gone: AbortSignal,
    begin: Begin,
  ): Promise<FastifyReply> {
    const { headers } = request
    if (conditionsHold(request, reply, file) === 'answered') return reply
    const range = rangeApplies(headers, validatorsOf(file)) ? rangeOf(headers.range, file, reply) : undefined
    const body = await begin(() => downloads.open(file, range, gone))
    reply.headers({ ...stateHeaders(file), ...contentHeaders(file, query) })
    if (range === undefined) return reply.header('content-length', file.sizeBytes).send(body)
    return reply
      .code(206)
      .header('content-length', range.end - range.start)
      .header('content-range', `bytes ${range.start}-${range.end - 1}/${file.sizeBytes}`)
      .send(body)
  }
  async function announceFile(
    request: FastifyRequest,
    reply: FastifyReply,
    file: NodeRecord,
    query: Static<typeof DownloadQuery>,
    gone: AbortSignal,
  ): Promise<FastifyReply> {
    if (conditionsHold(request, reply, file) === 'answered') return reply
    await downloads.check(file, gone)
    reply.headers({ ...stateHeaders(file), ...contentHeaders(file, query) })
    return reply.header('content-length', file.sizeBytes).send()
  }
  return {
    async get(request, reply, asker, begin = (open) => open()) {
      const gone = clientGone(reply)
      const { params, headers, query } = request
      const path = nodePathOf(params)
      const supply = await downloads.supply(params.projectId, params.repoName, path, asker, gone)
      reply.headers(cacheStatusOf(supply))
      if (supply.kind === 'passing' || (supply.kind === 'arriving' && !needsWhole(headers))) {
        const open = async () => (supply.kind === 'passing' ? supply.body : supply.arrival.read(gone))
        const body = await begin(open).catch((error: unknown) => {
          if (supply.kind === 'passing') supply.body.on('error', () => {}).destroy()
          throw error
        })
        reply.headers({ ...announcedHeaders(liveFile(supply)), ...mediaHeaders(path, query) })
        return reply.send(body)
      }
      const file = supply.kind === 'stored' ? supply.file : await unlessAborted(supply.arrival.stored, gone)
      return sendFile(request, reply, file, query, gone, begin)
    },
    async head(request, reply, asker) {
      const gone = clientGone(reply)
      const { params, query } = request
      const path = nodePathOf(params)
      const found = await downloads.announce(params.projectId, params.repoName, path, asker, gone)
      if (found.kind === 'announced')
        return reply.headers({ ...announcedHeaders(found.file), ...mediaHeaders(path, query) }).send()
      const { file } = found
      reply.headers(cacheStatusOf(found))
      return announceFile(request, reply, file, query, gone)
    },
    async stored(request, reply, file, begin = (open) => open()) {
      const answer = request.method === 'HEAD' ? announceFile : sendFile
      return answer(request, reply, allowed(file), {}, clientGone(reply), begin)
    },
  }
}

const etagOf = (file: NodeRecord): string => `"${digestHex(file.digest!)}"`
const validatorsOf = (file: NodeRecord) => ({ etag: etagOf(file), modifiedAt: file.modifiedAt })

/** Answers 304 itself. @throws AppError PRECONDITION_FAILED. */
function conditionsHold({ headers }: FastifyRequest, reply: FastifyReply, file: NodeRecord): 'go on' | 'answered' {
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

const contentHeaders = (file: NodeRecord, query: Static<typeof DownloadQuery>) => ({
  'accept-ranges': 'bytes',
  ...mediaHeaders(file.path, query),
  ...checksumHeaders(file),
})

const mediaHeaders = (path: NodePath, { preview, download }: Static<typeof DownloadQuery>) => ({
  'content-type': mediaTypeOf(nameOf(path)),
  // What users uploaded must not run as a page of this server's origin.
  ...(preview === true && download !== true
    ? { 'content-security-policy': 'sandbox' }
    : { 'content-disposition': attachmentOf(nameOf(path)) }),
})
