import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'

/**
 * What failed is tried again by itself: rows of the ledger with a `failure_id` are the queue. What failed before this release is due at
 * once. A cluster has a limit of its own, of two planners of one link the later one wins, and a link tells an outage from
 * attempts that get nothing through.
 */
export async function createFailuresSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const int = sql.raw(dialect === 'sqlite' ? 'integer' : 'bigint')
  const text = sql.raw(dialect === 'sqlite' ? 'text' : 'text collate "C"')
  const anyId = sql.raw(
    dialect === 'sqlite' ? `lower(hex(randomblob(12)))` : `substr(md5(random()::text || path), 1, 24)`,
  )
  for (const column of ['failure_id', 'kind', 'error_reason']) {
    await sql`alter table link_divergence add column ${sql.raw(column)} ${text}`.execute(db)
  }
  for (const column of ['attempts', 'due_at', 'created_at', 'modified_at']) {
    await sql`alter table link_divergence add column ${sql.raw(column)} ${int}`.execute(db)
  }
  await sql`update link_divergence set failure_id = ${anyId}, kind = 'FILE', attempts = 1, due_at = since,
    created_at = since, modified_at = since where reason = 'failed'`.execute(db)
  await sql`create unique index link_divergence_failure on link_divergence (failure_id)
    where failure_id is not null`.execute(db)
  await sql`create index link_divergence_due on link_divergence (due_at) where due_at is not null`.execute(db)

  await sql`alter table exec_link add column plan_token ${int} not null default 0`.execute(db)
  await sql`alter table exec_link add column stalled_since ${int}`.execute(db)
  await sql`alter table cluster add column rate_limit ${int}`.execute(db)
}
