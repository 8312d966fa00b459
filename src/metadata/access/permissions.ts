import type { Selectable } from 'kysely'
import type { NodePath } from '../../core/paths.ts'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { anyOf } from '../sql/any-of.ts'
import type { ResourceType } from './granted-rights.ts'

/** What is stored of a permission itself. Times are UTC epoch milliseconds. */
export interface PermissionRow {
  /** 24 hex digits. */
  readonly id: string
  readonly resourceType: ResourceType
  /** Empty for those of the system. */
  readonly project: string
  /** The repository that it came with; 0 for one that somebody made. */
  readonly homeRepo: number
  readonly name: string
  readonly include: readonly NodePath[]
  readonly exclude: readonly NodePath[]
  readonly actions: readonly string[]
  readonly createdBy: string
  readonly createdAt: number
  readonly modifiedBy: string
  readonly modifiedAt: number
}
/** With all that it names. */
export interface Permission extends PermissionRow {
  /** Names, ascending. */
  readonly repos: readonly string[]
  readonly users: readonly string[]
  /** `role.id`. */
  readonly roles: readonly string[]
}
export interface PermissionFilter {
  readonly resourceType?: ResourceType | undefined
  readonly project?: string | undefined
  readonly repoId?: number | undefined
}

/** False: the name is taken. */
export async function insertPermissions(trx: Transaction, permissions: readonly PermissionRow[]): Promise<boolean> {
  const inserted = await trx
    .insertInto('permission')
    .values(
      permissions.map((permission) => ({
        id: permission.id,
        resource_type: permission.resourceType,
        project: permission.project,
        home_repo: permission.homeRepo,
        name: permission.name,
        include: JSON.stringify(permission.include),
        exclude: JSON.stringify(permission.exclude),
        actions: JSON.stringify(permission.actions),
        created_by: permission.createdBy,
        created_at: permission.createdAt,
        modified_by: permission.modifiedBy,
        modified_at: permission.modifiedAt,
      })),
    )
    .onConflict((oc) => oc.columns(['project', 'home_repo', 'name']).doNothing())
    .returning('id')
    .execute()
  return inserted.length === permissions.length
}

export async function findPermission(reader: Reader, id: string): Promise<Permission | undefined> {
  const rows = await reader.selectFrom('permission').selectAll().where('id', '=', id).execute()
  return (await withNames(reader, rows))[0]
}

/** Ascending by project and name; the number of statements does not grow with them. */
export async function listPermissions(reader: Reader, filter: PermissionFilter): Promise<Permission[]> {
  const { resourceType, project, repoId } = filter
  let query = reader.selectFrom('permission').selectAll()
  if (resourceType !== undefined) query = query.where('resource_type', '=', resourceType)
  if (project !== undefined) query = query.where('project', '=', project)
  if (repoId !== undefined) {
    const named = reader.selectFrom('permission_repository').where('repo_id', '=', repoId).select('permission')
    query = query.where('id', 'in', named)
  }
  return withNames(reader, await query.orderBy('project').orderBy('name').orderBy('id').execute())
}

/** After this id, ascending by id. */
export async function pagePermissions(reader: Reader, after: string, limit: number): Promise<Permission[]> {
  const rows = reader.selectFrom('permission').selectAll().where('id', '>', after).orderBy('id').limit(limit)
  return withNames(reader, await rows.execute())
}
/** Of these projects; empty: of the system. */
export async function listPermissionsIn(reader: Reader, projects: readonly string[]): Promise<Permission[]> {
  if (projects.length === 0) return []
  const rows = reader
    .selectFrom('permission')
    .selectAll()
    .where(anyOf(reader, 'project', projects))
    .orderBy('id')
  return withNames(reader, await rows.execute())
}

/** Undefined: stays as it is. */
export interface PermissionChange {
  readonly include?: readonly NodePath[] | undefined
  readonly exclude?: readonly NodePath[] | undefined
  readonly actions?: readonly string[] | undefined
}

export async function updatePermission(
  trx: Transaction,
  id: string,
  { include, exclude, actions }: PermissionChange,
  by: { readonly userId: string; readonly at: number },
): Promise<void> {
  await trx
    .updateTable('permission')
    .set({
      modified_by: by.userId,
      modified_at: by.at,
      ...(include && { include: JSON.stringify(include) }),
      ...(exclude && { exclude: JSON.stringify(exclude) }),
      ...(actions && { actions: JSON.stringify(actions) }),
    })
    .where('id', '=', id)
    .execute()
}

/** These and no others. */
export async function setPermissionRepositories(
  trx: Transaction,
  id: string,
  repoIds: readonly number[],
): Promise<void> {
  await trx.deleteFrom('permission_repository').where('permission', '=', id).execute()
  const rows = repoIds.map((repoId) => ({ permission: id, repo_id: repoId }))
  if (rows.length > 0) await trx.insertInto('permission_repository').values(rows).execute()
}
export async function setPermissionUsers(trx: Transaction, id: string, userIds: readonly string[]): Promise<void> {
  await trx.deleteFrom('permission_user').where('permission', '=', id).execute()
  const rows = userIds.map((userId) => ({ permission: id, user_id: userId }))
  if (rows.length > 0) await trx.insertInto('permission_user').values(rows).execute()
}
/** @param roles `role.id`. */
export async function setPermissionRoles(trx: Transaction, id: string, roles: readonly string[]): Promise<void> {
  await trx.deleteFrom('permission_role').where('permission', '=', id).execute()
  const rows = roles.map((role) => ({ permission: id, role }))
  if (rows.length > 0) await trx.insertInto('permission_role').values(rows).execute()
}

/** Missing is fine. */
export async function deletePermission(trx: Transaction, id: string): Promise<void> {
  await trx.deleteFrom('permission_repository').where('permission', '=', id).execute()
  await trx.deleteFrom('permission_user').where('permission', '=', id).execute()
  await trx.deleteFrom('permission_role').where('permission', '=', id).execute()
  await trx.deleteFrom('permission').where('id', '=', id).execute()
}

/** `permissions` come in slices, so that their ids fit into one statement. */
async function withNames(reader: Reader, rows: readonly Selectable<Schema['permission']>[]): Promise<Permission[]> {
  const found: Permission[] = []
  for (let from = 0; from < rows.length; from += IDS_PER_STATEMENT) {
    found.push(...(await sliceWithNames(reader, rows.slice(from, from + IDS_PER_STATEMENT))))
  }
  return found
}
const IDS_PER_STATEMENT = 1_000

async function sliceWithNames(reader: Reader, rows: readonly Selectable<Schema['permission']>[]) {
  const ids = rows.map((row) => row.id)
  const repos = await reader
    .selectFrom('permission_repository')
    .innerJoin('repository', 'repository.id', 'permission_repository.repo_id')
    .where('permission', 'in', ids)
    .select(['permission', 'name as held'])
    .orderBy('name')
    .execute()
  const users = await reader
    .selectFrom('permission_user')
    .where('permission', 'in', ids)
    .select(['permission', 'user_id as held'])
    .orderBy('user_id')
    .execute()
  const roles = await reader
    .selectFrom('permission_role')
    .where('permission', 'in', ids)
    .select(['permission', 'role as held'])
    .orderBy('role')
    .execute()
  const byPermission = (held: readonly { permission: string; held: string }[]) => {
    const groups = Map.groupBy(held, (row) => row.permission)
    return (id: string) => (groups.get(id) ?? []).map((row) => row.held)
  }
  const [reposOf, usersOf, rolesOf] = [byPermission(repos), byPermission(users), byPermission(roles)]
  return rows.map((row) => ({
    ...toPermissionRow(row),
    repos: reposOf(row.id),
    users: usersOf(row.id),
    roles: rolesOf(row.id),
  }))
}

function toPermissionRow(row: Selectable<Schema['permission']>): PermissionRow {
  return {
    id: row.id,
    resourceType: row.resource_type,
    project: row.project,
    homeRepo: row.home_repo,
    name: row.name,
    include: JSON.parse(row.include) as NodePath[],
    exclude: JSON.parse(row.exclude) as NodePath[],
    actions: JSON.parse(row.actions) as string[],
    createdBy: row.created_by,
    createdAt: row.created_at,
    modifiedBy: row.modified_by,
    modifiedAt: row.modified_at,
  }
}
