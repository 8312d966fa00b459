import type { Kysely } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords } from './table-words.ts'

/** What was on its way when a run was given up may have arrived: the next run learns it from the target (docs/design/replication.md). */
export async function createUnsettledSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { int, text, create, columns, key } = tableWords(db, dialect)
  const place = columns(columns(create('unsettled_place'), text, 'record_id kind lo hi'), int, 'link_id deletes')
  await key(place, 'unsettled_place', 'link_id', 'record_id', 'kind', 'lo', 'hi').execute()
  const settled = columns(columns(create('settled_path'), text, 'path'), int, 'link_id run')
  await key(settled, 'settled_path', 'link_id', 'path', 'run').execute()
  const count = columns(columns(create('settled_count'), text, 'record_id'), int, 'link_id count')
  await key(count, 'settled_count', 'link_id', 'record_id').execute()
}
