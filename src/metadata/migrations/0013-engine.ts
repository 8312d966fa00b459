import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords } from './table-words.ts'

/**
 * Paths of shards are written down, and the ledger keeps by how much the target differs. Runs that were planned by cursor and are under
 * way are planned again: their shards named no paths.
 */
export async function createEngineSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { int, text, bytes, create, columns, key } = tableWords(db, dialect)
  await sql`alter table exec_shard add column kind ${text} not null default 'range'`.execute(db)
  await sql`delete from exec_shard where exists (select 1 from exec_link where exec_link.record_id = exec_shard.record_id
    and exec_link.link_id = exec_shard.link_id and exec_link.mode = 'cursor' and exec_link.state = 'COPYING')`.execute(
    db,
  )
  await sql`update exec_link set state = 'PENDING', mode = null where mode = 'cursor' and state = 'COPYING'`.execute(db)

  const path = columns(columns(create('exec_path'), text, 'record_id path'), int, 'link_id shard_no')
  await key(columns(path, bytes, 'expect?'), 'exec_path', 'record_id', 'link_id', 'shard_no', 'path').execute()

  // How many files a scope holds is told by its fingerprint, and where a run began by nobody.
  for (const [table, column] of [
    ['link', 'scope_files'],
    ['exec_link', 'scope_files'],
    ['exec_link', 'planned_files'],
    ['exec_link', 'from_seq'],
  ]) {
    await sql`alter table ${sql.ref(table!)} drop column ${sql.ref(column!)}`.execute(db)
  }
  const wholeNumber = sql.raw(dialect === 'sqlite' ? 'integer' : 'bigint')
  for (const column of ['dn', 'd0', 'd1', 'd2', 'd3', 'e0', 'e1', 'e2', 'e3']) {
    await sql`alter table link_divergence add column ${sql.raw(column)} ${wholeNumber}`.execute(db)
  }
}
