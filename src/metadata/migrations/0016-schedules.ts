import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords } from './table-words.ts'

/** Which planned time a task was started for last, and who is due next without reading all tasks. */
export async function createSchedulesSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { int } = tableWords(db, dialect)
  await sql`alter table replication_task add column fired_at ${sql.raw(int as string)}`.execute(db)
  await sql`create index task_planned on replication_task (next_execution_at, key)
    where next_execution_at is not null`.execute(db)
}
