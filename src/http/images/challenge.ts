import type { FastifyRequest } from 'fastify'
import type { Action } from '../../auth/grants.ts'
import { actionAt } from '../access-control.ts'
import { imageInUrl } from './image-url.ts'
import { mountSourceIn } from './mount-source.ts'
import { CATALOG_SCOPE, WORDS_FOR } from './scope-words.ts'

export const SERVICE = 'entrepot'
export const TOKEN_URL = '/v2/auth'

/** Where clients reach this server. @param publicUrl as configured; undefined: where the request came to. */
export function rootUrlOf({ protocol, host }: FastifyRequest, publicUrl: string | undefined): string {
  return (publicUrl ?? `${protocol}://${host.replaceAll(/["\\\s]/g, '')}`).replace(/\/+$/, '')
}

/**
 * `WWW-Authenticate` of a 401. Source: docker's token authentication specification; `error` is of RFC 6750, 3.1.
 * @param beyond the token is good, but for less than this.
 */
export function challengeOf(request: FastifyRequest, publicUrl: string | undefined, beyond: boolean): string {
  if (request.routeOptions.url === TOKEN_URL) return 'Basic realm="Entrepot", charset="UTF-8"'
  const scope = neededScope(request)
  const sent = /^bearer\s/i.test(request.headers.authorization ?? '')
  const error = beyond ? 'insufficient_scope' : sent ? 'invalid_token' : undefined
  const fields = { realm: `${rootUrlOf(request, publicUrl)}${TOKEN_URL}`, service: SERVICE, scope, error }
  const written = Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [`${name}="${value}"`]))
  return `Bearer ${written.join(',')}`
}

function neededScope(request: FastifyRequest): string | undefined {
  const { params, routeOptions } = request
  const { projectId, repoName, '*': rest } = params as Readonly<Record<string, string>>
  if (routeOptions.url?.endsWith('/_catalog')) return CATALOG_SCOPE
  const { access } = routeOptions.config
  if (rest === undefined || typeof access !== 'object' || !('repo' in access)) return undefined
  const image = imageInUrl(rest)
  if (image === undefined) return undefined
  const action: Action = actionAt(access, request)
  const own = `repository:${projectId}/${repoName}/${image}:${WORDS_FOR[action] ?? 'pull'}`
  const source = mountSourceIn(request)
  if (source === undefined) return own
  return `${own} repository:${source.projectId}/${source.repoName}/${source.image}:pull`
}
