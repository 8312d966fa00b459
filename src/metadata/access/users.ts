import type { Selectable } from 'kysely'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { preparedQuery } from '../sql/prepared-query.ts'
import { startsWith } from '../sql/text-prefix.ts'
import { deleteRightsOfUser } from './granted-rights.ts'

/** A user as stored. Times are UTC epoch milliseconds. */
export interface UserAccount {
  readonly userId: string
  readonly name: string
  /** argon2id, PHC string. Never leaves `auth/`. */
  readonly passwordHash: string
  readonly admin: boolean
  readonly locked: boolean
  readonly email: string | null
  readonly phone: string | null
  /** See the schema: cached credentials of another stamp are void. */
  readonly credentialStamp: number
  readonly createdBy: string
  readonly createdAt: number
  readonly modifiedBy: string
  readonly modifiedAt: number
}

/** Undefined: stays as it is. */
export interface UserChange {
  readonly name?: string | undefined
  readonly email?: string | null | undefined
  readonly phone?: string | null | undefined
  readonly passwordHash?: string | undefined
  readonly admin?: boolean | undefined
  readonly locked?: boolean | undefined
}
export interface UserFilter {
  readonly userIdPrefix?: string | undefined
}

/** False: the id is taken. */
export async function insertUser(trx: Transaction, user: UserAccount): Promise<boolean> {
  const result = await trx
    .insertInto('user_account')
    .values({
      user_id: user.userId,
      name: user.name,
      password_hash: user.passwordHash,
      admin: Number(user.admin),
      locked: Number(user.locked),
      email: user.email,
      phone: user.phone,
      credential_stamp: user.credentialStamp,
      created_by: user.createdBy,
      created_at: user.createdAt,
      modified_by: user.modifiedBy,
      modified_at: user.modifiedAt,
    })
    .onConflict((oc) => oc.column('user_id').doNothing())
    .executeTakeFirst()
  return Number(result.numInsertedOrUpdatedRows) > 0
}

const userById = preparedQuery<{ userId: string }, Selectable<Schema['user_account']>>((reader, { userId }) =>
  reader.selectFrom('user_account').selectAll().where('user_id', '=', userId),
)

/** By primary key: part of every request that logs in. */
export async function findUser(reader: Reader, userId: string): Promise<UserAccount | undefined> {
  const [row] = await userById(reader, { userId })
  return row === undefined ? undefined : toUser(row)
}

/** Ascending by id. */
export async function listUsers(reader: Reader, { userIdPrefix }: UserFilter): Promise<UserAccount[]> {
  const rows = await reader
    .selectFrom('user_account')
    .selectAll()
    .$if(userIdPrefix !== undefined, (query) => query.where((eb) => startsWith(eb, eb.ref('user_id'), userIdPrefix!)))
    .orderBy('user_id')
    .execute()
  return rows.map(toUser)
}

/** Raises the credential stamp when the change touches who may log in or as what. False: there is no such user. */
export async function updateUser(
  trx: Transaction,
  userId: string,
  change: UserChange,
  by: { readonly userId: string; readonly at: number },
): Promise<boolean> {
  const { name, email, phone, passwordHash, admin, locked } = change
  const credentials = passwordHash !== undefined || admin !== undefined || locked !== undefined
  const result = await trx
    .updateTable('user_account')
    .set({ modified_by: by.userId, modified_at: by.at })
    .$if(name !== undefined, (query) => query.set({ name: name! }))
    .$if(email !== undefined, (query) => query.set({ email: email! }))
    .$if(phone !== undefined, (query) => query.set({ phone: phone! }))
    .$if(passwordHash !== undefined, (query) => query.set({ password_hash: passwordHash! }))
    .$if(admin !== undefined, (query) => query.set({ admin: Number(admin) }))
    .$if(locked !== undefined, (query) => query.set({ locked: Number(locked) }))
    .$if(credentials, (query) => query.set((eb) => ({ credential_stamp: eb('credential_stamp', '+', 1) })))
    .where('user_id', '=', userId)
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

/** With the user's tokens, roles and permissions. Missing is fine. */
export async function deleteUser(trx: Transaction, userId: string): Promise<void> {
  await deleteRightsOfUser(trx, userId)
  await trx.deleteFrom('user_token').where('user_id', '=', userId).execute()
  await trx.deleteFrom('temporary_token').where('created_by', '=', userId).execute()
  await trx.deleteFrom('user_account').where('user_id', '=', userId).execute()
}

/**
 * Unlocked administrators, ascending by id. Their rows stay locked until the transaction ends, so that two administrators cannot
 * take each other's rights away at the same time.
 */
export async function holdAdministrators(trx: Transaction): Promise<string[]> {
  const rows = await trx
    .updateTable('user_account')
    .set((eb) => ({ modified_at: eb.ref('modified_at') }))
    .where('admin', '=', 1)
    .where('locked', '=', 0)
    .returning('user_id')
    .execute()
  return rows.map((row) => row.user_id).sort()
}

export async function hasUsers(reader: Reader): Promise<boolean> {
  return (await reader.selectFrom('user_account').select('user_id').limit(1).executeTakeFirst()) !== undefined
}

export function toUser(row: Selectable<Schema['user_account']>): UserAccount {
  return {
    userId: row.user_id,
    name: row.name,
    passwordHash: row.password_hash,
    admin: row.admin !== 0,
    locked: row.locked !== 0,
    email: row.email,
    phone: row.phone,
    credentialStamp: row.credential_stamp,
    createdBy: row.created_by,
    createdAt: row.created_at,
    modifiedBy: row.modified_by,
    modifiedAt: row.modified_at,
  }
}
