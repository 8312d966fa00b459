import type { Clock } from '../core/clock.ts'
import { AppError, invalid } from '../core/errors.ts'
import type { Random } from '../core/ids.ts'
import { raiseAccessStamp } from '../metadata/access/access-facts.ts'
import { listUserTies, type UserTies } from '../metadata/access/groups.ts'
import * as rows from '../metadata/access/users.ts'
import type { MetadataDatabase, Transaction } from '../metadata/database.ts'
import { changeGroup } from './groups.ts'
import type { Passwords } from './passwords.ts'
import { checkContact, checkPassword, checkUserId, checkUserName, SYSTEM_USER } from './user-rules.ts'

/** What may be told about a user. Times are UTC epoch milliseconds. */
export type User = Omit<rows.UserAccount, 'passwordHash' | 'credentialStamp'>

export interface NewUser {
  readonly userId: string
  readonly name: string
  readonly password: string
  readonly admin?: boolean | undefined
  readonly locked?: boolean | undefined
  readonly email?: string | null | undefined
  readonly phone?: string | null | undefined
  /** An account that others share: `members` may do what it may. */
  readonly group?: boolean | undefined
  readonly members?: readonly string[] | undefined
}
export type UserChange = { readonly [K in Exclude<keyof NewUser, 'userId'>]?: NewUser[K] | undefined }

/** The administrator of a first start. `generatedPassword` is to be shown once, to whoever started the server. */
export interface FirstAdministrator {
  readonly userId: string
  readonly generatedPassword: string | undefined
}

/** Accounts of people and machines. Every change of who may log in counts from the next request on, on every node. */
export interface Users {
  /**
   * @param within what else the user comes with, in the same transaction.
   * @throws AppError PARAMETER_EMPTY, PARAMETER_INVALID naming the field, USER_EXISTED, USER_NOT_FOUND for a member.
   */
  create(user: NewUser, by: string, within?: (trx: Transaction) => Promise<void>): Promise<User>
  list(filter: rows.UserFilter): Promise<User[]>
  find(userId: string): Promise<User | undefined>
  /** Roles and groups of these users, of all when left out. */
  ties(userIds: readonly string[] | undefined): Promise<(userId: string) => UserTies>
  /** @throws AppError USER_NOT_FOUND. */
  get(userId: string): Promise<User>
  /** @throws AppError USER_NOT_FOUND, PARAMETER_INVALID, also when nobody could administer the server any more. */
  update(userId: string, change: UserChange, by: string): Promise<void>
  /** @throws AppError PASSWORD_CHANGE_FAILED when `oldPassword` is wrong, PARAMETER_INVALID for the new one, USER_NOT_FOUND. */
  changePassword(userId: string, oldPassword: string, newPassword: string): Promise<void>
  /** With all tokens. @throws AppError USER_NOT_FOUND, PARAMETER_INVALID as above. */
  delete(userId: string): Promise<void>
  /**
   * On a store without users makes `admin`, with that password or a new one; otherwise does nothing and gives undefined.
   * `announce` hears of it before it counts, so that a generated password cannot be lost.
   */
  ensureAdministrator(
    password: string | undefined,
    announce?: (first: FirstAdministrator) => void,
  ): Promise<FirstAdministrator | undefined>
}

interface UserDeps {
  readonly db: MetadataDatabase
  readonly passwords: Passwords
  readonly clock: Clock
  readonly random: Random
}

const FIRST_ADMINISTRATOR = 'admin'
/** 144 bits, 24 characters. */
const GENERATED_PASSWORD_BYTES = 18

export function createUsers({ db, passwords, clock, random }: UserDeps): Users {
  async function accountOf(user: NewUser, by: string): Promise<rows.UserAccount> {
    const now = clock.now()
    const { userId, name, email = null, phone = null, admin = false, locked = false } = user
    const passwordHash = await passwords.hash(user.password)
    const stamps = { createdBy: by, createdAt: now, modifiedBy: by, modifiedAt: now }
    // Stamps start at the time, so that a user made again under a deleted one's id does not meet that one's cached logins.
    return { userId, name, email, phone, admin, locked, passwordHash, credentialStamp: now, ...stamps }
  }

  const users: Users = {
    async create(user, by, within = async () => {}) {
      checkUserId(user.userId)
      checkUserName(user.name)
      checkPassword(user.password)
      checkContacts(user)
      const account = await accountOf(user, by)
      await db.transact(async (trx) => {
        if (!(await rows.insertUser(trx, account))) {
          throw new AppError('USER_EXISTED', `User [${user.userId}] existed`, { userId: user.userId })
        }
        await changeGroup(trx, user.userId, user)
        await within(trx)
      })
      return withoutSecrets(account)
    },
    async list(filter) {
      return (await rows.listUsers(db.read, filter)).map(withoutSecrets)
    },
    async find(userId) {
      const found = await rows.findUser(db.read, userId)
      return found === undefined ? undefined : withoutSecrets(found)
    },
    ties: (userIds) => listUserTies(db.read, userIds),
    async get(userId) {
      const found = await users.find(userId)
      if (found === undefined) throw userNotFound(userId)
      return found
    },
    async update(userId, { password, group, members, ...change }, by) {
      if (change.name !== undefined) checkUserName(change.name)
      if (password !== undefined) checkPassword(password)
      checkContacts(change)
      const passwordHash = password === undefined ? undefined : await passwords.hash(password)
      await db.transact(async (trx) => {
        if (change.admin === false || change.locked === true) await keepAnAdministrator(trx, userId)
        const by_ = { userId: by, at: clock.now() }
        if (!(await rows.updateUser(trx, userId, { ...change, passwordHash }, by_))) throw userNotFound(userId)
        if (change.locked !== undefined) await raiseAccessStamp(trx)
        await changeGroup(trx, userId, { group, members })
      })
    },
    async changePassword(userId, oldPassword, newPassword) {
      checkPassword(newPassword, 'newPwd')
      const account = await rows.findUser(db.read, userId)
      if (account === undefined) throw userNotFound(userId)
      if (!(await passwords.verify(oldPassword, account.passwordHash))) {
        throw new AppError('PASSWORD_CHANGE_FAILED', 'Password change failed: the old password is wrong', { userId })
      }
      await users.update(userId, { password: newPassword }, userId)
    },
    delete: (userId) =>
      db.transact(async (trx) => {
        if ((await rows.findUser(trx, userId)) === undefined) throw userNotFound(userId)
        await keepAnAdministrator(trx, userId)
        await rows.deleteUser(trx, userId)
      }),
    async ensureAdministrator(password, announce) {
      if (await rows.hasUsers(db.read)) return undefined
      if (password !== undefined) checkPassword(password, 'adminPassword')
      const generatedPassword =
        password === undefined ? random.bytes(GENERATED_PASSWORD_BYTES).toString('base64url') : undefined
      const first = {
        userId: FIRST_ADMINISTRATOR,
        name: FIRST_ADMINISTRATOR,
        password: password ?? generatedPassword!,
        admin: true,
      }
      const account = await accountOf(first, SYSTEM_USER)
      // Of several nodes that start at once, one makes the account and tells the password.
      const told = { userId: FIRST_ADMINISTRATOR, generatedPassword }
      const made = await db.transact(async (trx) => {
        if ((await rows.hasUsers(trx)) || !(await rows.insertUser(trx, account))) return false
        // Before the commit: a process that dies here has told a password of nobody, not made an account nobody can use.
        announce?.(told)
        return true
      })
      return made ? told : undefined
    },
  }
  return users
}

async function keepAnAdministrator(trx: Transaction, losing: string): Promise<void> {
  const administrators = await rows.holdAdministrators(trx)
  if (administrators.length === 1 && administrators[0] === losing) {
    throw invalid('userId', `${losing} is the only administrator`)
  }
}

function checkContacts({ email, phone }: Pick<NewUser, 'email' | 'phone'>): void {
  if (typeof email === 'string') checkContact('email', email)
  if (typeof phone === 'string') checkContact('phone', phone)
}

function withoutSecrets({ passwordHash: _hash, credentialStamp: _stamp, ...user }: rows.UserAccount): User {
  return user
}

export const userNotFound = (userId: string): AppError =>
  new AppError('USER_NOT_FOUND', `User [${userId}] not found`, { userId })
