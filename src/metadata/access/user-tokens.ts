import type { Reader, Transaction } from '../database.ts'

/** A token without its value, of which only the hash is kept. Times are UTC epoch milliseconds. */
export interface UserToken {
  readonly name: string
  readonly createdAt: number
  /** Null: never. */
  readonly expiresAt: number | null
}

/** False: the user has a token of that name. */
export async function insertToken(
  trx: Transaction,
  userId: string,
  token: UserToken & { readonly hash: Uint8Array },
): Promise<boolean> {
  const result = await trx
    .insertInto('user_token')
    .values({
      user_id: userId,
      name: token.name,
      token_hash: token.hash,
      created_at: token.createdAt,
      expires_at: token.expiresAt,
    })
    .onConflict((oc) => oc.columns(['user_id', 'name']).doNothing())
    .executeTakeFirst()
  return Number(result.numInsertedOrUpdatedRows) > 0
}

/** Ascending by name. */
export async function listTokens(reader: Reader, userId: string): Promise<UserToken[]> {
  const rows = await reader
    .selectFrom('user_token')
    .select(['name', 'created_at', 'expires_at'])
    .where('user_id', '=', userId)
    .orderBy('name')
    .execute()
  return rows.map((row) => ({ name: row.name, createdAt: row.created_at, expiresAt: row.expires_at }))
}

/** Also raises the user's credential stamp, as logins by that token are remembered. Missing is fine. */
export async function deleteToken(trx: Transaction, userId: string, name: string): Promise<void> {
  const result = await trx
    .deleteFrom('user_token')
    .where('user_id', '=', userId)
    .where('name', '=', name)
    .executeTakeFirst()
  if (result.numDeletedRows === 0n) return
  await trx
    .updateTable('user_account')
    .set((eb) => ({ credential_stamp: eb('credential_stamp', '+', 1) }))
    .where('user_id', '=', userId)
    .execute()
}

export interface TokenOwner {
  readonly userId: string
  /** UTC epoch milliseconds. Null: never. */
  readonly expiresAt: number | null
}

/** @param hash SHA-256 of the token. */
export async function findTokenOwner(reader: Reader, hash: Uint8Array): Promise<TokenOwner | undefined> {
  const row = await reader
    .selectFrom('user_token')
    .select(['user_id', 'expires_at'])
    .where('token_hash', '=', hash)
    .executeTakeFirst()
  return row === undefined ? undefined : { userId: row.user_id, expiresAt: row.expires_at }
}
