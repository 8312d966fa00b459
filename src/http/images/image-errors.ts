import type { FastifyReply, FastifyRequest } from 'fastify'
import { WHOLE } from '../../auth/access.ts'
import type { Action } from '../../auth/grants.ts'
import { type AppError, hasCode } from '../../core/errors.ts'
import { ociFailureOf } from '../../formats/oci/errors.ts'
import type { OperationName } from '../../formats/oci/operation.ts'
import { actionAt, namedIn } from '../access-control.ts'
import { answerErrorIn, type ErrorDialect } from '../errors.ts'
import { challengeOf } from './challenge.ts'
import { type Method, parseImageUrl } from './image-url.ts'

export const API_VERSION = { 'docker-distribution-api-version': 'registry/2.0' } as const

/** Also of URLs that no route has, or that cannot be read. */
export const isImageUrl = (url: string): boolean => IMAGE_URL.test(url)
const IMAGE_URL = /^\/v2(?:[/?#]|$)|^\/[^/?#]+\/[^/?#]+\/v2\/_catalog(?:[?#]|$)/

/** Errors as clients of a registry read them: OCI distribution specification 1.1, section "Error Codes". */
const dialectAt = (publicUrl: string | undefined): ErrorDialect => ({
  bodyOf(shown, status, request, reply) {
    const beyond = isBeyondToken(shown, request)
    const told = ociFailureOf(shown, operationOf(request), status)
    const failure = beyond ? ({ ...told, code: 'UNAUTHORIZED', status: 401 } as const) : told
    reply.code(failure.status).headers({ ...API_VERSION, ...failure.headers })
    if (failure.status === 401) reply.header('www-authenticate', challengeOf(request, publicUrl, beyond))
    const { code, detail = null } = failure
    return { errors: [{ code, message: shown.message, detail }] }
  },
})

/** An error handler. @param publicUrl where clients reach this server; undefined: where the request came to. */
export function imageErrors(publicUrl: string | undefined) {
  const dialect = dialectAt(publicUrl)
  return (error: unknown, request: FastifyRequest, reply: FastifyReply) => answerErrorIn(dialect, error, request, reply)
}

function operationOf({ params, method }: FastifyRequest): OperationName | undefined {
  const rest = (params as Readonly<Record<string, string>> | undefined)?.['*']
  return rest === undefined ? undefined : parseImageUrl(rest)?.operations[verbOf(method)]
}
export const verbOf = (method: string): Method => (method === 'HEAD' ? 'GET' : method) as Method

/** Whether it is the token that does not reach, whatever its user may do: the client asks for another one then. */
function isBeyondToken(shown: AppError, request: FastifyRequest): boolean {
  const { principal, routeOptions } = request
  const covers = principal?.appId === undefined ? principal?.covers : undefined
  if (covers === undefined || !hasCode(shown, 'PERMISSION_DENIED')) return false
  if (shown.detail.beyondToken === true) return true
  const { access } = routeOptions.config
  if (typeof access !== 'object' || !('repo' in access)) return !covers('READ', { kind: 'catalog' })
  const { projectId, repoName, path } = namedIn(request)
  const action: Action = actionAt(access, request)
  const place = { projectId, repoName, path: path ?? WHOLE.path, extent: 'node', id: undefined, public: false } as const
  return !covers(action, { kind: 'repository', ...place })
}
