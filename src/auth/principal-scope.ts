import { scopeHolds } from '../core/path-scope.ts'
import { normalisePath } from '../core/paths.ts'
import type { ResourceType } from '../metadata/access/granted-rights.ts'
import type { PlatformAccount, ProjectRule } from '../metadata/access/platform-accounts.ts'
import type { RepositoryResource, Resource } from './access.ts'
import { type Action, allowedBy } from './grants.ts'
import type { Principal } from './principal.ts'

/** What credentials may be used for: `Principal.covers`. Who may do what beyond that is the user's matter. */
export type Covers = NonNullable<Principal['covers']>

/** Of a platform account. */
export interface AppScope {
  /** Empty: all. SYSTEM is all of them, PROJECT and REPO hold what is inside. */
  readonly types: readonly ResourceType[]
  /** Empty: all projects. */
  readonly projects: readonly ProjectRule[]
}

/** Of a bearer token. */
export type TokenScope = RepositoryScope | CatalogScope
export interface CatalogScope {
  readonly catalog: true
}
/** These actions, and what they imply, in one repository or below one name in it. */
export interface RepositoryScope {
  readonly repository: { readonly project: string; readonly repo: string; readonly name?: string | undefined }
  readonly actions: readonly Action[]
}

const EVERYWHERE: readonly ResourceType[] = ['SYSTEM', 'REPLICATION']
const IN_PROJECTS: readonly ResourceType[] = ['SYSTEM', 'PROJECT', 'REPO', 'NODE']

export const scopeOfAccount = ({ scope, projectRules }: Pick<PlatformAccount, 'scope' | 'projectRules'>): AppScope => ({
  types: scope as readonly ResourceType[],
  projects: projectRules,
})

/** Undefined: it limits nothing. An account with project rules reaches nothing that lies in no project, SYSTEM or not. */
export function coversOfApp({ types, projects }: AppScope): Covers | undefined {
  if (types.length === 0 && projects.length === 0) return undefined
  const typed = (...any: readonly ResourceType[]) => types.length === 0 || any.some((type) => types.includes(type))
  const named = (projectId: string) => projects.length === 0 || projects.some((rule) => rulesIn(rule, projectId))
  return (action, resource) => {
    switch (resource.kind) {
      case 'anything':
      case 'login':
      case 'catalog':
        return true
      case 'system':
      case 'account':
        return projects.length === 0 && typed('SYSTEM')
      case 'replication':
        return projects.length === 0 && typed(...EVERYWHERE)
      case 'project': {
        const enough = action === 'VIEW' ? IN_PROJECTS : (['SYSTEM', 'PROJECT'] as const)
        return typed(...enough) && named(resource.projectId)
      }
      case 'repository':
        return typed(...IN_PROJECTS) && named(resource.projectId)
    }
  }
}

function rulesIn({ operation, values }: ProjectRule, projectId: string): boolean {
  return operation === 'IN' ? values.includes(projectId) : values.some((prefix) => projectId.startsWith(prefix))
}

/** An account that acts for no user but for itself: it manages users, roles and accounts, and reads no artifact. */
export const COVERS_SERVICE: Covers = (_action, { kind }) =>
  kind === 'anything' || kind === 'login' || kind === 'system' || kind === 'account'

/**
 * Repositories only: with a token for one repository nobody makes themselves a token for more. A listing that leaves out what the
 * caller may not see counts as one of the whole tree, since it would leave out what the user may not see, not what the token does.
 */
export function coversOfToken(scopes: readonly TokenScope[]): Covers {
  const catalog = scopes.some((scope) => 'catalog' in scope)
  const granted = scopes.filter(isRepositoryScope).map(({ repository, actions }) => ({
    ...repository,
    actions: allowedBy(actions),
    include: repository.name === undefined ? [] : [normalisePath(repository.name)],
  }))
  return (action, resource) => {
    if (resource.kind === 'anything') return true
    if (resource.kind === 'catalog') return catalog
    if (resource.kind !== 'repository') return false
    return granted.some((scope) => scope.actions.has(action) && isInside(scope, resource))
  }
}

export const isRepositoryScope = (scope: TokenScope): scope is RepositoryScope => 'repository' in scope

function isInside(
  { project, repo, include }: { project: string; repo: string; include: Parameters<typeof scopeHolds>[0]['include'] },
  { projectId, repoName, path, extent }: RepositoryResource,
): boolean {
  if (project !== projectId || repo !== repoName) return false
  return scopeHolds({ include, exclude: [] }, path, extent === 'part' ? 'tree' : extent)
}

/**
 * Whether the application, and not its user, is what lacks the right: told by another code (core.md 2.2). Pure; asked after a
 * decision was not `allow`.
 */
export const isOutsideApp = (principal: Principal, action: Action, resource: Resource): boolean =>
  principal.appId !== undefined && principal.covers?.(action, resource) === false
