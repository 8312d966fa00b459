import { type Expression, sql } from 'kysely'
import type { NodePath } from '../../core/paths.ts'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { raiseAccessStamp } from './access-facts.ts'

export type ResourceType = Schema['permission']['resource_type']

/** A role with `admin` that a user has. `repoId` 0: of the whole project. */
export interface HeldAdminRole {
  readonly project: string
  readonly repoId: number
}
/** A permission that a user has, once for each of its repositories; `repoId` null: it names none. */
export interface HeldPermission {
  readonly resourceType: ResourceType
  readonly project: string
  readonly repoId: number | null
  readonly actions: readonly string[]
  readonly include: readonly NodePath[]
  readonly exclude: readonly NodePath[]
}

/** The user and the groups it shares, but for locked ones. A locked user is refused before anybody asks for its rights. */
function subjects(userId: string): Expression<string> {
  return sql<string>`(select ${userId} union all select m.group_id from group_member as m
    join group_account as g on g.user_id = m.group_id join user_account as u on u.user_id = m.group_id
    where m.user_id = ${userId} and u.locked = 0)`
}

const rolesOf = (reader: Reader, userId: string) =>
  reader.selectFrom('user_role').where('user_id', 'in', subjects(userId))

export async function listHeldAdminRoles(reader: Reader, userId: string): Promise<HeldAdminRole[]> {
  return reader
    .selectFrom('role')
    .where('admin', '=', 1)
    .where('id', 'in', rolesOf(reader, userId).select('role'))
    .select(['project', 'repo_id as repoId'])
    .execute()
}

/** By the user itself, its groups, and the roles of both. */
export async function listHeldPermissions(reader: Reader, userId: string): Promise<HeldPermission[]> {
  const own = reader.selectFrom('permission_user').where('user_id', 'in', subjects(userId)).select('permission')
  const byRole = reader
    .selectFrom('permission_role')
    .where('role', 'in', rolesOf(reader, userId).select('role'))
    .select('permission')
  const rows = await reader
    .selectFrom('permission')
    .leftJoin('permission_repository', 'permission_repository.permission', 'permission.id')
    .where('permission.id', 'in', own.union(byRole))
    .select(['resource_type', 'project', 'repo_id', 'actions', 'include', 'exclude'])
    .execute()
  return rows.map((row) => ({
    resourceType: row.resource_type,
    project: row.project,
    repoId: row.repo_id,
    actions: JSON.parse(row.actions) as string[],
    include: JSON.parse(row.include) as NodePath[],
    exclude: JSON.parse(row.exclude) as NodePath[],
  }))
}

/** Users that do not exist among these. */
export async function unknownUsers(reader: Reader, userIds: readonly string[]): Promise<string[]> {
  if (userIds.length === 0) return []
  const rows = await reader.selectFrom('user_account').where('user_id', 'in', userIds).select('user_id').execute()
  const known = new Set(rows.map((row) => row.user_id))
  return userIds.filter((userId) => !known.has(userId))
}

/** A user made again under the id must not get what this one had. */
export async function deleteRightsOfUser(trx: Transaction, userId: string): Promise<void> {
  await raiseAccessStamp(trx)
  await trx.deleteFrom('user_role').where('user_id', '=', userId).execute()
  await trx.deleteFrom('permission_user').where('user_id', '=', userId).execute()
  await trx.deleteFrom('group_account').where('user_id', '=', userId).execute()
  await trx
    .deleteFrom('group_member')
    .where((eb) => eb.or([eb('user_id', '=', userId), eb('group_id', '=', userId)]))
    .execute()
}

/** With the roles and permissions that were about nothing else. */
export async function deleteRightsInRepository(trx: Transaction, repoId: number): Promise<void> {
  const roles = trx.selectFrom('role').where('repo_id', '=', repoId).select('id')
  await trx.deleteFrom('user_role').where('role', 'in', roles).execute()
  await trx.deleteFrom('permission_role').where('role', 'in', roles).execute()
  await trx.deleteFrom('role').where('repo_id', '=', repoId).execute()
  const removed = await trx
    .deleteFrom('permission_repository')
    .where('repo_id', '=', repoId)
    .returning('permission')
    .execute()
  if (removed.length === 0) return
  const orphans = trx
    .selectFrom('permission')
    .where('id', 'in', [...new Set(removed.map((row) => row.permission))])
    .where('id', 'not in', trx.selectFrom('permission_repository').select('permission'))
    .select('id')
  const ids = (await orphans.execute()).map((row) => row.id)
  if (ids.length === 0) return
  await trx.deleteFrom('permission_user').where('permission', 'in', ids).execute()
  await trx.deleteFrom('permission_role').where('permission', 'in', ids).execute()
  await trx.deleteFrom('permission').where('id', 'in', ids).execute()
}
