import { AppError, invalid } from '../../core/errors.ts'
import { raiseAccessStamp } from '../../metadata/access/access-facts.ts'
import { membersOf } from '../../metadata/access/copied-access.ts'
import { holdAdministrators, type UserAccount } from '../../metadata/access/users.ts'
import {
  addGroupMembers,
  addGroups,
  addUserRoles,
  addUserTokens,
  insertUsers,
  knownUsers,
  lockUsers,
  pageUsers,
  rolesOfUsers,
  tokensOfUsers,
  updateUsers,
} from '../../metadata/backup/user-rows.ts'
import type { Transaction } from '../../metadata/database.ts'
import { COMMON_FILES } from '../records/record-files.ts'
import type { RestoreRun } from '../restore/restore-run.ts'
import type { CommonFile } from './common-file.ts'
import { byKey, type CommonFilesDeps } from './common-parts.ts'
import { type BatchOutcome, createTally, inBatches } from './record-batches.ts'
import { findRoles, roleKey } from './right-places.ts'
import { documentOfUser, type UserRecord, userIn } from './user-records.ts'

type Deps = Pick<CommonFilesDeps, 'db' | 'clock' | 'parseTime'>

/** Whom a first start makes: stays an administrator, whatever a backup says. */
const BUILT_IN = 'admin'
const file = COMMON_FILES.user

/**
 * Users with their tokens first; what they belong to (roles, groups) when roles and all users are there. A user that is kept keeps
 * what it belongs to as well.
 */
export function createUsersFile({ db, clock, parseTime }: Deps): CommonFile {
  async function* read(reader: Parameters<CommonFile['read']>[0], signal: AbortSignal) {
    const source = { reader, first: '', keyOf: (user: UserAccount) => user.userId }
    for await (const users of byKey(pageUsers, source, signal)) {
      const ids = users.map(({ userId }) => userId)
      const tokens = Map.groupBy(await tokensOfUsers(reader, ids), ({ userId }) => userId)
      const roles = Map.groupBy(await rolesOfUsers(reader, ids), ({ userId }) => userId)
      const members = await membersOf(reader, ids)
      for (const user of users) {
        const { userId } = user
        const ties = { tokens: tokens.get(userId) ?? [], roles: roles.get(userId) ?? [], members: members.get(userId) }
        yield documentOfUser(user, ties)
      }
    }
  }

  const putUsers = (run: RestoreRun, restored: Set<string>, records: readonly UserRecord[]): Promise<BatchOutcome> =>
    db.transact(async (trx) => {
      await raiseAccessStamp(trx)
      const known = await lockUsers(
        trx,
        records.map(({ userId }) => userId),
      )
      const tally = createTally()
      const protection = await administratorsToKeep(trx, run, records)
      const put: { readonly record: UserRecord; readonly user: UserAccount }[] = []
      for (const record of records) {
        const stored = known.get(record.userId)
        if (stored !== undefined && run.onConflict === 'SKIP') tally.skipped()
        else if (stored === undefined && record.passwordHash === undefined) {
          tally.fail(
            record.userId,
            invalid('passwordHash', 'a user that is not there needs one; create the user first'),
          )
        } else {
          const user = stored === undefined ? newUser(record, clock.now()) : merged(record, stored, run, protection)
          put.push({ record, user })
          tally.restored()
        }
      }
      const isNew = ({ userId }: { readonly userId: string }) => !known.has(userId)
      const users = put.map(({ user }) => user)
      await insertUsers(trx, users.filter(isNew))
      await updateUsers(
        trx,
        users.filter((user) => !isNew(user) && !isSame(user, known.get(user.userId)!)),
      )
      await addUserTokens(
        trx,
        put.flatMap(({ record, user }) => (isNew(user) || bringsCredentials(run, record) ? record.tokens : [])),
      )
      for (const { userId } of users) restored.add(userId)
      return tally.outcome()
    })

  const putTies = (restored: ReadonlySet<string>, records: readonly UserRecord[]): Promise<BatchOutcome> =>
    db.transact(async (trx) => {
      await raiseAccessStamp(trx)
      const put = records.filter(({ userId }) => restored.has(userId))
      const roles = await findRoles(
        trx,
        put.flatMap((record) => record.roles),
      )
      const members = await knownUsers(trx, [...new Set(put.flatMap((record) => record.members))])
      const tally = createTally()
      for (const { userId, ...record } of put) {
        const lost = [
          ...record.roles.filter((role) => !roles.has(roleKey(role))).map((role) => `role [${roleKey(role)}]`),
          ...record.members.filter((member) => !members.has(member)).map((member) => `member [${member}]`),
        ]
        if (lost.length > 0) tally.fail(userId, notThere(lost))
      }
      const groups = put.filter(({ group, members: given }) => group || given.length > 0)
      await addGroups(
        trx,
        groups.map(({ userId }) => userId),
      )
      await addGroupMembers(
        trx,
        groups.flatMap(({ userId, members: given }) =>
          given.filter((member) => members.has(member)).map((member) => ({ group: userId, member })),
        ),
      )
      await addUserRoles(
        trx,
        put.flatMap(({ userId, roles: given }) =>
          given.flatMap((role) => roles.get(roleKey(role)) ?? []).map(({ id }) => ({ role: id, userId })),
        ),
      )
      return tally.outcome()
    })

  const rules = {
    file,
    nameField: 'userId',
    read: (fields: Parameters<typeof userIn>[0]) => userIn(fields, parseTime),
    keyOf: ({ userId }: UserRecord) => userId,
  }
  return {
    path: file,
    read,
    restoring(run) {
      const restored = new Set<string>()
      return {
        beforeRepositories: inBatches(run, { ...rules, apply: (records) => putUsers(run, restored, records) }),
        afterRepositories: inBatches(run, { ...rules, bad: 'told', apply: (records) => putTies(restored, records) }),
      }
    },
  }
}

/** As in `auth/users.ts`: a user made again under a deleted one's id must not meet that one's cached logins. */
const newUser = ({ group, members, roles, tokens, ...record }: UserRecord, now: number): UserAccount => ({
  ...record,
  passwordHash: record.passwordHash!,
  credentialStamp: now,
})

function merged(record: UserRecord, stored: UserAccount, run: RestoreRun, keepAdmin: ReadonlySet<string>): UserAccount {
  const { name, email, phone, modifiedBy, modifiedAt } = record
  const described = { ...stored, name, email, phone, modifiedBy, modifiedAt }
  if (!bringsCredentials(run, record)) return described
  const isKept = keepAdmin.has(record.userId)
  const passwordHash = record.passwordHash ?? stored.passwordHash
  const admin = isKept ? stored.admin || record.admin : record.admin
  const locked = isKept ? stored.locked && record.locked : record.locked
  const changes = passwordHash !== stored.passwordHash || admin !== stored.admin || locked !== stored.locked
  return { ...described, passwordHash, admin, locked, credentialStamp: stored.credentialStamp + Number(changes) }
}

/** Whether what lets in a user who is there comes from the backup: a token may have been revoked since. */
const bringsCredentials = ({ by, task }: RestoreRun, { userId }: UserRecord): boolean =>
  task.setting.restoreCredentials && userId !== by

/** Who is neither demoted nor locked: whom a first start made, and the last administrator that there would be. */
async function administratorsToKeep(
  trx: Transaction,
  { by, task }: RestoreRun,
  records: readonly UserRecord[],
): Promise<ReadonlySet<string>> {
  if (!task.setting.restoreCredentials) return new Set()
  const losing = new Set(records.filter(({ admin, locked }) => !admin || locked).map(({ userId }) => userId))
  const administrators = await holdAdministrators(trx)
  const stay = administrators.some((userId) => !losing.has(userId) || userId === by || userId === BUILT_IN)
  return new Set(stay ? [BUILT_IN] : [BUILT_IN, ...administrators.slice(0, 1)])
}

const isSame = (a: UserAccount, b: UserAccount): boolean =>
  (Object.keys(a) as (keyof UserAccount)[]).every((field) => a[field] === b[field])

const MAX_NAMED = 20
/** What a record names, and nobody has here. */
export function notThere(lost: readonly string[]): AppError {
  const more = lost.length > MAX_NAMED ? ` and ${lost.length - MAX_NAMED} more` : ''
  const names = `${lost.slice(0, MAX_NAMED).join(', ')}${more}`
  return new AppError('RESOURCE_NOT_FOUND', `It is restored without what is not there: ${names}`, {})
}
