import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords, unique } from './table-words.ts'

/** Packages, versions, their files, and what was deleted (`metadata/tables/packages.ts`). */
export async function createPackagesSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { int, text, identity, create, columns, audit, key } = tableWords(db, dialect)

  let table = columns(identity(create('package')), text, 'key name description? latest version_tag extension hlc')
  table = columns(columns(table, int, 'repo_id versions downloads origin via_link?'), 'integer', 'm0 m1 m2 m3')
  await audit(table).execute()
  await unique(db, 'package_key', 'package', ['repo_id', 'key'])
  await sql`create index package_name on package (repo_id, name)`.execute(db)

  table = columns(
    identity(create('package_version')),
    text,
    'name ordinal manifest_path? artifact_path stage_tags tags',
  )
  table = columns(columns(table, text, 'metadata extension hlc'), int, 'package_id repo_id prerelease size downloads')
  table = columns(columns(table, int, 'origin via_link? via_mark?'), 'integer', 'c0 c1 c2 c3 m0 m1 m2 m3')
  await audit(table).execute()
  await unique(db, 'package_version_name', 'package_version', ['package_id', 'name'])
  await sql`create index package_version_order on package_version (package_id, ordinal)`.execute(db)
  await sql`create index package_version_latest on package_version (package_id, prerelease, ordinal)`.execute(db)

  table = columns(columns(create('version_file'), text, 'path role'), int, 'version_id ord repo_id')
  await key(table, 'version_file', 'version_id', 'ord').execute()
  await sql`create index version_file_path on version_file (repo_id, path)`.execute(db)

  table = columns(columns(create('version_history'), text, 'package_key version deleted_by'), int, 'repo_id deleted_at')
  await key(table, 'version_history', 'repo_id', 'package_key', 'version').execute()
}
