import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Downloads } from '../../artifacts/downloads/downloads.ts'
import { allowed } from '../../artifacts/nodes/system-metadata.ts'
import type { Asker } from '../../artifacts/views/asker.ts'
import { digestHex } from '../../core/digest.ts'
import { type NodePath, nameOf } from '../../core/paths.ts'
import { unlessAborted } from '../../core/unless-aborted.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import { clientGone } from '../client-gone.ts'
import { type NodeParams, nodePathOf } from '../nodes/node-path.ts'
import { announceContent, type Begin, type Content, sendContent } from './content-answer.ts'
import { attachmentOf } from './content-disposition.ts'
import { checksumHeaders } from './digest-headers.ts'
import { mediaTypeOf } from './media-types.ts'
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
  /**
   * A file that is known already, whatever the URL: GET and HEAD. @param headers win over those that the file has; the same object for
   * the same file saves making the answer's anew.
   * @throws AppError ARTIFACT_FORBIDDEN.
   */
  stored(
    request: FastifyRequest,
    reply: FastifyReply,
    file: NodeRecord,
    begin?: Begin,
    headers?: Readonly<Record<string, string>>,
  ): Promise<FastifyReply>
}

export function createDownloadAnswers(downloads: Downloads): DownloadAnswers {
  const contentOf = (file: NodeRecord, query: Static<typeof DownloadQuery>): Content => ({
    what: `Node [${file.path}]`,
    ...{ sizeBytes: file.sizeBytes, etag: etagOf(file), modifiedAt: file.modifiedAt },
    headers: { ...mediaHeaders(file.path, query), ...checksumHeaders(file) },
    open: (range, signal) => downloads.open(file, range, signal),
    check: (signal) => downloads.check(file, signal),
  })
  const told = new WeakMap<NodeRecord, { readonly headers: object; readonly content: Content }>()
  function toldOf(file: NodeRecord, headers: Readonly<Record<string, string>>): Content {
    const known = told.get(file)
    if (known?.headers === headers) return known.content
    const own = contentOf(file, {})
    const content = { ...own, headers: { ...own.headers, ...headers } }
    told.set(file, { headers, content })
    return content
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
      return sendContent(request, reply, contentOf(file, query), gone, begin)
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
      return announceContent(request, reply, contentOf(file, query), gone)
    },
    async stored(request, reply, file, begin = (open) => open(), headers = NONE) {
      const told = toldOf(allowed(file), headers)
      const gone = clientGone(reply)
      return request.method === 'HEAD'
        ? announceContent(request, reply, told, gone)
        : sendContent(request, reply, told, gone, begin)
    },
  }
}

const NONE: Readonly<Record<string, string>> = {}
const etagOf = (file: NodeRecord): string => `"${digestHex(file.digest!)}"`

const mediaHeaders = (path: NodePath, { preview, download }: Static<typeof DownloadQuery>) => ({
  'content-type': mediaTypeOf(nameOf(path)),
  // What users uploaded must not run as a page of this server's origin.
  ...(preview === true && download !== true
    ? { 'content-security-policy': 'sandbox' }
    : { 'content-disposition': attachmentOf(nameOf(path)) }),
})
