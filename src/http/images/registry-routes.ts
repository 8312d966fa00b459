import type { FastifyRequest } from 'fastify'
import { AppError } from '../../core/errors.ts'
import { SERVER_HEADER } from '../../core/server-mark.ts'
import type { App, Routes } from '../route.ts'
import { type CatalogRouteDeps, mountCatalog } from './catalog-routes.ts'
import { API_VERSION, imageErrors } from './image-errors.ts'
import { type ImageRouteDeps, mountImages, unknownUrl } from './image-routes.ts'
import { mountTokens, type TokenRouteDeps } from './token-routes.ts'

export interface RegistryDeps extends ImageRouteDeps, CatalogRouteDeps, TokenRouteDeps {
  /** `serverMark` of this installation. */
  readonly server: string
}

const EVERY_METHOD = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const

/** What clients of a registry speak: OCI distribution specification 1.1, docker's token authentication, `_catalog`. */
export const registryRoutes =
  (deps: RegistryDeps): Routes =>
  async (app) => {
    app.setErrorHandler(imageErrors(deps.publicUrl))
    app.addHook('onRequest', (_request, reply, next) => {
      reply.headers(API_VERSION)
      next()
    })
    for (const url of ['/v2/', '/v2']) {
      for (const method of ['GET', 'HEAD'] as const) {
        app.route({
          method,
          url,
          exposeHeadRoute: false,
          schema: { tags: ['images'], summary: 'Whether this is a registry, and the login good', hide: url === '/v2' },
          config: { access: 'OPTIONAL_LOGIN' },
          async handler(request, reply) {
            mustSayWho(request)
            return reply.header(SERVER_HEADER, deps.server).type('application/json; charset=utf-8').send('{}')
          },
        })
      }
    }
    await mountTokens(app, deps)
    await mountCatalog(app, deps)
    await app.register(async (scope: App) => {
      await mountImages(scope, deps)
      scope.route({
        method: [...EVERY_METHOD],
        url: '/v2/*',
        schema: { hide: true },
        config: { access: 'PUBLIC' },
        handler: async (request) => {
          throw unknownUrl(request)
        },
      })
    })
  }

/** A token for what is public will do. @throws AppError UNAUTHENTICATED. */
function mustSayWho({ headers }: FastifyRequest): void {
  if ((headers.authorization ?? '').trim() === '') {
    throw new AppError('UNAUTHENTICATED', 'Failed to authenticate: log in, or ask for a token of what is public')
  }
}
