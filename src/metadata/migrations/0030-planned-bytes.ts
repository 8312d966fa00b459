import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'

/** How much a task that runs once is about, before it runs. */
export async function createPlannedBytesSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const int = sql.raw(dialect === 'sqlite' ? 'integer' : 'bigint')
  await sql`alter table replication_task add column planned_bytes ${int}`.execute(db)
}
