import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Downloads } from '../../artifacts/downloads/downloads.ts'
import type { DownloadCounts } from '../../artifacts/packages/download-counts.ts'
import type { Repositories, Repository } from '../../artifacts/repositories/repositories.ts'
import type { Clock } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { Format } from '../../formats/format.ts'
import type { Protocol, ProtocolRoute, ProtocolServices } from '../../formats/protocol.ts'
import { clientGone } from '../client-gone.ts'
import { httpStatusOf } from '../envelope.ts'
import { answerError } from '../errors.ts'
import { createDownloadAnswers } from '../files/download-answer.ts'
import { keepFileBodies } from '../files/file-bodies.ts'
import { answerProtocol, lastOfEach } from '../protocol-answer.ts'
import { openBody } from '../raw-body.ts'
import type { App, Routes } from '../route.ts'

export interface FormatRouteDeps {
  readonly formats: readonly Format[]
  readonly services: ProtocolServices
  readonly repositories: Pick<Repositories, 'get'>
  readonly downloads: Downloads
  readonly counts: Pick<DownloadCounts, 'note'>
  readonly clock: Clock
}

/** The URL part of a format, e.g. `npm`. */
export const urlNameOf = ({ type }: Pick<Format, 'type'>): string => type.toLowerCase()

/** core.md 12: what the clients of each format speak, below `/<format>/{projectId}/{repoName}`. */
export const formatRoutes =
  (deps: FormatRouteDeps): Routes =>
  async (app) => {
    for (const format of deps.formats) {
      const { protocol } = format
      // A scope of its own: its errors stay its own.
      if (protocol !== undefined) await app.register(async (scope: App) => mount(scope, format, protocol, deps))
    }
  }

async function mount(app: App, format: Format, protocol: Protocol, deps: FormatRouteDeps): Promise<void> {
  keepFileBodies(app, deps.clock)
  const { errorBody } = protocol
  if (errorBody !== undefined) {
    app.setErrorHandler(async (error, request, reply) => {
      const isOurs = error instanceof AppError && error.code !== 'SYSTEM_ERROR' && error.code !== 'UNAUTHENTICATED'
      if (!isOurs || reply.raw.headersSent) return answerError(error, request, reply)
      return answerProtocol(reply, errorBody(error, httpStatusOf(error, request.url)))
    })
  }
  const files = createDownloadAnswers(deps.downloads)
  const tags = [`format ${urlNameOf(format)}`]

  async function run(route: ProtocolRoute, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const params = request.params as Readonly<Record<string, string>>
    const { projectId = '', repoName = '' } = params
    const repository = await repositoryOf(format, deps.repositories, projectId, repoName)
    const answered = await route.handle({
      ...{ repository, params, headers: request.headers, userId: request.principal.userId },
      query: lastOfEach(request.query),
      openBody: () => openBody(request, reply),
      signal: clientGone(reply),
      authorise: (action, path) => request.authorise(action, { projectId, repoName, path, extent: 'node' }),
    })
    if ('status' in answered) return answerProtocol(reply, answered)
    const { file, countsFor } = answered
    return files.stored(request, reply, file, async (open) => {
      const body = await open()
      if (countsFor !== undefined) deps.counts.note(countsFor)
      return body
    })
  }

  for (const route of protocol.routes(deps.services)) {
    const url = `/${urlNameOf(format)}/:projectId/:repoName${route.path}`
    app.route({
      method: route.method === 'GET' ? ['GET', 'HEAD'] : route.method,
      url,
      schema: { tags, summary: route.summary, params: paramsOf(url) },
      config: { access: { repo: route.access } },
      handler: (request, reply) => run(route, request, reply),
    })
  }
}

/** A repository of another type is not there for the clients of this one. @throws AppError REPOSITORY_NOT_FOUND. */
export async function repositoryOf(
  { type }: Pick<Format, 'type'>,
  repositories: Pick<Repositories, 'get'>,
  projectId: string,
  repoName: string,
): Promise<Repository> {
  const repository = await repositories.get(projectId, repoName)
  if (repository.type === type) return repository
  const what = `Repository [${projectId}/${repoName}] is a ${repository.type} repository; there is no ${type} one of that name`
  throw new AppError('REPOSITORY_NOT_FOUND', what, { projectId, repoName })
}

const paramsOf = (url: string) =>
  Type.Object(
    Object.fromEntries(
      [...url.matchAll(/:([A-Za-z_]\w*)|(\*)/g)].map(([, name, rest]) => [name ?? rest ?? '', Type.String()]),
    ),
  )
