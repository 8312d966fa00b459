import type { NodePath } from '../../core/paths.ts'
import type { Reader, Transaction } from '../database.ts'

export type TemporaryUse = 'UPLOAD' | 'DOWNLOAD'

/** What a temporary token allows, without its value, of which only the hash is kept. Times are UTC epoch milliseconds. */
export interface TemporaryGrant {
  readonly repoId: number
  /** It and all below it. */
  readonly path: NodePath
  readonly type: TemporaryUse | 'ALL'
  /** Undefined: anybody, from anywhere. */
  readonly users: readonly string[] | undefined
  readonly addresses: readonly string[] | undefined
  /** Uses left; null: unlimited. */
  readonly permits: number | null
  /** Null: never. */
  readonly expiresAt: number | null
  readonly createdBy: string
  /** The platform account that made it for them; null: none. */
  readonly appId: string | null
  readonly createdAt: number
}

/** Twelve columns a row: far below the parameters of a statement for as many paths as one call may name. */
export async function insertTemporaryTokens(
  trx: Transaction,
  grants: readonly (TemporaryGrant & { readonly hash: Uint8Array })[],
): Promise<void> {
  const list = (texts: readonly string[] | undefined) => (texts === undefined ? null : JSON.stringify(texts))
  await trx
    .insertInto('temporary_token')
    .values(
      grants.map((grant) => ({
        token_hash: grant.hash,
        repo_id: grant.repoId,
        path: grant.path,
        type: grant.type,
        users: list(grant.users),
        addresses: list(grant.addresses),
        permits: grant.permits,
        expires_at: grant.expiresAt,
        created_by: grant.createdBy,
        app_id: grant.appId,
        created_at: grant.createdAt,
      })),
    )
    .execute()
}

/** @param hash SHA-256 of the token. */
export async function findTemporaryGrant(reader: Reader, hash: Uint8Array): Promise<TemporaryGrant | undefined> {
  const row = await reader.selectFrom('temporary_token').selectAll().where('token_hash', '=', hash).executeTakeFirst()
  if (row === undefined) return undefined
  const list = (text: string | null) => (text === null ? undefined : (JSON.parse(text) as string[]))
  return {
    repoId: row.repo_id,
    path: row.path as NodePath,
    type: row.type,
    users: list(row.users),
    addresses: list(row.addresses),
    permits: row.permits,
    expiresAt: row.expires_at,
    createdBy: row.created_by,
    appId: row.app_id,
    createdAt: row.created_at,
  }
}

/** Takes one use of a token whose uses are counted. False: none was left, or the token is gone. */
export async function takePermit(trx: Transaction, hash: Uint8Array): Promise<boolean> {
  const result = await trx
    .updateTable('temporary_token')
    .set((eb) => ({ permits: eb('permits', '-', 1) }))
    .where('token_hash', '=', hash)
    .where('permits', '>', 0)
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

/** Of a use that came to nothing. A token that is gone stays gone. */
export async function returnPermit(trx: Transaction, hash: Uint8Array): Promise<void> {
  await trx
    .updateTable('temporary_token')
    .set((eb) => ({ permits: eb('permits', '+', 1) }))
    .where('token_hash', '=', hash)
    .where('permits', 'is not', null)
    .execute()
}

/** Those that expired before a time, and those made before another that are used up. */
export async function deleteStaleTokens(trx: Transaction, expiredBefore: number, usedUpBefore: number): Promise<void> {
  await trx.deleteFrom('temporary_token').where('expires_at', '<', expiredBefore).execute()
  await trx.deleteFrom('temporary_token').where('permits', '=', 0).where('created_at', '<', usedUpBefore).execute()
}
