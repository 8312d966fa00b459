import type { Reader, Transaction } from '../database.ts'
import { anyOf } from '../sql/any-of.ts'

export type HeldKind = 'role' | 'permission'
/** Whom and what a source named when it last brought a role or permission; repositories by id, roles by `role.id`. */
export interface Given {
  readonly users: readonly string[]
  readonly roles: readonly string[]
  readonly repos: readonly number[]
}

/** By id of the role or permission. */
export async function listGiven(reader: Reader, kind: HeldKind, sourceId: string): Promise<ReadonlyMap<string, Given>> {
  const rows = await reader
    .selectFrom('copied_access')
    .select(['held_id', 'given'])
    .where('kind', '=', kind)
    .where('source_id', '=', sourceId)
    .execute()
  return new Map(rows.map(({ held_id, given }) => [held_id, JSON.parse(given) as Given]))
}

export async function putGiven(
  trx: Transaction,
  kind: HeldKind,
  heldId: string,
  sourceId: string,
  given: Given,
): Promise<void> {
  const row = { kind, held_id: heldId, source_id: sourceId, given: JSON.stringify(given) }
  await trx
    .insertInto('copied_access')
    .values(row)
    .onConflict((oc) => oc.columns(['kind', 'held_id', 'source_id']).doUpdateSet({ given: row.given }))
    .execute()
}

export async function deleteGiven(trx: Transaction, kind: HeldKind, heldId: string, sourceId: string): Promise<void> {
  await trx
    .deleteFrom('copied_access')
    .where('kind', '=', kind)
    .where('held_id', '=', heldId)
    .where('source_id', '=', sourceId)
    .execute()
}

/** Who has each of these roles, ascending. */
export async function usersOfRoles(reader: Reader, roleIds: readonly string[]): Promise<ReadonlyMap<string, string[]>> {
  if (roleIds.length === 0) return new Map()
  const rows = await reader
    .selectFrom('user_role')
    .select(['role', 'user_id'])
    .where(anyOf(reader, 'role', roleIds))
    .orderBy('user_id')
    .execute()
  return new Map([...Map.groupBy(rows, ({ role }) => role)].map(([role, of]) => [role, of.map((row) => row.user_id)]))
}

/** Members of those of these users that are groups. */
export async function membersOf(reader: Reader, userIds: readonly string[]): Promise<ReadonlyMap<string, string[]>> {
  if (userIds.length === 0) return new Map()
  const rows = await reader
    .selectFrom('group_account')
    .leftJoin('group_member', 'group_member.group_id', 'group_account.user_id')
    .select(['group_account.user_id as group', 'group_member.user_id as member'])
    .where(anyOf(reader, 'group_account.user_id', userIds))
    .orderBy('group_member.user_id')
    .execute()
  const groups = Map.groupBy(rows, ({ group }) => group)
  return new Map(
    [...groups].map(([group, of]) => [group, of.flatMap(({ member }) => (member === null ? [] : [member]))]),
  )
}

/** Grows, or just changes, whenever anybody may log in or do something else than before. */
export async function accessState(reader: Reader): Promise<string> {
  const stamp = await reader.selectFrom('access_stamp').select('value').where('id', '=', 1).executeTakeFirst()
  const users = await reader
    .selectFrom('user_account')
    .select(({ fn }) => [
      fn.countAll<number>().as('n'),
      fn.sum<number | null>('credential_stamp').as('stamps'),
      fn.max('modified_at').as('at'),
    ])
    .executeTakeFirst()
  return JSON.stringify([stamp?.value ?? 0, users?.n, users?.stamps, users?.at])
}
