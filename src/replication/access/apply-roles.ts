import { deleteGiven, type Given, listGiven, putGiven, usersOfRoles } from '../../metadata/access/copied-access.ts'
import { updateRole } from '../../metadata/access/copied-users.ts'
import { unknownUsers } from '../../metadata/access/granted-rights.ts'
import {
  addRoleUsers,
  deleteRole,
  insertRole,
  listRoles,
  type Role,
  removeRoleUsers,
} from '../../metadata/access/roles.ts'
import type { AccessCounts, CopiedRole } from '../../remotes/cluster/access-messages.ts'
import { type Change, type Copying, type CopyPlace, counted, isSame, merged, NOTHING_GIVEN } from './copying.ts'

/** How a message names a role. */
export const roleNameOf = ({ repo, roleId }: Pick<CopiedRole, 'repo' | 'roleId'>): string =>
  JSON.stringify([repo, roleId])

/** @returns with the ids that the roles of the message have here, by `roleNameOf`. */
export async function applyRoles(
  copying: Copying,
  place: CopyPlace,
): Promise<{ readonly counts: AccessCounts; readonly roleIds: ReadonlyMap<string, string> }> {
  const { trx } = copying
  const { copied, sourceId, repoIds } = place
  if (copied.project === '') return { counts: counted([]), roleIds: new Map() }
  const scope = new Set([0, ...repoIds.values()])
  const there = (await listRoles(trx, { project: copied.project })).filter(({ repoId }) => scope.has(repoId))
  const given = await listGiven(trx, 'role', sourceId)
  const holders = await usersOfRoles(
    trx,
    there.map(({ id }) => id),
  )
  const absent = new Set(await unknownUsers(trx, [...new Set(copied.roles.flatMap(({ users }) => users))]))
  const roleIds = new Map<string, string>()
  const changes: Change[] = []
  for (const role of copied.roles) {
    const repoId = role.repo === null ? 0 : repoIds.get(role.repo)!
    const users = role.users.filter((user) => !absent.has(user))
    const stored = there.find((one) => one.repoId === repoId && one.roleId === role.roleId)
    const id = stored?.id ?? copying.ids.id()
    roleIds.set(roleNameOf(role), id)
    const before = given.get(id) ?? NOTHING_GIVEN
    const self = await applyRole(copying, { ...role, id, repoId, project: copied.project }, stored)
    const held = await applyHolders(copying, id, holders.get(id) ?? [], before, users)
    if (!given.has(id) || !isSame(before.users, users))
      await putGiven(trx, 'role', id, sourceId, { ...NOTHING_GIVEN, users })
    changes.push(self === 'unchanged' && held ? 'updated' : self)
  }
  const named = new Set(roleIds.values())
  for (const role of there) {
    const before = given.get(role.id)
    if (before !== undefined && !named.has(role.id)) changes.push(await retract(copying, sourceId, role, before))
  }
  return { counts: counted(changes), roleIds }
}

type WantedRole = CopiedRole & { readonly id: string; readonly repoId: number; readonly project: string }

async function applyRole({ trx, by }: Copying, role: WantedRole, stored: Role | undefined): Promise<Change> {
  const { id, roleId, project, repoId, name, admin, description } = role
  if (stored === undefined) {
    const stamps = { createdBy: by.userId, createdAt: by.at, modifiedBy: by.userId, modifiedAt: by.at }
    const type = repoId === 0 ? 'PROJECT' : 'REPO'
    await insertRole(trx, {
      id,
      roleId,
      type,
      project,
      repoId,
      repoName: role.repo,
      name,
      admin,
      description,
      ...stamps,
    })
    return 'created'
  }
  if (stored.name === name && stored.admin === admin && stored.description === description) return 'unchanged'
  if (stored.modifiedBy !== by.userId) return 'kept'
  await updateRole(trx, id, { name, admin, description }, by)
  return 'updated'
}

/** Gives it to whom the message names, takes it from whom the last one named. @returns whether anything changed. */
async function applyHolders(
  { trx }: Copying,
  id: string,
  there: readonly string[],
  before: Given,
  users: readonly string[],
): Promise<boolean> {
  const wanted = merged(there, before.users, users)
  if (isSame(there, wanted)) return false
  await removeRoleUsers(
    trx,
    id,
    there.filter((user) => !wanted.includes(user)),
  )
  await addRoleUsers(
    trx,
    id,
    wanted.filter((user) => !there.includes(user)),
  )
  return true
}

/** The source has it no more. What it gave is taken back; the role goes too, unless somebody here made, changed or gave it. */
async function retract(copying: Copying, sourceId: string, role: Role, before: Given): Promise<Change> {
  const { trx, by } = copying
  const there = (await usersOfRoles(trx, [role.id])).get(role.id) ?? []
  await deleteGiven(trx, 'role', role.id, sourceId)
  await applyHolders(copying, role.id, there, before, [])
  const isTheirs = role.createdBy === by.userId && role.modifiedBy === by.userId
  if (!isTheirs || merged(there, before.users, []).length > 0) return 'kept'
  await deleteRole(trx, role.id)
  return 'deleted'
}
