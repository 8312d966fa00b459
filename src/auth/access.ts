import { type Extent, type PathScope, scopeHolds } from '../core/path-scope.ts'
import { type NodePath, ROOT } from '../core/paths.ts'
import { type Action, type Grants, NO_GRANTS } from './grants.ts'
import { isAnonymous, type Principal } from './principal.ts'

/**
 * What is asked for. The catalog lists what the caller may read, so anybody may ask for it who says who they are, if only by a token
 * for what is public. A repository that does not exist counts as a private one, so that its absence is told only to
 * those who may know.
 */
export type Resource =
  | { readonly kind: 'anything' }
  | { readonly kind: 'login' }
  | { readonly kind: 'system' }
  | { readonly kind: 'replication' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'account'; readonly userId: string }
  | { readonly kind: 'project'; readonly projectId: string }
  | RepositoryResource

export interface RepositoryResource {
  readonly kind: 'repository'
  readonly projectId: string
  readonly repoName: string
  /** Undefined: there is none of that name. */
  readonly id: number | undefined
  readonly public: boolean
  readonly path: NodePath
  readonly extent: Extent
}

/** `login`: not without credentials, which may change the answer. */
export type Decision = 'allow' | 'deny' | 'login'

const PUBLIC_ACTIONS: ReadonlySet<Action> = new Set(['READ', 'DOWNLOAD', 'VIEW'])

/** The one place that decides who may do what: the order of core.md 4. Pure; `grants` are those of the principal. */
export function decide(principal: Principal, action: Action, resource: Resource, grants: Grants = NO_GRANTS): Decision {
  if (resource.kind === 'anything') return 'allow'
  const open = resource.kind === 'repository' && resource.public && PUBLIC_ACTIONS.has(action)
  if (principal.standing !== undefined) return 'deny'
  if (principal.covers !== undefined && !principal.covers(action, resource)) return 'deny'
  if (open) return 'allow'
  if (resource.kind === 'catalog') return isAnonymous(principal) && principal.covers === undefined ? 'login' : 'allow'
  if (isAnonymous(principal)) return 'login'
  return principal.admin || isGranted(principal, action, resource, grants) ? 'allow' : 'deny'
}

function isGranted(
  principal: Principal,
  action: Action,
  resource: Exclude<Resource, { kind: 'anything' | 'catalog' }>,
  grants: Grants,
) {
  switch (resource.kind) {
    case 'login':
      return true
    case 'account':
      return resource.userId === principal.userId
    case 'system':
      return grants.system.has(action)
    case 'replication':
      return grants.replication.has(action)
    case 'project':
      return grants.administers.has(resource.projectId) || grants.projects.get(resource.projectId)?.has(action) === true
    case 'repository': {
      const scopes = scopesIn(grants, action, resource)
      return scopes === 'everything' || scopes.some((scope) => scopeHolds(scope, resource.path, resource.extent))
    }
  }
}

/**
 * What of a repository the caller may do that to, for queries that leave out the rest: `everything`, or the paths that any of the
 * scopes holds. Only after `decide` allowed it.
 */
export function scopesOf(
  principal: Principal,
  action: Action,
  resource: RepositoryResource,
  grants: Grants,
): 'everything' | readonly PathScope[] {
  if (principal.admin || (resource.public && PUBLIC_ACTIONS.has(action))) return 'everything'
  const scopes = scopesIn(grants, action, resource)
  return scopes === 'everything' || scopes.some((scope) => scopeHolds(scope, resource.path, 'tree'))
    ? 'everything'
    : scopes
}

function scopesIn(grants: Grants, action: Action, { projectId, id }: RepositoryResource) {
  if (grants.administers.has(projectId)) return 'everything'
  const given = id === undefined ? [] : (grants.repositories.get(id) ?? [])
  return given.filter(({ actions }) => actions.has(action))
}

/** The whole repository, for questions that name no path. */
export const WHOLE = { path: ROOT, extent: 'tree' } as const
