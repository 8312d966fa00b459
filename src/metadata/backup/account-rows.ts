import { type PlatformAccount, type PlatformCredential, toPlatformAccount } from '../access/platform-accounts.ts'
import type { Reader, Transaction } from '../database.ts'
import { anyOf } from '../sql/any-of.ts'
import { insertingRows, updatingRows } from '../sql/insert-rows.ts'

export interface StoredCredential extends PlatformCredential {
  readonly appId: string
  /** SHA-256 of the secret key. */
  readonly secretHash: Uint8Array
}

/** After this id, ascending by id. */
export async function pageAccounts(reader: Reader, after: string, limit: number): Promise<PlatformAccount[]> {
  const rows = reader.selectFrom('platform_account').selectAll().where('app_id', '>', after).orderBy('app_id')
  return (await rows.limit(limit).execute()).map(toPlatformAccount)
}

/** Those that are there; nobody else changes them, or their credentials, before the transaction ends. */
export async function lockAccounts(trx: Transaction, appIds: readonly string[]): Promise<Map<string, PlatformAccount>> {
  const rows = await trx
    .updateTable('platform_account')
    .set((eb) => ({ modified_at: eb.ref('modified_at') }))
    .where(anyOf(trx, 'app_id', appIds))
    .returningAll()
    .execute()
  return new Map(rows.map((row) => [row.app_id, toPlatformAccount(row)]))
}

/** Of these accounts, and those of these keys, whosever they are. Ascending by account and key. */
export async function findCredentials(
  reader: Reader,
  { appIds, accessKeys }: { readonly appIds: readonly string[]; readonly accessKeys: readonly string[] },
): Promise<StoredCredential[]> {
  const rows = await reader
    .selectFrom('platform_credential')
    .selectAll()
    .where((eb) =>
      eb.or([
        ...(appIds.length > 0 ? [anyOf(reader, 'app_id', appIds)] : []),
        ...(accessKeys.length > 0 ? [anyOf(reader, 'access_key', accessKeys)] : []),
      ]),
    )
    .orderBy('app_id')
    .orderBy('access_key')
    .execute()
  return rows.map((row) => ({
    ...{ accessKey: row.access_key, appId: row.app_id, secretHash: row.secret_hash },
    ...{ enabled: row.enabled !== 0, createdAt: row.created_at },
  }))
}

const columns = {
  app_id: ['text', (account: PlatformAccount) => account.appId],
  locked: ['bigint', (account: PlatformAccount) => Number(account.locked)],
  description: ['text', (account: PlatformAccount) => account.description],
  scope: ['text', (account: PlatformAccount) => JSON.stringify(account.scope)],
  project_rules: ['text', (account: PlatformAccount) => JSON.stringify(account.projectRules)],
  created_by: ['text', (account: PlatformAccount) => account.createdBy],
  created_at: ['bigint', (account: PlatformAccount) => account.createdAt],
  modified_by: ['text', (account: PlatformAccount) => account.modifiedBy],
  modified_at: ['bigint', (account: PlatformAccount) => account.modifiedAt],
} as const

/** None of them is there. */
export const insertAccounts = insertingRows<'platform_account', PlatformAccount>({ into: 'platform_account', columns })
export const updateAccounts = updatingRows<PlatformAccount>({
  columns,
  statement: `update platform_account set locked = v.locked, description = v.description, scope = v.scope,
    project_rules = v.project_rules, modified_by = v.modified_by, modified_at = v.modified_at
    from v where platform_account.app_id = v.app_id`,
})

/** Keys that are there stay as they are. */
export const addCredentials = insertingRows<'platform_credential', StoredCredential>({
  into: 'platform_credential',
  columns: {
    access_key: ['text', ({ accessKey }) => accessKey],
    app_id: ['text', ({ appId }) => appId],
    secret_hash: ['bytea', ({ secretHash }) => secretHash],
    enabled: ['bigint', ({ enabled }) => Number(enabled)],
    created_at: ['bigint', ({ createdAt }) => createdAt],
  },
  onConflict: 'on conflict do nothing',
})

/** Which of these accounts are there. */
export async function knownAccounts(reader: Reader, appIds: readonly string[]): Promise<ReadonlySet<string>> {
  if (appIds.length === 0) return new Set()
  const rows = await reader
    .selectFrom('platform_account')
    .select('app_id')
    .where(anyOf(reader, 'app_id', appIds))
    .execute()
  return new Set(rows.map((row) => row.app_id))
}
