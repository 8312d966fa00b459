import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords } from './table-words.ts'

export async function createSegmentsSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { int, text, create, identity, columns } = tableWords(db, dialect)
  const table = columns(identity(create('segment')), text, 'owner state')
  await columns(table, int, 'bytes live_bytes begun_at sealed_at?').execute()

  await db.schema.alterTable('blob').addColumn('segment', int).execute()
  await db.schema.alterTable('blob').addColumn('place', int).execute()
  await sql`create index blob_segment on blob (segment, place) where segment is not null`.execute(db)
}
