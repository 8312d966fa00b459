import type { Kysely } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords, unique } from './table-words.ts'

/** Roles, permissions and groups: `metadata/tables/access.ts`. */
export async function createAccessSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { int, text, create, columns, audit, key } = tableWords(db, dialect)

  let table = columns(create('role'), text, 'id role_id type project name description?')
  await key(audit(columns(table, int, 'repo_id admin')), 'role', 'id').execute()
  await unique(db, 'role_name', 'role', ['project', 'repo_id', 'role_id'])

  await key(columns(create('user_role'), text, 'role user_id'), 'user_role', 'role', 'user_id').execute()
  await db.schema.createIndex('user_role_user').on('user_role').column('user_id').execute()

  table = columns(create('permission'), text, 'id resource_type project name include exclude actions')
  await key(audit(columns(table, int, 'home_repo')), 'permission', 'id').execute()
  await unique(db, 'permission_name', 'permission', ['project', 'home_repo', 'name'])

  table = columns(columns(create('permission_repository'), text, 'permission'), int, 'repo_id')
  await key(table, 'permission_repository', 'permission', 'repo_id').execute()
  await db.schema.createIndex('permission_repository_repo').on('permission_repository').column('repo_id').execute()

  for (const holder of ['user_id', 'role']) {
    const name = holder === 'role' ? 'permission_role' : 'permission_user'
    await key(columns(create(name), text, `permission ${holder}`), name, 'permission', holder).execute()
    await db.schema.createIndex(`${name}_holder`).on(name).column(holder).execute()
  }

  await key(columns(create('group_account'), text, 'user_id'), 'group_account', 'user_id').execute()
  await key(columns(create('group_member'), text, 'group_id user_id'), 'group_member', 'group_id', 'user_id').execute()
  await db.schema.createIndex('group_member_user').on('group_member').column('user_id').execute()

  await key(columns(create('access_stamp'), int, 'id value'), 'access_stamp', 'id').execute()
}
