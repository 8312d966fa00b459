import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { AppError } from '../core/errors.ts'

/** Remembers all routes, to tell a wrong method (405) from a URL that nobody serves (404). */
export interface RouteTable {
  add(route: RouteOptions): void
  /** Methods that the path of this URL has, sorted; empty when no route has it. */
  methodsAt(url: string): string[]
  /** Methods of the route that has no parameters and is just this path, sorted; empty when there is none. */
  methodsOfJust(url: string): string[]
}

export function createRouteTable(): RouteTable {
  const methods = new Map<string, { readonly pattern: RegExp; readonly methods: Set<string> }>()
  return {
    add({ url, method }) {
      const known = methods.get(url) ?? { pattern: patternOf(url), methods: new Set() }
      for (const name of [method].flat()) known.methods.add(name.toUpperCase())
      methods.set(url, known)
    },
    methodsAt(url) {
      const path = url.split(/[?#]/, 1)[0]!
      const found = [...methods.values()].filter(({ pattern }) => pattern.test(path))
      return [...new Set(found.flatMap((route) => [...route.methods]))].sort()
    },
    methodsOfJust: (url) => [...(methods.get(url.split(/[?#]/, 1)[0]!)?.methods ?? [])].sort(),
  }
}

/** `/a/:id/*` as a test of an encoded path; each part is linear, so no URL can make it slow. */
function patternOf(url: string): RegExp {
  const text = url.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace(/:[A-Za-z_]\w*/g, '[^/]+')
  return new RegExp(`^${text.replaceAll('*', '.*')}$`)
}

export function refuseUnknownUrl(routes: RouteTable, request: FastifyRequest, reply: FastifyReply): never {
  const allowed = routes.methodsAt(request.url)
  if (allowed.length === 0)
    throw new AppError('URL_NOT_FOUND', `URL not found: ${request.method} ${pathOf(request.url)}`)
  refuseMethod(allowed, request, reply)
}

/** Ids are there never called as a call is: `GET …/failure/delete` asks for no failure of that id. */
const IDS_ONLY = /^\/(?:replication|job)\//

/** A word that is a call of its own under another method is not taken for the parameter of a route. */
export function refuseWordAsId(routes: RouteTable, request: FastifyRequest, reply: FastifyReply): void {
  const { url = '' } = request.routeOptions
  if (!IDS_ONLY.test(url) || !url.includes(':')) return
  const allowed = routes.methodsOfJust(request.url)
  if (allowed.length > 0 && !allowed.includes(request.method)) refuseMethod(allowed, request, reply)
}

function refuseMethod(allowed: readonly string[], { method }: FastifyRequest, reply: FastifyReply): never {
  reply.header('allow', allowed.join(', '))
  const why = `${method} is not one of ${allowed.join(', ')}`
  throw new AppError('METHOD_NOT_ALLOWED', `Method not allowed, reason: ${why}`)
}

/** Without the query, which may hold a token. */
function pathOf(url: string): string {
  const path = url.split(/[?#]/, 1)[0]!
  return path.length > 200 ? `${path.slice(0, 200)}…` : path
}
