import { membersOf } from '../../metadata/access/copied-access.ts'
import { findUsers, type StoredUser } from '../../metadata/access/copied-users.ts'
import { unknownUsers } from '../../metadata/access/granted-rights.ts'
import { putGroup } from '../../metadata/access/groups.ts'
import { insertUser, updateUser } from '../../metadata/access/users.ts'
import type { AccessCounts, CopiedUser } from '../../remotes/cluster/access-messages.ts'
import { type Change, type Copying, counted, isSame } from './copying.ts'

/** New users are made; those that this source made, and that nobody changed since, follow it; all others stay. */
export async function applyUsers(copying: Copying, users: readonly CopiedUser[]): Promise<AccessCounts> {
  const { trx, by } = copying
  const ids = users.map(({ userId }) => userId)
  const known = await findUsers(trx, ids)
  const changes = new Map<string, Change>()
  for (const user of users) changes.set(user.userId, await applyUser(copying, user, known.get(user.userId)))
  const groups = users.filter(({ userId, group }) => group && changes.get(userId) !== 'kept')
  const there = await membersOf(
    trx,
    groups.map(({ userId }) => userId),
  )
  const absent = new Set(await unknownUsers(trx, [...new Set(groups.flatMap(({ members }) => members))]))
  for (const { userId, members } of groups) {
    const present = members.filter((member) => !absent.has(member) && member !== userId)
    const before = there.get(userId)
    if (before !== undefined && isSame(before, present)) continue
    await putGroup(trx, userId, true, present)
    if (changes.get(userId) === 'unchanged') changes.set(userId, 'updated')
  }
  for (const { userId, group } of users) {
    const stored = known.get(userId)
    if (!group && stored?.modifiedBy === by.userId && userId !== copying.caller)
      await putGroup(trx, userId, false, undefined)
  }
  return counted([...changes.values()])
}

async function applyUser(
  { trx, by, caller }: Copying,
  user: CopiedUser,
  stored: StoredUser | undefined,
): Promise<Change> {
  const { userId, name, passwordHash, locked, email, phone } = user
  const admin = user.admin ?? stored?.admin ?? false
  const told = { name, passwordHash, admin, locked, email, phone }
  if (stored === undefined) {
    const stamps = { createdBy: by.userId, createdAt: by.at, modifiedBy: by.userId, modifiedAt: by.at }
    // As in `auth/users.ts`: a user made again under a deleted one's id must not meet that one's cached logins.
    return (await insertUser(trx, { userId, ...told, credentialStamp: by.at, ...stamps })) ? 'created' : 'kept'
  }
  if (userId === caller || stored.modifiedBy !== by.userId) return 'kept'
  const changed = <T>(before: T, now: T): T | undefined => (before === now ? undefined : now)
  const change = {
    name: changed(stored.name, name),
    passwordHash: changed(stored.passwordHash, passwordHash),
    admin: changed(stored.admin, admin),
    locked: changed(stored.locked, locked),
    email: changed(stored.email, email),
    phone: changed(stored.phone, phone),
  }
  if (Object.values(change).every((value) => value === undefined)) return 'unchanged'
  await updateUser(trx, userId, change, by)
  return 'updated'
}
