import type { FastifyRequest } from 'fastify'
import { type Action, type Decision, decide, type Resource } from '../auth/access.ts'
import type { Principal } from '../auth/principal.ts'
import { AppError, invalid } from '../core/errors.ts'
import type { Access, App, RepositoryName } from './route.ts'

export interface AccessDeps {
  /** @param authorization the header as it came. @throws AppError UNAUTHENTICATED, PERMISSION_DENIED for a locked user. */
  authenticate(authorization: string | undefined): Promise<Principal>
  findRepository(projectId: string, repoName: string): Promise<{ readonly public: boolean } | undefined>
}

type Fixed = { readonly action: Action; readonly resource: Resource }
const FIXED = {
  PUBLIC: { action: 'READ', resource: { kind: 'anything' } },
  AUTHENTICATED: { action: 'READ', resource: { kind: 'login' } },
  ADMIN: { action: 'MANAGE', resource: { kind: 'system' } },
  REPLICATION_READ: { action: 'VIEW', resource: { kind: 'replication' } },
  REPLICATION_WRITE: { action: 'WRITE', resource: { kind: 'replication' } },
} as const satisfies Record<Extract<Access, string>, Fixed>

const NAMES_REPOSITORY = /\/:projectId\/:repoName(?=\/|$)/

/** Checks every request before its body is read, and refuses to start with a route that does not say who may call it. */
export function controlAccess(app: App, { authenticate, findRepository }: AccessDeps): void {
  const declared: { readonly url: string; readonly config?: { access?: Access } }[] = []
  app.addHook('onRoute', (route) => {
    declared.push(route)
  })
  app.addHook('onReady', async () => {
    const silent = declared.filter(({ config }) => config?.access === undefined)
    if (silent.length > 0) throw new Error(`routes without config.access: ${silent.map(({ url }) => url).join(', ')}`)
    const nameless = declared.filter(
      ({ url, config }) => typeof config?.access === 'object' && 'repo' in config.access && !NAMES_REPOSITORY.test(url),
    )
    if (nameless.length > 0) {
      throw new Error(`access to a repository that the URL does not name: ${nameless.map(({ url }) => url).join(', ')}`)
    }
  })

  async function authoriseIn(principal: Principal, action: Action, { projectId, repoName }: RepositoryName) {
    if (decide(principal, action, { kind: 'repository', public: false }) === 'allow') return
    const repository = await findRepository(projectId, repoName)
    const decision = decide(principal, action, { kind: 'repository', public: repository?.public ?? false })
    enforce(decision, `${action} on repository ${projectId}/${repoName}`)
  }
  app.decorateRequest('authorise', function (this: FastifyRequest, action, repository) {
    return authoriseIn(this.principal, action, repository)
  })

  app.addHook('onRequest', async (request) => {
    const { access } = request.routeOptions.config
    checkParameters(request.params)
    refuseForeignSite(request)
    // A public page needs no database, and an unknown URL tells nobody anything.
    if (access === undefined || access === 'PUBLIC') return
    request.principal = await authenticate(request.headers.authorization)
    if (typeof access === 'object') {
      if ('repo' in access) return authoriseIn(request.principal, access.repo, request.params as RepositoryName)
      return enforce(decide(request.principal, access.project, { kind: 'system' }), `${access.project} on a project`)
    }
    const { action, resource } = FIXED[access]
    enforce(decide(request.principal, action, resource), `${request.method} ${request.routeOptions.url}`)
  })
}

export function enforce(decision: Decision, what: string): void {
  if (decision === 'login') throw new AppError('UNAUTHENTICATED', 'Failed to authenticate: log in to do this')
  if (decision === 'deny') throw new AppError('PERMISSION_DENIED', `Access denied: ${what}`)
}

const HARMLESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Browsers remember a Basic login and would send it along with a form that another site submits. Other clients send no such header. */
function refuseForeignSite({ method, headers }: FastifyRequest): void {
  if (!HARMLESS.has(method) && headers['sec-fetch-site'] === 'cross-site') {
    throw new AppError('PERMISSION_DENIED', 'Access denied: the request comes from a page of another site')
  }
}

/** Named parameters become keys of rows. The rest of a path, `*`, has its own rule (`core/paths.ts`). */
function checkParameters(params: unknown): void {
  for (const [name, value] of Object.entries((params ?? {}) as Record<string, string>)) {
    if (name !== '*' && /[\u0000-\u001f]/.test(value)) throw invalid(name, 'it holds a control character')
  }
}
