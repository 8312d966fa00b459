import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Downloads } from '../../artifacts/downloads/downloads.ts'
import type { Repositories } from '../../artifacts/repositories/repositories.ts'
import {
  type TemporaryAccess,
  type TemporaryGrant,
  type TemporaryUse,
  unknownToken,
} from '../../artifacts/uploads/temporary-access.ts'
import type { Uploads } from '../../artifacts/uploads/uploads.ts'
import type { Asker } from '../../artifacts/views/asker.ts'
import type { MayDo } from '../../auth/holder-rights.ts'
import { isAnonymous, type Principal } from '../../auth/principal.ts'
import type { Clock } from '../../core/clock.ts'
import { empty, notBuilt } from '../../core/errors.ts'
import { clientGone } from '../client-gone.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { NodeParams, nodePathOf } from '../nodes/node-path.ts'
import { NodeInfo, toNodeInfo } from '../nodes/node-wire.ts'
import { openBody } from '../raw-body.ts'
import type { Routes } from '../route.ts'
import { parseBlockHeaders } from './block-headers.ts'
import { checksumHeaders } from './digest-headers.ts'
import { createDownloadAnswers, DownloadQuery } from './download-answer.ts'
import { announcedBody, keepFileBodies } from './file-bodies.ts'
import { parseUploadHeaders } from './upload-headers.ts'

export interface TemporaryRouteDeps {
  readonly repositories: Repositories
  readonly temporary: Pick<TemporaryAccess, 'check' | 'use'>
  readonly uploads: Uploads
  readonly downloads: Downloads
  readonly mayDo: MayDo
  readonly dates: Dates
  readonly clock: Clock
}

const tags = ['temporary access']
const DOWNLOAD = '/generic/temporary/download/:projectId/:repoName/*'
const UPLOAD = '/generic/temporary/upload/:projectId/:repoName/*'
const TokenQuery = Type.Object({ token: Type.String({ description: 'Of generic/temporary/token/create' }) })
const DownloadTokenQuery = Type.Object({ ...TokenQuery.properties, ...DownloadQuery.properties })
type Held = FastifyRequest<{ Params: Static<typeof NodeParams>; Querystring: Static<typeof TokenQuery> }>

/** core.md 11.6: files for whoever holds a token. Credentials that come along are checked, and say who it is. */
export const temporaryRoutes =
  ({ repositories, temporary, uploads, downloads, mayDo, dates, clock }: TemporaryRouteDeps): Routes =>
  async (app) => {
    keepFileBodies(app, clock)
    // A page that is shown must not tell others the address that it came from.
    app.addHook('onRequest', async (_request, reply) => {
      reply.header('referrer-policy', 'no-referrer')
    })
    const files = createDownloadAnswers(downloads)
    const config = { access: 'OPTIONAL_LOGIN' } as const

    /** @throws AppError TEMPORARY_TOKEN_INVALID, TEMPORARY_TOKEN_EXPIRED. */
    async function admit({ params, query, principal, ip }: Held, use: TemporaryUse) {
      if (query.token === '') throw empty('token')
      const path = nodePathOf(params)
      const repository = await repositories.find(params.projectId, params.repoName)
      // Whoever holds no token does not get to know what there is.
      if (repository === undefined) throw unknownToken()
      const request = { use, path, userId: knownUser(principal), address: ip }
      const grant = await temporary.check(query.token, repository, request)
      return { path, repository, grant }
    }
    /** What a VIRTUAL repository shows to the holder is what it shows to the creator. */
    const askerFor = ({ headers }: FastifyRequest, grant: TemporaryGrant): Asker => ({
      via: headers.via,
      mayRead: (member, path, extent) => mayDo(grant, 'READ', member, path, extent),
    })

    const reading = { schema: { tags, params: NodeParams, querystring: DownloadTokenQuery }, config } as const
    const summary = 'Download with a temporary token'
    app.get(
      DOWNLOAD,
      { ...reading, schema: { ...reading.schema, summary }, exposeHeadRoute: false },
      async (request, reply) => {
        const { grant } = await admit(request, 'DOWNLOAD')
        // What was begun counts, however it ends: the rest of a file that broke off is a second use.
        return files.get(request, reply, askerFor(request, grant), (open) =>
          temporary.use(request.query.token, grant, open),
        )
      },
    )
    app.head(
      DOWNLOAD,
      { ...reading, schema: { ...reading.schema, summary: 'As the download, without the bytes: takes no permit' } },
      async (request, reply) => {
        const { grant } = await admit(request, 'DOWNLOAD')
        return files.head(request, reply, askerFor(request, grant))
      },
    )

    app.put(
      UPLOAD,
      {
        schema: {
          tags,
          summary: 'Upload with a temporary token',
          params: NodeParams,
          querystring: TokenQuery,
          response: answers(NodeInfo),
        },
        config,
      },
      async (request: Held, reply: FastifyReply) => {
        const { headers, query, principal } = request
        if (parseBlockHeaders(headers) !== undefined) {
          throw notBuilt('header [X-BKREPO-UPLOAD-ID]', 'needs a login: blocks are not sent with a temporary token')
        }
        const said = parseUploadHeaders(headers)
        const { path, repository, grant } = await admit(request, 'UPLOAD')
        const file = { ...said, ...announcedBody(headers), path, overwrite: said.overwrite ?? 'refuse' }
        const by = knownUser(principal) ?? grant.createdBy
        const open = () => openBody(request, reply)
        const node = await temporary.use(query.token, grant, () =>
          uploads.upload(repository, file, open, by, clientGone(reply)),
        )
        reply.headers(checksumHeaders(node))
        return ok(toNodeInfo(node, repository, dates))
      },
    )
  }

/** Undefined for whoever has no account, or none that is open. */
const knownUser = (principal: Principal): string | undefined =>
  isAnonymous(principal) || principal.standing !== undefined ? undefined : principal.userId
