import type { Reader, Transaction } from '../database.ts'
import { listRolesOfUsers } from './roles.ts'

/** What a user belongs to and what belongs to it. */
export interface UserTies {
  /** `role.id`. */
  readonly roles: readonly string[]
  /** An account that others share. */
  readonly group: boolean
  /** Who shares it, ascending. */
  readonly members: readonly string[]
}

/** Undefined: stays as it is. No group any more: nobody shares it. */
export async function putGroup(
  trx: Transaction,
  userId: string,
  group: boolean | undefined,
  members: readonly string[] | undefined,
): Promise<void> {
  if (group === true) {
    const row = { user_id: userId }
    await trx
      .insertInto('group_account')
      .values(row)
      .onConflict((oc) => oc.column('user_id').doNothing())
      .execute()
  }
  if (group === false) await trx.deleteFrom('group_account').where('user_id', '=', userId).execute()
  if (group === false || members !== undefined) {
    await trx.deleteFrom('group_member').where('group_id', '=', userId).execute()
  }
  const rows = (members ?? []).map((member) => ({ group_id: userId, user_id: member }))
  if (rows.length > 0) await trx.insertInto('group_member').values(rows).execute()
}

export async function isGroup(reader: Reader, userId: string): Promise<boolean> {
  const found = await reader.selectFrom('group_account').select('user_id').where('user_id', '=', userId).execute()
  return found.length > 0
}

/** Of these users, all when left out; the answer knows each user, also one without ties. */
export async function listUserTies(
  reader: Reader,
  userIds: readonly string[] | undefined,
): Promise<(userId: string) => UserTies> {
  const roles = await listRolesOfUsers(reader, userIds)
  let groups = reader.selectFrom('group_account').select('user_id')
  let members = reader.selectFrom('group_member').select(['group_id', 'user_id']).orderBy('user_id')
  if (userIds !== undefined) {
    groups = groups.where('user_id', 'in', userIds)
    members = members.where('group_id', 'in', userIds)
  }
  const shared = new Set((await groups.execute()).map((row) => row.user_id))
  const sharing = Map.groupBy(await members.execute(), (row) => row.group_id)
  return (userId) => ({
    roles: roles.get(userId) ?? [],
    group: shared.has(userId),
    members: (sharing.get(userId) ?? []).map((row) => row.user_id),
  })
}
