import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'

/**
 * SQLite: `appendChanges` numbers the rows that it inserts, since a second statement for each of them cost more than the row. The
 * trigger stays for whoever forgets it.
 */
export async function createChangeNumberSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  if (dialect === 'postgres') return
  await sql`drop trigger change_number`.execute(db)
  await sql`create trigger change_number after insert on change_log when new.seq is null
    begin update change_log set seq = new.id where id = new.id; end`.execute(db)
}
