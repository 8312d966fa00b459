import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords } from './table-words.ts'

export async function createBlockUploadsSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { int, text, bytes, create, columns, key } = tableWords(db, dialect)
  let upload = columns(create('block_upload'), text, 'upload_id style path created_by')
  upload = columns(upload, int, 'repo_id overwrite created_at expires_at')
  await key(columns(upload, bytes, 'completed_sha256?'), 'block_upload', 'upload_id').execute()
  await sql`create index block_upload_expires on block_upload (expires_at)`.execute(db)

  const part = columns(columns(create('block_part'), text, 'upload_id name crc64?'), int, 'position size')
  await key(columns(part, bytes, 'sha256'), 'block_part', 'upload_id', 'position').execute()

  let token = columns(create('temporary_token'), bytes, 'token_hash')
  token = columns(token, text, 'path type users? addresses? created_by app_id?')
  token = columns(token, int, 'repo_id permits? expires_at? created_at')
  await key(token, 'temporary_token', 'token_hash').execute()
  await sql`create index temporary_token_expires on temporary_token (expires_at) where expires_at is not null`.execute(
    db,
  )
  await sql`create index temporary_token_used_up on temporary_token (created_at) where permits = 0`.execute(db)

  await sql`alter table node add column crc64 ${text}`.execute(db)
}
