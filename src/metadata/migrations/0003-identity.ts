import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords } from './table-words.ts'

/** Platform accounts and their access keys; the audit log. */
export async function createIdentitySchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { int, bytes, text, create, identity, columns, audit, key } = tableWords(db, dialect)

  let table = columns(create('platform_account'), text, 'app_id description? scope project_rules')
  table = audit(columns(table, int, 'locked'))
  await key(table, 'platform_account', 'app_id').execute()

  table = columns(create('platform_credential'), text, 'access_key app_id')
  table = columns(columns(table, bytes, 'secret_hash'), int, 'enabled created_at')
  await key(table, 'platform_credential', 'access_key').execute()
  await sql`create index platform_credential_app on platform_credential (app_id)`.execute(db)

  table = columns(identity(create('audit_log')), int, 'at last_at times code')
  await columns(table, text, 'user_id app_id? address action project? repo? resource? outcome trace_id').execute()
  await sql`create index audit_log_at on audit_log (at, id)`.execute(db)
  await sql`create index audit_log_user on audit_log (user_id, at, id)`.execute(db)
  await sql`create index audit_log_project on audit_log (project, at, id)`.execute(db)
  await sql`create index audit_log_outcome on audit_log (outcome, at, id)`.execute(db)
}
