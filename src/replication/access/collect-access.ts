import { usersOfRoles } from '../../metadata/access/copied-access.ts'
import { listUsersToCopy } from '../../metadata/access/copied-users.ts'
import { listPermissions, type Permission } from '../../metadata/access/permissions.ts'
import { listRoles, type Role } from '../../metadata/access/roles.ts'
import type { Reader } from '../../metadata/database.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import type { CopiedPermission, CopiedProject, CopiedRole, CopiedUser } from '../../remotes/cluster/access-messages.ts'

/** What permissions are about on the way from one cluster to another. */
export interface AccessScope {
  readonly repository: Pick<Repository, 'id' | 'project' | 'name'>
  readonly remoteProject: string
  readonly remoteRepo: string
  /** Everything about the server goes too: all users, administrators as such, SYSTEM and REPLICATION permissions. */
  readonly extent: 'repository' | 'server'
}

export interface CollectedAccess {
  readonly users: readonly CopiedUser[]
  readonly projects: readonly CopiedProject[]
}

/** Who may do what in a repository and its project, and who these users are; all lists in an order that does not change. */
export async function collectAccess(reader: Reader, scope: AccessScope): Promise<CollectedAccess> {
  const projects = [await projectAccess(reader, scope)]
  if (scope.extent === 'server') projects.push(await serverAccess(reader))
  const named = projects.flatMap(({ roles, permissions }) => [...roles, ...permissions].flatMap(({ users }) => users))
  const users = await listUsersToCopy(reader, scope.extent === 'server' ? undefined : [...new Set(named)])
  return { projects, users: scope.extent === 'server' ? users : users.map((user) => ({ ...user, admin: null })) }
}

async function projectAccess(reader: Reader, scope: AccessScope): Promise<CopiedProject> {
  const { repository, remoteProject, remoteRepo } = scope
  const { id, project, name } = repository
  const roles = (await listRoles(reader, { project })).filter(({ repoId }) => repoId === 0 || repoId === id)
  const users = await usersOfRoles(
    reader,
    roles.map((role) => role.id),
  )
  const roleOf = (role: Role): CopiedRole => ({
    repo: role.repoId === 0 ? null : remoteRepo,
    ...{ roleId: role.roleId, name: role.name, admin: role.admin, description: role.description },
    users: users.get(role.id) ?? [],
  })
  const isInScope = ({ resourceType, repos, homeRepo }: Permission) =>
    resourceType === 'PROJECT' || (repos.includes(name) && (homeRepo === 0 || homeRepo === id))
  const permissions = (await listPermissions(reader, { project })).filter(isInScope)
  const known = new Map(roles.map((role) => [role.id, roleOf(role)]))
  return {
    from: project,
    project: remoteProject,
    repos: [remoteRepo],
    roles: [...known.values()],
    permissions: permissions.map((permission) => permissionOf(permission, known, remoteRepo)),
  }
}

async function serverAccess(reader: Reader): Promise<CopiedProject> {
  const system = await listPermissions(reader, { resourceType: 'SYSTEM' })
  const replication = await listPermissions(reader, { resourceType: 'REPLICATION' })
  const permissions = [...system, ...replication].map((permission) => permissionOf(permission, new Map(), ''))
  return { from: '', project: '', repos: [], roles: [], permissions }
}

/** Roles of other repositories are not known to the message, and left out. */
function permissionOf(
  permission: Permission,
  roles: ReadonlyMap<string, CopiedRole>,
  remoteRepo: string,
): CopiedPermission {
  const { name, resourceType, include, exclude, actions, users } = permission
  return {
    home: permission.homeRepo === 0 ? null : remoteRepo,
    ...{ name, resourceType, include, exclude, actions, users },
    repos: permission.repos.length === 0 ? [] : [remoteRepo],
    roles: permission.roles.flatMap((id) => {
      const role = roles.get(id)
      return role === undefined ? [] : [{ repo: role.repo, roleId: role.roleId }]
    }),
  }
}
