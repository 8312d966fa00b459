import type { Selectable } from 'kysely'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { preparedQuery } from '../sql/prepared-query.ts'

/** Projects that an application is limited to: any of these names, or those that begin with any of these texts. */
export interface ProjectRule {
  readonly operation: 'IN' | 'PREFIX'
  readonly values: readonly string[]
}

/** An application that acts for users. Times are UTC epoch milliseconds. */
export interface PlatformAccount {
  readonly appId: string
  readonly locked: boolean
  readonly description: string | null
  /** Resource types; empty: all. */
  readonly scope: readonly string[]
  /** Any of them; empty: all projects. */
  readonly projectRules: readonly ProjectRule[]
  readonly createdBy: string
  readonly createdAt: number
  readonly modifiedBy: string
  readonly modifiedAt: number
}
/** Undefined: stays as it is. */
export interface PlatformAccountChange {
  readonly locked?: boolean | undefined
  readonly description?: string | undefined
  readonly scope?: readonly string[] | undefined
  readonly projectRules?: readonly ProjectRule[] | undefined
}

export interface PlatformCredential {
  readonly accessKey: string
  readonly enabled: boolean
  readonly createdAt: number
}

/** False: the id is taken. */
export async function insertPlatformAccount(trx: Transaction, account: PlatformAccount): Promise<boolean> {
  const result = await trx
    .insertInto('platform_account')
    .values({
      app_id: account.appId,
      locked: Number(account.locked),
      description: account.description,
      scope: JSON.stringify(account.scope),
      project_rules: JSON.stringify(account.projectRules),
      created_by: account.createdBy,
      created_at: account.createdAt,
      modified_by: account.modifiedBy,
      modified_at: account.modifiedAt,
    })
    .onConflict((oc) => oc.column('app_id').doNothing())
    .executeTakeFirst()
  return Number(result.numInsertedOrUpdatedRows) > 0
}

/** False: there is no such account. */
export async function updatePlatformAccount(
  trx: Transaction,
  appId: string,
  { locked, description, scope, projectRules }: PlatformAccountChange,
  by: { readonly userId: string; readonly at: number },
): Promise<boolean> {
  const result = await trx
    .updateTable('platform_account')
    .set({ modified_by: by.userId, modified_at: by.at })
    .$if(locked !== undefined, (query) => query.set({ locked: Number(locked) }))
    .$if(description !== undefined, (query) => query.set({ description: description! }))
    .$if(scope !== undefined, (query) => query.set({ scope: JSON.stringify(scope) }))
    .$if(projectRules !== undefined, (query) => query.set({ project_rules: JSON.stringify(projectRules) }))
    .where('app_id', '=', appId)
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

/** With its credentials and the temporary tokens it made. False: there is no such account. */
export async function deletePlatformAccount(trx: Transaction, appId: string): Promise<boolean> {
  const result = await trx.deleteFrom('platform_account').where('app_id', '=', appId).executeTakeFirst()
  await trx.deleteFrom('platform_credential').where('app_id', '=', appId).execute()
  await trx.deleteFrom('temporary_token').where('app_id', '=', appId).execute()
  return result.numDeletedRows > 0n
}

export async function findPlatformAccount(reader: Reader, appId: string): Promise<PlatformAccount | undefined> {
  const row = await reader.selectFrom('platform_account').selectAll().where('app_id', '=', appId).executeTakeFirst()
  return row === undefined ? undefined : toPlatformAccount(row)
}

/** Locks the account until the transaction ends, so that its credentials are counted in peace. False: there is none. */
export async function holdPlatformAccount(trx: Transaction, appId: string): Promise<boolean> {
  const result = await trx
    .updateTable('platform_account')
    .set((eb) => ({ modified_at: eb.ref('modified_at') }))
    .where('app_id', '=', appId)
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

/** Ascending by id. */
export async function listPlatformAccounts(reader: Reader): Promise<PlatformAccount[]> {
  return (await reader.selectFrom('platform_account').selectAll().orderBy('app_id').execute()).map(toPlatformAccount)
}

export async function insertPlatformCredential(
  trx: Transaction,
  appId: string,
  { accessKey, enabled, createdAt, secretHash }: PlatformCredential & { readonly secretHash: Uint8Array },
): Promise<void> {
  await trx
    .insertInto('platform_credential')
    .values({
      access_key: accessKey,
      app_id: appId,
      secret_hash: secretHash,
      enabled: Number(enabled),
      created_at: createdAt,
    })
    .execute()
}

/** Oldest first. */
export async function listPlatformCredentials(reader: Reader, appId: string): Promise<PlatformCredential[]> {
  const rows = await reader
    .selectFrom('platform_credential')
    .select(['access_key', 'enabled', 'created_at'])
    .where('app_id', '=', appId)
    .orderBy('created_at')
    .orderBy('access_key')
    .execute()
  return rows.map((row) => ({ accessKey: row.access_key, enabled: row.enabled !== 0, createdAt: row.created_at }))
}

/** Missing is fine. */
export async function deletePlatformCredential(trx: Transaction, appId: string, accessKey: string): Promise<void> {
  await trx.deleteFrom('platform_credential').where('app_id', '=', appId).where('access_key', '=', accessKey).execute()
}

/** False: the account has no such key. */
export async function updatePlatformCredential(
  trx: Transaction,
  appId: string,
  accessKey: string,
  { enabled }: Pick<PlatformCredential, 'enabled'>,
): Promise<boolean> {
  const result = await trx
    .updateTable('platform_credential')
    .set({ enabled: Number(enabled) })
    .where('app_id', '=', appId)
    .where('access_key', '=', accessKey)
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

/** What a login by key pair is checked against. */
export interface PlatformLoginFacts {
  readonly account: PlatformAccount
  readonly secretHash: Uint8Array
  readonly enabled: boolean
}

type LoginRow = Selectable<Schema['platform_account']> & { secret_hash: Uint8Array; enabled: number }

const byAccessKey = preparedQuery<{ accessKey: string }, LoginRow>((reader, { accessKey }) =>
  reader
    .selectFrom('platform_credential')
    .innerJoin('platform_account', 'platform_account.app_id', 'platform_credential.app_id')
    .selectAll('platform_account')
    .select(['platform_credential.secret_hash', 'platform_credential.enabled'])
    .where('platform_credential.access_key', '=', accessKey),
)

/** By primary keys: part of every request that comes with a key pair. */
export async function findPlatformLogin(reader: Reader, accessKey: string): Promise<PlatformLoginFacts | undefined> {
  const [row] = await byAccessKey(reader, { accessKey })
  return row && { account: toPlatformAccount(row), secretHash: row.secret_hash, enabled: row.enabled !== 0 }
}

export function toPlatformAccount(row: Selectable<Schema['platform_account']>): PlatformAccount {
  return {
    appId: row.app_id,
    locked: row.locked !== 0,
    description: row.description,
    scope: JSON.parse(row.scope) as string[],
    projectRules: JSON.parse(row.project_rules) as ProjectRule[],
    createdBy: row.created_by,
    createdAt: row.created_at,
    modifiedBy: row.modified_by,
    modifiedAt: row.modified_at,
  }
}
