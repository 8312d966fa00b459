import type { Kysely } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords } from './table-words.ts'

export async function createProxiesSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { int, bytes, text, create, columns, key } = tableWords(db, dialect)
  const secret = columns(columns(create('proxy_secret'), int, 'repo_id'), text, 'slot secret')
  await key(secret, 'proxy_secret', 'repo_id', 'slot').execute()
  let file = columns(columns(create('proxy_file'), int, 'repo_id'), text, 'path channel url')
  file = columns(columns(file, bytes, 'sha256'), text, 'etag? last_modified?')
  file = columns(file, int, 'fetched_at checked_at')
  await key(file, 'proxy_file', 'repo_id', 'path').execute()
}
