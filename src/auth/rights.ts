import { findAccessStamp, findAccessState } from '../metadata/access/access-facts.ts'
import { type HeldPermission, listHeldAdminRoles, listHeldPermissions } from '../metadata/access/granted-rights.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import { listProjects, type ProjectFilter } from '../metadata/repositories/projects.ts'
import { listRepositories, type RepositoryFilter } from '../metadata/repositories/repositories.ts'
import { untilCommit } from '../metadata/sql/until-commit.ts'
import { decide, scopesOf, WHOLE } from './access.ts'
import { type Action, allowedBy, type Grants, NO_GRANTS, type RepositoryGrant } from './grants.ts'
import { isAnonymous, type Principal } from './principal.ts'
import type { ReadableScope } from './readable-scope.ts'

/** What a decision about a repository needs, besides the principal. */
export interface RepositoryFacts {
  /** Undefined: there is none of that name. */
  readonly repository: { readonly id: number; readonly public: boolean } | undefined
  readonly grants: Grants
}
/** What users have been given, as `decide` wants it. */
export interface Rights {
  /** One query; two more after rights of anybody changed. */
  repositoryFacts(principal: Principal, projectId: string, repoName: string): Promise<RepositoryFacts>
  /** As above. An administrator has none, and needs none. */
  grantsOf(principal: Principal): Promise<Grants>
  /** What the caller may read in a project, by ids of repositories. */
  readableScope(principal: Principal, projectId: string): Promise<ReadableScope>
  /** The repositories of a project that the caller may see; undefined: all. */
  visibleRepositories(principal: Principal, projectId: string): Promise<RepositoryFilter['visibility']>
  /** The projects that the caller may see; undefined: all. */
  visibleProjects(principal: Principal): Promise<ProjectFilter['visibility']>
}

interface Remembered {
  readonly stamp: number
  readonly grants: Grants
}
const MAX_REMEMBERED = 10_000

/**
 * Grants are remembered per user under the stamp that was read before them; each request reads the stamp, in the statement that
 * looks up its repository. So a change counts from the next request on, whichever node made it, and an unchanged right costs
 * nothing. Grants that are newer than their stamp are read again, never the other way round.
 */
export function createRights({ db }: { readonly db: MetadataDatabase }): Rights {
  const remembered = new Map<string, Remembered>()
  const stateOf = untilCommit(db, (project, name) => findAccessState(db.read, project!, name!))
  const stampNow = untilCommit(db, () => findAccessStamp(db.read))

  async function grantsAt(stamp: number, principal: Principal): Promise<Grants> {
    const { userId } = principal
    if (isAnonymous(principal) || principal.admin) return NO_GRANTS
    const known = remembered.get(userId)
    if (known?.stamp === stamp) return known.grants
    const grants = grantsFrom(await listHeldAdminRoles(db.read, userId), await listHeldPermissions(db.read, userId))
    remembered.delete(userId)
    remembered.set(userId, { stamp, grants })
    if (remembered.size > MAX_REMEMBERED) remembered.delete(remembered.keys().next().value!)
    return grants
  }

  const rights: Rights = {
    async repositoryFacts(principal, projectId, repoName) {
      const { stamp, repository } = await stateOf(projectId, repoName)
      return { repository, grants: await grantsAt(stamp, principal) }
    },
    async grantsOf(principal) {
      if (isAnonymous(principal) || principal.admin) return NO_GRANTS
      return grantsAt(await stampNow(), principal)
    },
    async readableScope(principal, projectId) {
      const grants = await rights.grantsOf(principal)
      const administers = principal.admin || grants.administers.has(projectId)
      if (administers && principal.covers === undefined && principal.standing === undefined) {
        return { everything: true, repositories: [] }
      }
      const visibility = administers ? undefined : { repoIds: [...grants.repositories.keys()], andPublic: true }
      const candidates = await listRepositories(db.read, { project: projectId, visibility })
      const repositories = candidates.flatMap(({ id, name, public: open }) => {
        const resource = { kind: 'repository', projectId, repoName: name, id, public: open, ...WHOLE } as const
        const some = { ...resource, extent: 'part' } as const
        if (decide(principal, 'READ', some, grants) !== 'allow') return []
        const scopes = scopesOf(principal, 'READ', resource, grants)
        const readable = scopes === 'everything' ? [{ include: [], exclude: [] }] : scopes
        return readable.map(({ include, exclude }) => ({ repoId: id, include, exclude }))
      })
      return { everything: false, repositories }
    },
    async visibleRepositories(principal, projectId) {
      if (principal.covers?.('VIEW', { kind: 'project', projectId }) === false) {
        return { repoIds: [], andPublic: false }
      }
      const grants = await rights.grantsOf(principal)
      if (principal.admin || grants.administers.has(projectId)) return undefined
      return { repoIds: [...grants.repositories.keys()], andPublic: true }
    },
    async visibleProjects(principal) {
      const { admin, covers } = principal
      const visibility = admin
        ? undefined
        : { names: [...(await rights.grantsOf(principal)).visibleProjects], andPublic: true }
      if (covers === undefined) return visibility
      const candidates = await listProjects(db.read, { visibility })
      const names = candidates.map(({ name }) => name)
      return { names: names.filter((projectId) => covers('VIEW', { kind: 'project', projectId })), andPublic: false }
    },
  }
  return rights
}

function grantsFrom(
  roles: readonly { readonly project: string; readonly repoId: number }[],
  permissions: readonly HeldPermission[],
): Grants {
  const system = new Set<Action>()
  const replication = new Set<Action>()
  const projects = new Map<string, Set<Action>>()
  const repositories = new Map<number, RepositoryGrant[]>()
  const visibleProjects = new Set<string>()
  function grant(repoId: number, given: RepositoryGrant): void {
    const held = repositories.get(repoId) ?? []
    held.push(given)
    repositories.set(repoId, held)
  }
  function add(to: Set<Action>, actions: ReadonlySet<Action>): void {
    for (const action of actions) to.add(action)
  }

  for (const { project, repoId } of roles) {
    visibleProjects.add(project)
    if (repoId !== 0) grant(repoId, { actions: allowedBy(['MANAGE']), include: [], exclude: [] })
  }
  for (const permission of permissions) {
    const { resourceType, project, repoId, include, exclude } = permission
    const actions = allowedBy(permission.actions as readonly Action[])
    if (project !== '') visibleProjects.add(project)
    if (resourceType === 'SYSTEM') add(system, actions)
    else if (resourceType === 'REPLICATION') add(replication, actions)
    else if (resourceType === 'PROJECT') {
      const held = projects.get(project) ?? new Set()
      add(held, actions)
      projects.set(project, held)
    } else if (repoId !== null) grant(repoId, { actions, include, exclude })
  }
  const administers = new Set(roles.filter(({ repoId }) => repoId === 0).map(({ project }) => project))
  return { system, replication, administers, projects, repositories, visibleProjects }
}
