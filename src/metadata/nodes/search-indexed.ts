import { type RawBuilder, sql } from 'kysely'
import type { Dialect } from '../database.ts'

/**
 * What a query asks for besides, so that PostgreSQL uses the indexes `node_name`, `node_size` and `node_modified`; true of every row.
 * Without it they are out of its sight, and it cannot take them for a lookup by path (migration 0015).
 */
export const searchIndexed = (dialect: Dialect): RawBuilder<boolean>[] =>
  dialect === 'postgres' ? [sql<boolean>`id > 0`] : []
