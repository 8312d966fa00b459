import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import fastify, { type FastifyBaseLogger, LogController, type RawServerDefault } from 'fastify'
import { ANONYMOUS } from '../auth/principal.ts'
import type { Clock } from '../core/clock.ts'
import type { Ids } from '../core/ids.ts'
import { refuseOtherMedia } from './accepted-media.ts'
import { type AccessDeps, controlAccess } from './access-control.ts'
import { canonicalUrl } from './aliases.ts'
import { type AuditTrail, auditRequests } from './audit.ts'
import { sumAnswers } from './body-sum.ts'
import { answerConnectionError } from './connection-errors.ts'
import { createDates } from './dates.ts'
import type { Envelope } from './envelope.ts'
import { answerError } from './errors.ts'
import { imageErrors, isImageUrl } from './images/image-errors.ts'
import { acceptJson, MAX_JSON_BYTES } from './json-body.ts'
import type { ServerMetrics } from './metrics.ts'
import { type ApiDocument, documentApi } from './openapi.ts'
import { inviteBody } from './raw-body.ts'
import { requestLog } from './request-log.ts'
import { requestValidator } from './request-validation.ts'
import type { App, Routes } from './route.ts'
import { traceIdOf } from './trace.ts'
import { createRouteTable, refuseUnknownUrl, refuseWordAsId } from './unknown-url.ts'

export interface HttpServerDeps {
  readonly routes: readonly Routes[]
  readonly access: AccessDeps
  /** Undefined: nothing is kept. */
  readonly audit?: AuditTrail | undefined
  /** Addresses or networks whose `X-Forwarded-For` tells the client's address; none: the connection does. */
  readonly trustedProxies?: readonly string[] | undefined
  readonly document: ApiDocument
  readonly metrics: ServerMetrics
  /** IANA name; the zone of dates on the wire. */
  readonly timeZone: string
  readonly clock: Clock
  readonly ids: Ids
  readonly logger: FastifyBaseLogger
}

/** A path of 4096 bytes, each percent-encoded as three characters. */
const MAX_PARAMETER_CHARACTERS = 3 * 4096
/** That path, and metadata of 64 KiB in base64, have to fit. */
const MAX_HEADER_BYTES = 128 * 1024
/** Above the usual 60 s of load balancers, so that they close an idle connection first and never meet a closed one. */
const KEEP_ALIVE_MS = 75_000
const HEADERS_MS = 60_000
/** A connection that moves no byte for so long is dead. Bodies may otherwise take as long as they need. */
const SILENCE_MS = 15 * 60_000

/**
 * The edge: one envelope for every answer and error, trace ids, access checked before a body is read, OpenAPI, metrics.
 * Ready to `listen`. To stop: `close()` waits for running requests; `server.closeAllConnections()` cuts those that take too long.
 * @throws when a route does not state its access.
 */
export async function createHttpServer(deps: HttpServerDeps): Promise<App> {
  const { clock, ids, metrics } = deps
  const dates = createDates(deps.timeZone)
  const answerImageError = imageErrors(deps.document.publicUrl)
  const answerAnyError: typeof answerError = (error, request, reply) =>
    (isImageUrl(request.url) ? answerImageError : answerError)(error, request, reply)
  const app: App = fastify<RawServerDefault>({
    loggerInstance: deps.logger,
    childLoggerFactory: requestLog,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'traceId' }),
    genReqId: (request) => traceIdOf(request, ids.key),
    trustProxy:
      deps.trustedProxies === undefined || deps.trustedProxies.length === 0 ? false : [...deps.trustedProxies],
    rewriteUrl: ({ url }) => canonicalUrl(url ?? '/'),
    bodyLimit: MAX_JSON_BYTES,
    routerOptions: { maxParamLength: MAX_PARAMETER_CHARACTERS },
    http: { maxHeaderSize: MAX_HEADER_BYTES, headersTimeout: HEADERS_MS, keepAlive: true },
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionTimeout: SILENCE_MS,
    requestTimeout: 0,
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => void answerAnyError(error, request, reply),
    clientErrorHandler: (error, socket) => answerConnectionError(error, socket, ids.key()),
  }).withTypeProvider<TypeBoxTypeProvider>()

  app.setValidatorCompiler(requestValidator)
  app.setSerializerCompiler(() => (value) => JSON.stringify(value))
  app.setErrorHandler(answerAnyError)
  acceptJson(app)
  invite(app)

  const known = createRouteTable()
  app.addHook('onRoute', known.add)
  app.setNotFoundHandler((request, reply) => refuseUnknownUrl(known, request, reply))

  app.decorateRequest('principal', null as never)
  app.decorateReply('gone', undefined)
  app.decorateRequest('failure', undefined)
  app.decorateRequest('auditAbout', undefined)
  app.decorateRequest('traceId', {
    getter() {
      return this.id
    },
  })
  // Fastify's own `signal` also aborts once the body was read to its end, which is when the work begins.
  app.decorateRequest('signal', {
    getter() {
      throw new Error('use clientGone(reply) instead of request.signal')
    },
  })
  app.addHook('onRequest', (request, reply, next) => {
    request.principal = ANONYMOUS
    reply.headers({
      'x-trace-id': request.traceId,
      'x-bkrepo-time-zone': dates.offset(clock.now()),
      'x-content-type-options': 'nosniff',
    })
    next()
  })
  refuseOtherMedia(app)
  controlAccess(app, deps.access)
  app.addHook('onRequest', (request, reply, next) => {
    refuseWordAsId(known, request, reply)
    next()
  })
  if (deps.audit !== undefined) auditRequests(app, deps.audit)
  app.addHook('preSerialization', (request, _reply, payload, next) => {
    next(null, isEnvelope(payload) ? { ...payload, traceId: request.traceId } : payload)
  })
  const logged = deps.logger.level === 'debug' || deps.logger.level === 'trace'
  app.addHook('onResponse', (request, reply, next) => {
    metrics.request(request, reply)
    if (logged) {
      const { method, principal, routeOptions } = request
      const about = { method, route: routeOptions.url, status: reply.statusCode, ms: reply.elapsedTime }
      request.log.debug({ ...about, user: principal.userId }, 'request')
    }
    next()
  })
  sumAnswers(app)
  await documentApi(app, deps.document)
  for (const routes of deps.routes) await app.register(routes)
  await app.ready()
  return app
}

/** Clients that ask before they send a body (`Expect: 100-continue`) are answered once access is checked. */
function invite(app: App): void {
  app.server.on('checkContinue', (request, response) => app.routing(request, response))
  app.addHook('preParsing', (request, reply, payload, next) => {
    if (request.routeOptions.config.rawBody !== true) inviteBody(request, reply)
    next(null, payload)
  })
}

function isEnvelope(payload: unknown): payload is Envelope {
  return (
    typeof payload === 'object' &&
    payload !== null &&
    'traceId' in payload &&
    payload.traceId === null &&
    'code' in payload
  )
}
