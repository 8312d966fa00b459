import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { ContentReads } from '../../artifacts/downloads/content-reads.ts'
import type { Downloads } from '../../artifacts/downloads/downloads.ts'
import type { BlobSources } from '../../artifacts/images/blob-sources.ts'
import type { DownloadCounts } from '../../artifacts/packages/download-counts.ts'
import type { Repositories, Repository } from '../../artifacts/repositories/repositories.ts'
import type { Action } from '../../auth/grants.ts'
import type { Rights } from '../../auth/rights.ts'
import type { Clock } from '../../core/clock.ts'
import { AppError, hasCode } from '../../core/errors.ts'
import { normalisePath } from '../../core/paths.ts'
import { type ImageName, parseImageName } from '../../formats/oci/coordinates.ts'
import { ociError } from '../../formats/oci/errors.ts'
import type { ImagePlace, ImageReply, Operation, Operations } from '../../formats/oci/operation.ts'
import { clientGone } from '../client-gone.ts'
import { announceContent, sendContent } from '../files/content-answer.ts'
import { createDownloadAnswers } from '../files/download-answer.ts'
import { keepFileBodies } from '../files/file-bodies.ts'
import { answerProtocol, lastOfEach } from '../protocol-answer.ts'
import { openBody } from '../raw-body.ts'
import type { App, RepositoryAccess } from '../route.ts'
import { answerFetched } from './fetched-content.ts'
import { verbOf } from './image-errors.ts'
import { type ImageUrl, parseImageUrl } from './image-url.ts'
import { mayReadMember } from './member-access.ts'
import { requireTokenForSource } from './mount-source.ts'
import { storedContent } from './stored-content.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** `Content-Type` of a pushed manifest; the framework must not judge it. */
    sentMediaType: string | undefined
  }
}

export interface ImageRouteDeps {
  readonly operations: Operations
  readonly repositories: Pick<Repositories, 'get'>
  readonly downloads: Downloads
  readonly contents: ContentReads
  readonly counts: Pick<DownloadCounts, 'note'>
  readonly blobSources: BlobSources
  readonly rights: Pick<Rights, 'repositoryFacts'>
  readonly clock: Clock
}

const URL = '/v2/:projectId/:repoName/*'
const TYPES: ReadonlySet<string> = new Set(['DOCKER', 'OCI'])
const tags = ['images']
const params = Type.Object({
  projectId: Type.String(),
  repoName: Type.String(),
  '*': Type.String({
    description: '{image}/manifests/{tag or digest}, {image}/blobs/{digest}, {image}/blobs/uploads/[{upload}] …',
  }),
})
/** Whoever may push may ask how far the push is, and give it up. */
const ofPush = (rest: string): Action | undefined =>
  parseImageUrl(rest)?.operations.DELETE === 'cancelUpload' ? 'WRITE' : undefined
/** The image is what permissions are about; nothing of it is left out. */
const extent = 'node'
const reading: RepositoryAccess = { repo: 'DOWNLOAD', extent, insteadAt: ofPush }
const writing: RepositoryAccess = { repo: 'WRITE', extent }
const deleting: RepositoryAccess = { repo: 'DELETE', extent, insteadAt: ofPush }
const ROUTES = [
  {
    method: 'GET',
    operationId: 'getImagePart',
    summary: 'Manifest, blob, tags, referrers, state of an upload',
    access: reading,
  },
  { method: 'HEAD', operationId: 'headImagePart', summary: 'Whether a manifest or blob is there', access: reading },
  {
    method: 'POST',
    operationId: 'beginImageUpload',
    summary: 'Begin an upload of a blob, or mount one',
    access: writing,
  },
  { method: 'PATCH', operationId: 'appendImageUpload', summary: 'Append to an upload', access: writing },
  { method: 'PUT', operationId: 'putImagePart', summary: 'Push a manifest, finish an upload', access: writing },
  {
    method: 'DELETE',
    operationId: 'deleteImagePart',
    summary: 'Delete a tag, manifest or blob, cancel an upload',
    access: deleting,
  },
] as const

/** The endpoints of the OCI distribution specification 1.1 that are about one image. */
export async function mountImages(app: App, deps: ImageRouteDeps): Promise<void> {
  app.decorateRequest('sentMediaType', undefined)
  app.addHook('onRequest', (request, _reply, next) => {
    request.sentMediaType = request.headers['content-type']
    next()
  })
  keepFileBodies(app, deps.clock)
  const files = createDownloadAnswers(deps.downloads)

  async function run(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const {
      projectId,
      repoName,
      '*': rest,
    } = request.params as Readonly<Record<'projectId' | 'repoName' | '*', string>>
    const url = parseImageUrl(rest)
    if (url === undefined) throw unknownUrl(request)
    const operation = operationFor(request, reply, url, deps.operations)
    const image = imageOf(url, projectId, repoName)
    if (request.method === 'POST') await requireTokenForSource(request, deps.rights)
    const repository = await imageRepository(deps.repositories, projectId, repoName)
    const { headers, sentMediaType } = request
    const place = [projectId, repoName, ...image.split('/')].map(encodeURIComponent)
    const answered = await operation({
      ...{ repository, image, reference: url.reference, userId: request.principal.userId },
      query: lastOfEach(request.query),
      headers: sentMediaType === undefined ? headers : { ...headers, 'content-type': sentMediaType },
      openBody: () => openBody(request, reply),
      authorise: (action, other) => mayDo(request, action, other),
      sourcesOf: (name) => deps.blobSources.list(request.principal, repository, name),
      mayRead: (member) => mayReadMember(deps.rights, request.principal, member),
      method: request.method,
      base: `/v2/${place.join('/')}`,
      signal: clientGone(reply),
    })
    return answer(request, reply, answered)
  }
  function answer(
    request: FastifyRequest,
    reply: FastifyReply,
    answered: ImageReply,
  ): Promise<FastifyReply> | FastifyReply {
    if ('status' in answered) return answerProtocol(reply, answered)
    if ('passing' in answered || 'arrival' in answered) return answerFetched(request, reply, answered, deps.contents)
    if ('digest' in answered) {
      const content = storedContent(answered, deps.contents)
      const gone = clientGone(reply)
      return request.method === 'HEAD'
        ? announceContent(request, reply, content, gone)
        : sendContent(request, reply, content, gone, (open) => open())
    }
    const { file, countsFor, headers } = answered
    const counted = async (open: () => Promise<Awaited<ReturnType<ContentReads['open']>>>) => {
      const body = await open()
      if (countsFor !== undefined) deps.counts.note(countsFor)
      return body
    }
    return files.stored(request, reply, file, counted, headers)
  }

  for (const { method, operationId, summary, access } of ROUTES) {
    app.route({
      method,
      url: URL,
      exposeHeadRoute: false,
      schema: { tags, operationId, summary, params },
      config: { access },
      handler: run,
    })
  }
}

function operationFor(
  request: FastifyRequest,
  reply: FastifyReply,
  { operations }: ImageUrl,
  all: Operations,
): Operation {
  const name = operations[verbOf(request.method)]
  if (name !== undefined) return all[name]
  const allowed = Object.keys(operations).flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
  reply.header('allow', allowed.join(', '))
  throw ociError('UNSUPPORTED', `Method not allowed: ${request.method} is not one of ${allowed.join(', ')}`)
}

function imageOf({ image }: ImageUrl, projectId: string, repoName: string): ImageName {
  const name = parseImageName(image)
  if (name !== undefined) return name
  const why =
    image === ''
      ? `an image has a name below its repository: ${projectId}/${repoName}/<name>`
      : `[${image.slice(0, 80)}] is no image name: up to 255 lower-case letters, digits and single separators . _ __ - between them, parts joined by /`
  throw ociError('NAME_INVALID', why)
}

/** @throws AppError PROJECT_NOT_FOUND, REPOSITORY_NOT_FOUND also for one of another type. */
export async function imageRepository(
  repositories: Pick<Repositories, 'get'>,
  projectId: string,
  repoName: string,
): Promise<Repository> {
  const repository = await repositories.get(projectId, repoName)
  if (TYPES.has(repository.type)) return repository
  const what = `Repository [${projectId}/${repoName}] holds no images, its type is ${repository.type}`
  throw new AppError('REPOSITORY_NOT_FOUND', what, { projectId, repoName })
}

async function mayDo(request: FastifyRequest, action: Action, { projectId, repoName, image }: ImagePlace) {
  try {
    await request.authorise(action, { projectId, repoName, path: normalisePath(image), extent })
    return true
  } catch (error) {
    if (hasCode(error, 'PERMISSION_DENIED', 'ACCOUNT_PERMISSION_DENIED', 'UNAUTHENTICATED')) return false
    throw error
  }
}

export const unknownUrl = ({ method, url }: FastifyRequest): AppError =>
  new AppError('URL_NOT_FOUND', `URL not found: ${method} ${url.split(/[?#]/, 1)[0]!.slice(0, 200)}`)
