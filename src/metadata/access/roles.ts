import type { Selectable } from 'kysely'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { anyOf } from '../sql/any-of.ts'

/** A role as stored. Times are UTC epoch milliseconds. */
export interface Role {
  /** 24 hex digits. */
  readonly id: string
  /** The name that its maker chose, unique in its project and repository. */
  readonly roleId: string
  readonly type: 'PROJECT' | 'REPO'
  readonly project: string
  /** 0 for a role of the whole project. */
  readonly repoId: number
  /** Null for a role of the whole project. */
  readonly repoName: string | null
  readonly name: string
  /** Whoever has it administers the project, or the repository. */
  readonly admin: boolean
  readonly description: string | null
  readonly createdBy: string
  readonly createdAt: number
  readonly modifiedBy: string
  readonly modifiedAt: number
}
export interface RoleFilter {
  readonly type?: Role['type'] | undefined
  readonly project?: string | undefined
  readonly repoId?: number | undefined
}
/** A user who has a role. */
export interface RoleUser {
  readonly userId: string
  readonly name: string
}

/** False: the role id is taken in that project or repository. */
export async function insertRole(trx: Transaction, role: Role): Promise<boolean> {
  const row = await trx
    .insertInto('role')
    .values({
      id: role.id,
      role_id: role.roleId,
      type: role.type,
      project: role.project,
      repo_id: role.repoId,
      name: role.name,
      admin: Number(role.admin),
      description: role.description,
      created_by: role.createdBy,
      created_at: role.createdAt,
      modified_by: role.modifiedBy,
      modified_at: role.modifiedAt,
    })
    .onConflict((oc) => oc.columns(['project', 'repo_id', 'role_id']).doNothing())
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

export async function findRole(reader: Reader, id: string): Promise<Role | undefined> {
  const row = await all(reader).where('role.id', '=', id).executeTakeFirst()
  return row && toRole(row)
}

/** Those of these ids that are there; up to 1,000 ids. */
export async function listRolesById(reader: Reader, ids: readonly string[]): Promise<Role[]> {
  return ids.length === 0 ? [] : (await all(reader).where('role.id', 'in', ids).execute()).map(toRole)
}

/** The role of that name in a project (`repoId` 0) or a repository. */
export async function findRoleByName(
  reader: Reader,
  project: string,
  repoId: number,
  roleId: string,
): Promise<Role | undefined> {
  const row = await all(reader)
    .where('role.project', '=', project)
    .where('role.repo_id', '=', repoId)
    .where('role.role_id', '=', roleId)
    .executeTakeFirst()
  return row && toRole(row)
}

/** Ascending by project, repository and role id. */
export async function listRoles(reader: Reader, { type, project, repoId }: RoleFilter): Promise<Role[]> {
  let query = all(reader)
  if (type !== undefined) query = query.where('role.type', '=', type)
  if (project !== undefined) query = query.where('role.project', '=', project)
  if (repoId !== undefined) query = query.where('role.repo_id', '=', repoId)
  const rows = await query.orderBy('role.project').orderBy('repository.name').orderBy('role.role_id').execute()
  return rows.map(toRole)
}

/** After this id, ascending by id. */
export async function pageRoles(reader: Reader, after: string, limit: number): Promise<Role[]> {
  const rows = all(reader).where('role.id', '>', after).orderBy('role.id').limit(limit)
  return (await rows.execute()).map(toRole)
}
/** Of these projects and their repositories. */
export async function listRolesIn(reader: Reader, projects: readonly string[]): Promise<Role[]> {
  if (projects.length === 0) return []
  return (
    await all(reader)
      .where(anyOf(reader, 'role.project', projects))
      .orderBy('role.id')
      .execute()
  ).map(toRole)
}

/** Missing is fine. */
export async function deleteRole(trx: Transaction, id: string): Promise<void> {
  await trx.deleteFrom('permission_role').where('role', '=', id).execute()
  await trx.deleteFrom('user_role').where('role', '=', id).execute()
  await trx.deleteFrom('role').where('id', '=', id).execute()
}

/** Ascending by user id. */
export async function listRoleUsers(reader: Reader, id: string): Promise<RoleUser[]> {
  return reader
    .selectFrom('user_role')
    .innerJoin('user_account', 'user_account.user_id', 'user_role.user_id')
    .where('user_role.role', '=', id)
    .select(['user_account.user_id as userId', 'user_account.name'])
    .orderBy('user_account.user_id')
    .execute()
}

/** Ids of the roles of each of these users; all users when left out. */
export async function listRolesOfUsers(
  reader: Reader,
  userIds: readonly string[] | undefined,
): Promise<Map<string, string[]>> {
  let query = reader.selectFrom('user_role').select(['user_id', 'role']).orderBy('role')
  if (userIds !== undefined) query = query.where('user_id', 'in', userIds)
  const rows = userIds?.length === 0 ? [] : await query.execute()
  const byUser = Map.groupBy(rows, (row) => row.user_id)
  return new Map([...byUser].map(([userId, of]) => [userId, of.map((row) => row.role)]))
}

/** Those who have it already are fine. */
export async function addRoleUsers(trx: Transaction, id: string, userIds: readonly string[]): Promise<void> {
  if (userIds.length === 0) return
  await trx
    .insertInto('user_role')
    .values(userIds.map((userId) => ({ role: id, user_id: userId })))
    .onConflict((oc) => oc.columns(['role', 'user_id']).doNothing())
    .execute()
}

/** Those who do not have it are fine. */
export async function removeRoleUsers(trx: Transaction, id: string, userIds: readonly string[]): Promise<void> {
  if (userIds.length === 0) return
  await trx.deleteFrom('user_role').where('role', '=', id).where('user_id', 'in', userIds).execute()
}

const all = (reader: Reader) =>
  reader
    .selectFrom('role')
    .leftJoin('repository', 'repository.id', 'role.repo_id')
    .selectAll('role')
    .select('repository.name as repo_name')

function toRole(row: Selectable<Schema['role']> & { readonly repo_name: string | null }): Role {
  return {
    id: row.id,
    roleId: row.role_id,
    type: row.type,
    project: row.project,
    repoId: row.repo_id,
    repoName: row.repo_name,
    name: row.name,
    admin: row.admin === 1,
    description: row.description,
    createdBy: row.created_by,
    createdAt: row.created_at,
    modifiedBy: row.modified_by,
    modifiedAt: row.modified_at,
  }
}
