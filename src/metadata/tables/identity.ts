import type { Generated } from 'kysely'

/** Platform accounts and their keys, the audit log (core.md 3). */
export interface IdentityTables {
  platform_account: PlatformAccountTable
  platform_credential: PlatformCredentialTable
  audit_log: AuditLogTable
}

interface PlatformAccountTable {
  app_id: string
  locked: number
  description: string | null
  /** JSON list of resource types; empty: of all. */
  scope: string
  /** JSON list of `{operation, values}`; empty: all projects. */
  project_rules: string
  created_by: string
  created_at: number
  modified_by: string
  modified_at: number
}

interface PlatformCredentialTable {
  access_key: string
  app_id: string
  /** SHA-256 of the secret key: it is random, so it needs no slow hash. */
  secret_hash: Uint8Array
  enabled: number
  created_at: number
}

interface AuditLogTable {
  id: Generated<number>
  at: number
  /** Of the last of `times`. */
  last_at: number
  /** Equal refusals within some seconds are one row. */
  times: number
  user_id: string
  app_id: string | null
  address: string
  action: string
  project: string | null
  repo: string | null
  resource: string | null
  outcome: 'SUCCESS' | 'FAILED' | 'REFUSED'
  /** As in the envelope; 0: success. */
  code: number
  trace_id: string
}
