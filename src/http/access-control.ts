import type { FastifyRequest } from 'fastify'
import { type Decision, decide, type RepositoryResource, type Resource, scopesOf, WHOLE } from '../auth/access.ts'
import type { Action } from '../auth/grants.ts'
import type { LoginSource } from '../auth/platform-logins.ts'
import type { Principal } from '../auth/principal.ts'
import { isOutsideApp } from '../auth/principal-scope.ts'
import type { Rights } from '../auth/rights.ts'
import { AppError, invalid } from '../core/errors.ts'
import type { PathScope } from '../core/path-scope.ts'
import { normalisePath } from '../core/paths.ts'
import type { Access, App, RepositoryAccess, RepositoryName } from './route.ts'

export interface AccessDeps {
  /**
   * @param authorization the header as it came.
   * @throws AppError UNAUTHENTICATED, PERMISSION_DENIED for a locked user, TOO_MANY_REQUESTS.
   */
  authenticate(authorization: string | undefined, source: LoginSource): Promise<Principal>
  readonly rights: Pick<Rights, 'repositoryFacts' | 'grantsOf'>
}

type Fixed = { readonly action: Action; readonly resource: Resource }
const FIXED = {
  PUBLIC: { action: 'READ', resource: { kind: 'anything' } },
  OPTIONAL_LOGIN: { action: 'READ', resource: { kind: 'anything' } },
  CATALOG: { action: 'READ', resource: { kind: 'catalog' } },
  AUTHENTICATED: { action: 'READ', resource: { kind: 'login' } },
  ADMIN: { action: 'MANAGE', resource: { kind: 'system' } },
  REPLICATION_READ: { action: 'VIEW', resource: { kind: 'replication' } },
  REPLICATION_WRITE: { action: 'WRITE', resource: { kind: 'replication' } },
} as const satisfies Record<Extract<Access, string>, Fixed>

/** Whatever is unknown about a repository, nobody but an administrator is allowed by it. */
const NOTHING_KNOWN = { kind: 'repository', id: undefined, public: false } as const
const NAMES_PROJECT = /\/:projectId(?=\/|$)/
const NAMES_REPOSITORY = /\/:projectId\/:repoName(?=\/|$)/

/** Checks every request before its body is read, and refuses to start with a route that does not say who may call it. */
export function controlAccess(app: App, { authenticate, rights }: AccessDeps): void {
  const declared: { readonly url: string; readonly config?: { access?: Access } }[] = []
  app.addHook('onRoute', (route) => {
    declared.push(route)
  })
  app.addHook('onReady', async () => {
    const silent = declared.filter(({ config }) => config?.access === undefined)
    if (silent.length > 0) throw new Error(`routes without config.access: ${silent.map(({ url }) => url).join(', ')}`)
    const nameless = declared.filter(({ url, config }) => !namesWhatItIsAbout(url, config?.access))
    if (nameless.length > 0) {
      throw new Error(`access to something that the URL does not name: ${nameless.map(({ url }) => url).join(', ')}`)
    }
  })

  /** Undefined: all of the tree. An administrator costs no query. */
  async function authoriseIn(
    principal: Principal,
    action: Action,
    { projectId, repoName, path = WHOLE.path, extent = WHOLE.extent }: RepositoryName,
  ): Promise<readonly PathScope[] | undefined> {
    const resource: RepositoryResource = { ...NOTHING_KNOWN, projectId, repoName, path, extent }
    if (decide(principal, action, resource) === 'allow') return undefined
    const { repository, grants } = await rights.repositoryFacts(principal, projectId, repoName)
    const known = { ...resource, ...repository }
    const what = `${action} on repository ${projectId}/${repoName}, path ${path}`
    if (isOutsideApp(principal, action, known)) throw outsideApp(principal, what)
    enforce(decide(principal, action, known, grants), what)
    if (extent !== 'part') return undefined
    const scopes = scopesOf(principal, action, known, grants)
    return scopes === 'everything' ? undefined : scopes
  }
  async function authoriseFor(principal: Principal, action: Action, resource: Resource, what: string): Promise<void> {
    if (decide(principal, action, resource) === 'allow') return
    if (isOutsideApp(principal, action, resource)) throw outsideApp(principal, what)
    enforce(decide(principal, action, resource, await rights.grantsOf(principal)), what)
  }
  app.decorateRequest('scopes', undefined)
  app.decorateRequest('authorise', async function (this: FastifyRequest, action, repository) {
    await authoriseIn(this.principal, action, repository)
  })
  app.decorateRequest('authoriseProject', function (this: FastifyRequest, action, projectId) {
    return authoriseFor(this.principal, action, { kind: 'project', projectId }, `${action} on project ${projectId}`)
  })

  app.addHook('onRequest', async (request) => {
    const { access } = request.routeOptions.config
    checkParameters(request.params)
    refuseForeignSite(request)
    // A public page needs no database, and an unknown URL tells nobody anything.
    if (access === undefined || access === 'PUBLIC') return
    request.principal = await authenticate(request.headers.authorization, sourceOf(request))
    if (typeof access === 'object' && 'repo' in access) {
      const action = actionAt(access, request)
      request.scopes = await authoriseIn(request.principal, action, { ...namedIn(request), extent: access.extent })
    } else if (typeof access === 'object') {
      await request.authoriseProject(access.project, namedIn(request).projectId)
    } else {
      const { action, resource } = FIXED[access]
      await authoriseFor(request.principal, action, resource, `${request.method} ${request.routeOptions.url}`)
    }
  })
}

function namesWhatItIsAbout(url: string, access: Access | undefined): boolean {
  if (typeof access !== 'object') return true
  return ('repo' in access ? NAMES_REPOSITORY : NAMES_PROJECT).test(url)
}

/** What the route asks to be allowed to do at this URL. */
export function actionAt({ repo, insteadAt }: RepositoryAccess, { params }: FastifyRequest): Action {
  return insteadAt?.((params as Readonly<Record<string, string>>)['*'] ?? '') ?? repo
}

/** @throws AppError PATH_INVALID. */
export function namedIn({ params }: FastifyRequest): RepositoryName {
  const { projectId = '', repoName = '', '*': rest } = params as Readonly<Record<string, string>>
  return { projectId, repoName, path: rest === undefined ? undefined : normalisePath(rest) }
}

export function enforce(decision: Decision, what: string): void {
  if (decision === 'login') throw new AppError('UNAUTHENTICATED', 'Failed to authenticate: log in to do this')
  if (decision === 'deny') throw new AppError('PERMISSION_DENIED', `Access denied: ${what}`)
}

const outsideApp = ({ appId }: Principal, what: string): AppError =>
  new AppError('ACCOUNT_PERMISSION_DENIED', `Access denied: account ${appId} is not for ${what}`, { appId })

export function sourceOf({ ip, headers, traceId }: FastifyRequest): LoginSource {
  const actsFor = headers['x-bkrepo-uid']
  return { address: ip, actsFor: typeof actsFor === 'string' ? actsFor.trim() : undefined, traceId }
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
