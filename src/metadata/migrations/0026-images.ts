import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords } from './table-words.ts'

/** Blobs of images that no manifest names yet, and what a manifest's version says besides its files. */
export async function createImagesSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { int, bytes, text, create, columns, key } = tableWords(db, dialect)
  const table = columns(columns(create('loose_blob'), int, 'repo_id size touched_at'), text, 'image name')
  await key(columns(table, bytes, 'sha256'), 'loose_blob', 'repo_id', 'image', 'name').execute()
  await db.schema.createIndex('loose_blob_content').on('loose_blob').column('sha256').execute()
  await db.schema.createIndex('loose_blob_age').on('loose_blob').column('touched_at').execute()

  await sql`alter table package_version add column listed ${sql.raw(dialect === 'sqlite' ? 'integer' : 'bigint')} not null default 1`.execute(
    db,
  )
  await sql`alter table package_version add column digest ${text}`.execute(db)
  await sql`alter table package_version add column subject ${text}`.execute(db)
  // In the order that the registry protocol wants its tags in.
  await sql`create index package_version_tag on package_version (package_id, lower(name), name)
    where listed = 1 and digest is not null`.execute(db)
  for (const column of ['digest', 'subject']) {
    await sql`create index ${sql.ref(`package_version_${column}`)} on package_version (package_id, ${sql.ref(column)})
      where ${sql.ref(column)} is not null`.execute(db)
  }
}
