import { AppError, invalid } from '../core/errors.ts'
import { raiseAccessStamp } from '../metadata/access/access-facts.ts'
import { unknownUsers } from '../metadata/access/granted-rights.ts'
import { isGroup, putGroup } from '../metadata/access/groups.ts'
import type { Transaction } from '../metadata/database.ts'

/** Undefined: stays as it is. */
export interface GroupChange {
  readonly group?: boolean | undefined
  readonly members?: readonly string[] | undefined
}

const MAX_MEMBERS = 1_000

/** Inside a transaction that writes the user. @throws AppError PARAMETER_INVALID, USER_NOT_FOUND for a member that is not there. */
export async function changeGroup(trx: Transaction, userId: string, { group, members }: GroupChange): Promise<void> {
  if (group === undefined && members === undefined) return
  await raiseAccessStamp(trx)
  const distinct = members && [...new Set(members)]
  if (distinct !== undefined && distinct.length > 0) {
    if (distinct.length > MAX_MEMBERS) throw invalid('asstUsers', `at most ${MAX_MEMBERS}`)
    if (distinct.includes(userId)) throw invalid('asstUsers', 'a group is none of its own members')
    if (!(group ?? (await isGroup(trx, userId)))) throw invalid('asstUsers', 'only a group has them')
    const [unknown] = await unknownUsers(trx, distinct)
    if (unknown !== undefined) throw new AppError('USER_NOT_FOUND', `User [${unknown}] not found`, { userId: unknown })
  }
  await putGroup(trx, userId, group, distinct)
}
