import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { AppError, hasCode, invalid } from '../core/errors.ts'
import { storageTrouble } from '../core/storage-trouble.ts'
import { failure, httpStatusOf, WIRE } from './envelope.ts'
import { MAX_JSON_BYTES } from './json-body.ts'

/** The status that proxies use for a client that went away; nobody receives it, the metrics and the log do. */
const CLIENT_GONE = 499
const CHALLENGE = 'Basic realm="Entrepot", charset="UTF-8"'

/** An error as the clients of one part of the API read it. */
export interface ErrorDialect {
  /** @param status what the management API answers. Sets the status and headers; what it returns goes out as JSON. */
  bodyOf(shown: AppError, status: number, request: FastifyRequest, reply: FastifyReply): object
}
const ENVELOPE: ErrorDialect = {
  bodyOf(shown, status, request, reply) {
    reply.code(status)
    if (hasCode(shown, 'UNAUTHENTICATED')) reply.header('www-authenticate', CHALLENGE)
    return failure(WIRE[shown.code][0], shortened(shown.message), request.id)
  },
}

/** Shapes whatever a handler, hook or the framework throws as the contract's envelope. Defects are logged and hidden. */
export const answerError = (error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> =>
  answerErrorIn(ENVELOPE, error, request, reply)

/** Reads `request.id` for the trace id: a request with a bad URL never got our own fields. */
export async function answerErrorIn(
  dialect: ErrorDialect,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  if (request.raw.socket.destroyed) {
    request.log.debug({ err: error }, 'the client went away')
    return reply.code(CLIENT_GONE).send()
  }
  if (reply.raw.headersSent) {
    // The status is out: a cut connection is the one way left to say that the answer is not whole.
    request.log.error({ err: error }, 'request failed while it was answered')
    reply.hijack()
    request.raw.socket.destroy()
    return reply
  }
  const trouble = storageTrouble(error)
  const expected = trouble ?? expectedError(error)
  if (expected === undefined || trouble !== undefined) request.log.error({ err: error }, 'request failed')
  const shown = expected ?? systemError(request.id, error)
  request.failure = shown
  // A client that waits for `100 Continue` has not sent the body that the next request would follow.
  if (request.headers.expect !== undefined) reply.header('connection', 'close')
  for (const name of ABOUT_THE_FILE) reply.removeHeader(name)
  reply.header('x-trace-id', request.id)
  if (hasCode(shown, 'TOO_MANY_REQUESTS') && !reply.hasHeader('retry-after')) {
    reply.header('retry-after', String(shown.detail.retryAfterS ?? 1))
  }
  const status = frameworkStatus(error) ?? httpStatusOf(shown, request.url)
  const body = dialect.bodyOf(shown, status, request, reply)
  return reply.type('application/json; charset=utf-8').send(body)
}

/** What somebody sent is named in the message, however long it was. */
const shortened = (message: string): string =>
  message.length <= MAX_MESSAGE ? message : `${message.slice(0, MAX_MESSAGE).toWellFormed()}…`
const MAX_MESSAGE = 2_000

/** A file that broke before its first byte: what was said of it is not said of the error. */
const ABOUT_THE_FILE = [
  'etag',
  'last-modified',
  'accept-ranges',
  'content-disposition',
  'cache-status',
  'x-checksum-sha256',
  'x-checksum-md5',
]

/** Undefined for a defect: anything that is neither ours nor the framework's word about a bad request. */
function expectedError(error: unknown): AppError | undefined {
  if (error instanceof AppError) return error.code === 'SYSTEM_ERROR' ? undefined : error
  const { code, message } = error as FastifyError
  switch (code) {
    case 'FST_ERR_BAD_URL':
      return invalid('url', 'its percent-encoding is wrong')
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return invalid('url', 'a part of it is too long')
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
    case 'FST_ERR_ROUTE_MISSING_CONTENT_TYPE':
      return new AppError('MEDIA_TYPE_UNSUPPORTED', 'Unsupported media type: send application/json')
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new AppError('REQUEST_CONTENT_INVALID', `Invalid request content: more than ${MAX_JSON_BYTES} bytes`)
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new AppError('REQUEST_CONTENT_INVALID', 'Invalid request content: its length is not the announced one')
  }
  const status = frameworkStatus(error)
  return status === undefined
    ? undefined
    : new AppError('REQUEST_CONTENT_INVALID', `Invalid request content: ${message}`)
}

/** The status of an error that Fastify made about the request, e.g. 413. */
function frameworkStatus(error: unknown): number | undefined {
  const { code, statusCode } = error as Partial<FastifyError>
  if (error instanceof AppError || code?.startsWith('FST_') !== true || statusCode === undefined) return undefined
  if (code === 'FST_ERR_MAX_PARAM_LENGTH') return 400
  return statusCode >= 400 && statusCode < 500 ? statusCode : undefined
}

function systemError(traceId: string, cause: unknown): AppError {
  const message = `System service is busy, please try again later (trace ${traceId})`
  return new AppError('SYSTEM_ERROR', message, {}, { cause })
}
