import type { UserAccount } from '../access/users.ts'
import { toUser } from '../access/users.ts'
import type { Reader, Transaction } from '../database.ts'
import { anyOf } from '../sql/any-of.ts'
import { insertingRows, updatingRows } from '../sql/insert-rows.ts'

/** What names a role wherever ids are given anew. */
export interface RoleName {
  readonly projectId: string
  /** Null: of the whole project. */
  readonly repoName: string | null
  readonly roleId: string
}
export interface StoredToken {
  readonly userId: string
  readonly name: string
  /** SHA-256 of the token. */
  readonly hash: Uint8Array
  readonly createdAt: number
  readonly expiresAt: number | null
}

/** After this id, ascending by id. */
export async function pageUsers(reader: Reader, after: string, limit: number): Promise<UserAccount[]> {
  const rows = reader.selectFrom('user_account').selectAll().where('user_id', '>', after).orderBy('user_id')
  return (await rows.limit(limit).execute()).map(toUser)
}

/** Ascending by user and name. */
export async function tokensOfUsers(reader: Reader, userIds: readonly string[]): Promise<StoredToken[]> {
  const rows = await reader
    .selectFrom('user_token')
    .selectAll()
    .where(anyOf(reader, 'user_id', userIds))
    .orderBy('user_id')
    .orderBy('name')
    .execute()
  return rows.map((row) => ({
    ...{ userId: row.user_id, name: row.name, hash: row.token_hash },
    ...{ createdAt: row.created_at, expiresAt: row.expires_at },
  }))
}

/** Roles in projects and in live repositories, ascending by user and role. */
export async function rolesOfUsers(
  reader: Reader,
  userIds: readonly string[],
): Promise<(RoleName & { readonly userId: string })[]> {
  const rows = await reader
    .selectFrom('user_role')
    .innerJoin('role', 'role.id', 'user_role.role')
    .leftJoin('repository', 'repository.id', 'role.repo_id')
    .where(anyOf(reader, 'user_role.user_id', userIds))
    .where((eb) => eb.or([eb('role.repo_id', '=', 0), eb('repository.deleted_at', 'is', null)]))
    .select(['user_role.user_id', 'role.project', 'role.role_id', 'repository.name'])
    .orderBy('user_role.user_id')
    .orderBy('role.id')
    .execute()
  return rows.map((row) => ({
    ...{ userId: row.user_id, projectId: row.project, repoName: row.name, roleId: row.role_id },
  }))
}

/** Those that are there; nobody else changes them before the transaction ends. */
export async function lockUsers(trx: Transaction, userIds: readonly string[]): Promise<Map<string, UserAccount>> {
  const rows = await trx
    .updateTable('user_account')
    .set((eb) => ({ modified_at: eb.ref('modified_at') }))
    .where(anyOf(trx, 'user_id', userIds))
    .returningAll()
    .execute()
  return new Map(rows.map((row) => [row.user_id, toUser(row)]))
}

const columns = {
  user_id: ['text', (user: UserAccount) => user.userId],
  name: ['text', (user: UserAccount) => user.name],
  password_hash: ['text', (user: UserAccount) => user.passwordHash],
  admin: ['bigint', (user: UserAccount) => Number(user.admin)],
  locked: ['bigint', (user: UserAccount) => Number(user.locked)],
  email: ['text', (user: UserAccount) => user.email],
  phone: ['text', (user: UserAccount) => user.phone],
  credential_stamp: ['bigint', (user: UserAccount) => user.credentialStamp],
  created_by: ['text', (user: UserAccount) => user.createdBy],
  created_at: ['bigint', (user: UserAccount) => user.createdAt],
  modified_by: ['text', (user: UserAccount) => user.modifiedBy],
  modified_at: ['bigint', (user: UserAccount) => user.modifiedAt],
} as const

/** None of them is there. */
export const insertUsers = insertingRows<'user_account', UserAccount>({ into: 'user_account', columns })

/** All but who made them, and when. They are locked (`lockUsers`). */
export const updateUsers = updatingRows<UserAccount>({
  columns,
  statement: `update user_account set name = v.name, password_hash = v.password_hash, admin = v.admin, locked = v.locked,
    email = v.email, phone = v.phone, credential_stamp = v.credential_stamp, modified_by = v.modified_by,
    modified_at = v.modified_at from v where user_account.user_id = v.user_id`,
})

/** Names that the user has, and tokens that somebody has, stay as they are. */
export const addUserTokens = insertingRows<'user_token', StoredToken>({
  into: 'user_token',
  columns: {
    user_id: ['text', ({ userId }) => userId],
    name: ['text', ({ name }) => name],
    token_hash: ['bytea', ({ hash }) => hash],
    created_at: ['bigint', ({ createdAt }) => createdAt],
    expires_at: ['bigint', ({ expiresAt }) => expiresAt],
  },
  onConflict: 'on conflict do nothing',
})

/** @param rows of which some may be there. */
export const addGroups = insertingRows<'group_account', string>({
  into: 'group_account',
  columns: { user_id: ['text', (userId) => userId] },
  onConflict: 'on conflict do nothing',
})
export const addGroupMembers = insertingRows<'group_member', { readonly group: string; readonly member: string }>({
  into: 'group_member',
  columns: { group_id: ['text', ({ group }) => group], user_id: ['text', ({ member }) => member] },
  onConflict: 'on conflict do nothing',
})
/** `role` is `role.id`. */
export const addUserRoles = insertingRows<'user_role', { readonly role: string; readonly userId: string }>({
  into: 'user_role',
  columns: { role: ['text', ({ role }) => role], user_id: ['text', ({ userId }) => userId] },
  onConflict: 'on conflict do nothing',
})

/** Which of these users are there. */
export async function knownUsers(reader: Reader, userIds: readonly string[]): Promise<ReadonlySet<string>> {
  if (userIds.length === 0) return new Set()
  const rows = await reader
    .selectFrom('user_account')
    .select('user_id')
    .where(anyOf(reader, 'user_id', userIds))
    .execute()
  return new Set(rows.map((row) => row.user_id))
}
