import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'

/**
 * PostgreSQL: of several indexes of live rows it takes any, as long as it has no statistics of a table that just grew; a lookup by
 * path then read the whole repository, 500 times a batch. So the others are out of sight of who does not name what they are for: a
 * parent, or `id > 0` (`searchIndexed`).
 */
export async function createSearchIndexesSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  if (dialect === 'sqlite') return
  await sql`drop index node_name, node_size, node_modified`.execute(db)
  const condition = sql`where deleted_at is null and id > 0`
  await sql`create index node_name on node (repo_id, ltrim(substr(path, length(parent) + 1), '/'), id) ${condition}`.execute(
    db,
  )
  await sql`create index node_size on node (repo_id, size, id) ${condition}`.execute(db)
  await sql`create index node_modified on node (repo_id, modified_at, id) ${condition}`.execute(db)
  await sql`drop index node_children`.execute(db)
  await sql`create index node_children on node (parent, repo_id, substr(path, length(parent) + 1))
    where deleted_at is null and parent is not null`.execute(db)
}
