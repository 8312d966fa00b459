import type { Reader, Transaction } from '../database.ts'
import { anyOf } from '../sql/any-of.ts'
import { membersOf } from './copied-access.ts'
import { listUsers, type UserAccount } from './users.ts'

/** A user as another cluster gets it. */
export interface UserToCopy
  extends Pick<UserAccount, 'userId' | 'name' | 'passwordHash' | 'admin' | 'locked' | 'email' | 'phone'> {
  readonly group: boolean
  readonly members: readonly string[]
}

/** These users, all when left out, with the members of groups among them; groups last, else ascending by id. */
export async function listUsersToCopy(reader: Reader, userIds: readonly string[] | undefined): Promise<UserToCopy[]> {
  const all = await listUsers(reader, {})
  const ids = userIds ?? all.map(({ userId }) => userId)
  const members = await membersOf(reader, ids)
  const wanted = new Set([...ids, ...[...members.values()].flat()])
  const users = all
    .filter(({ userId }) => wanted.has(userId))
    .map(({ userId, name, passwordHash, admin, locked, email, phone }) => {
      const group = members.get(userId)
      const told = { userId, name, passwordHash, admin, locked, email, phone }
      return { ...told, group: group !== undefined, members: group ?? [] }
    })
  return users.sort((a, b) => Number(a.group) - Number(b.group))
}

/** By id, those that are there. */
export async function findUsers(reader: Reader, userIds: readonly string[]): Promise<ReadonlyMap<string, StoredUser>> {
  if (userIds.length === 0) return new Map()
  const rows = await reader
    .selectFrom('user_account')
    .select(['user_id', 'name', 'password_hash', 'admin', 'locked', 'email', 'phone', 'modified_by'])
    .where(anyOf(reader, 'user_id', userIds))
    .execute()
  return new Map(
    rows.map((row) => [
      row.user_id,
      {
        ...{ userId: row.user_id, name: row.name, passwordHash: row.password_hash, email: row.email, phone: row.phone },
        ...{ admin: row.admin === 1, locked: row.locked === 1, modifiedBy: row.modified_by },
      },
    ]),
  )
}
export interface StoredUser
  extends Pick<UserAccount, 'userId' | 'name' | 'passwordHash' | 'admin' | 'locked' | 'email' | 'phone'> {
  readonly modifiedBy: string
}

/** Renames and describes a role anew. */
export async function updateRole(
  trx: Transaction,
  id: string,
  role: { readonly name: string; readonly admin: boolean; readonly description: string | null },
  by: { readonly userId: string; readonly at: number },
): Promise<void> {
  const { name, admin, description } = role
  await trx
    .updateTable('role')
    .set({ name, admin: Number(admin), description, modified_by: by.userId, modified_at: by.at })
    .where('id', '=', id)
    .execute()
}
