import type { NodePath } from '../../core/paths.ts'
import { deleteGiven, type Given, listGiven, putGiven } from '../../metadata/access/copied-access.ts'
import { unknownUsers } from '../../metadata/access/granted-rights.ts'
import {
  deletePermission,
  insertPermissions,
  listPermissions,
  type Permission,
  setPermissionRepositories,
  setPermissionRoles,
  setPermissionUsers,
  updatePermission,
} from '../../metadata/access/permissions.ts'
import { listRepositories } from '../../metadata/repositories/repositories.ts'
import type { AccessCounts, CopiedPermission } from '../../remotes/cluster/access-messages.ts'
import { roleNameOf } from './apply-roles.ts'
import { type Change, type Copying, type CopyPlace, counted, isSame, merged, NOTHING_GIVEN } from './copying.ts'

/** @param roleIds of `applyRoles`. */
export async function applyPermissions(
  copying: Copying,
  place: CopyPlace,
  roleIds: ReadonlyMap<string, string>,
): Promise<AccessCounts> {
  const { trx } = copying
  const { copied, sourceId, repoIds } = place
  const there = await permissionsThere(copying, place)
  const given = await listGiven(trx, 'permission', sourceId)
  const absent = new Set(await unknownUsers(trx, [...new Set(copied.permissions.flatMap(({ users }) => users))]))
  const named = new Set<string>()
  const changes: Change[] = []
  for (const permission of copied.permissions) {
    const homeRepo = permission.home === null ? 0 : repoIds.get(permission.home)!
    const stored = there.find((one) => one.homeRepo === homeRepo && one.name === permission.name)
    const id = stored?.id ?? copying.ids.id()
    named.add(id)
    const before = given.get(id) ?? NOTHING_GIVEN
    const now: Given = {
      users: permission.users.filter((user) => !absent.has(user)),
      roles: permission.roles.flatMap((role) => roleIds.get(roleNameOf(role)) ?? []),
      // Of repositories that this message does not know, what was given before stays given.
      repos: merged(
        before.repos,
        inScope(before.repos, repoIds),
        permission.repos.map((name) => repoIds.get(name)!),
      ),
    }
    const self = await applySelf(copying, { ...permission, id, homeRepo, project: copied.project }, stored)
    const held = await applyNames(copying, id, await namesOf(copying, stored), before, now)
    if (!given.has(id) || !isSameGiven(before, now)) await putGiven(trx, 'permission', id, sourceId, now)
    changes.push(self === 'unchanged' && held ? 'updated' : self)
  }
  for (const permission of there) {
    const before = given.get(permission.id)
    if (before !== undefined && !named.has(permission.id)) {
      changes.push(await retract(copying, place, permission, before))
    }
  }
  return counted(changes)
}

const inScope = (repos: readonly number[], repoIds: ReadonlyMap<string, number>): number[] => {
  const ids = new Set(repoIds.values())
  return repos.filter((id) => ids.has(id))
}
const isSameGiven = (a: Given, b: Given) =>
  isSame(a.users, b.users) && isSame(a.roles, b.roles) && isSame(a.repos, b.repos)

async function permissionsThere({ trx }: Copying, { copied, repoIds }: CopyPlace): Promise<Permission[]> {
  const homes = new Set([0, ...repoIds.values()])
  return (await listPermissions(trx, { project: copied.project })).filter(({ homeRepo }) => homes.has(homeRepo))
}

type WantedPermission = CopiedPermission & { readonly id: string; readonly homeRepo: number; readonly project: string }

async function applySelf(
  { trx, by }: Copying,
  permission: WantedPermission,
  stored: Permission | undefined,
): Promise<Change> {
  const { id, name, project, homeRepo, resourceType, actions } = permission
  const [include, exclude] = [permission.include as NodePath[], permission.exclude as NodePath[]]
  if (stored === undefined) {
    const stamps = { createdBy: by.userId, createdAt: by.at, modifiedBy: by.userId, modifiedAt: by.at }
    await insertPermissions(trx, [{ id, resourceType, project, homeRepo, name, include, exclude, actions, ...stamps }])
    return 'created'
  }
  const lists = [include, stored.include, exclude, stored.exclude, actions, stored.actions] as const
  if (isSame(lists[0], lists[1]) && isSame(lists[2], lists[3]) && isSame(lists[4], lists[5])) return 'unchanged'
  const { modifiedBy, modifiedAt, createdAt } = stored
  // A repository comes with permissions of its own: as long as nobody changed them, they follow too.
  const follows = modifiedBy === by.userId || (homeRepo !== 0 && modifiedAt === createdAt)
  if (!follows || stored.resourceType !== resourceType) return 'kept'
  await updatePermission(trx, id, { include, exclude, actions }, by)
  return 'updated'
}

/** Repositories by id, as they are stored. */
async function namesOf({ trx }: Copying, stored: Permission | undefined): Promise<Given> {
  if (stored === undefined) return NOTHING_GIVEN
  const { users, roles, repos, project } = stored
  if (repos.length === 0) return { users, roles, repos: [] }
  const ids = new Map((await listRepositories(trx, { project })).map(({ id, name }) => [name, id]))
  return { users, roles, repos: repos.flatMap((name) => ids.get(name) ?? []) }
}

/** @returns whether anything changed. */
async function applyNames({ trx }: Copying, id: string, there: Given, before: Given, now: Given): Promise<boolean> {
  const users = merged(there.users, before.users, now.users)
  const roles = merged(there.roles, before.roles, now.roles)
  const repos = merged(there.repos, before.repos, now.repos)
  if (!isSame(users, there.users)) await setPermissionUsers(trx, id, users)
  if (!isSame(roles, there.roles)) await setPermissionRoles(trx, id, roles)
  if (!isSame(repos, there.repos)) await setPermissionRepositories(trx, id, repos)
  return !isSameGiven({ users, roles, repos }, there)
}

/** The source has it no more, or no more for these repositories. It goes when nobody here made or changed it and it names nothing else. */
async function retract(
  copying: Copying,
  { sourceId, repoIds }: CopyPlace,
  stored: Permission,
  before: Given,
): Promise<Change> {
  const { trx, by } = copying
  const gone = inScope(before.repos, repoIds)
  const elsewhere = before.repos.filter((id) => !gone.includes(id))
  const there = await namesOf(copying, stored)
  if (elsewhere.length > 0) {
    const now = { ...before, repos: elsewhere }
    await applyNames(copying, stored.id, there, before, now)
    await putGiven(trx, 'permission', stored.id, sourceId, now)
    return gone.length === 0 ? 'unchanged' : 'updated'
  }
  await applyNames(copying, stored.id, there, before, NOTHING_GIVEN)
  await deleteGiven(trx, 'permission', stored.id, sourceId)
  const left = (of: 'users' | 'roles') => merged(there[of], before[of], [] as string[]).length
  const isTheirs = stored.createdBy === by.userId && stored.modifiedBy === by.userId
  if (!isTheirs || left('users') + left('roles') > 0) return 'kept'
  await deletePermission(trx, stored.id)
  return 'deleted'
}
