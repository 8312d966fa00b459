import { PostgresAdapter } from 'kysely'
import type { Dialect, Reader } from '../database.ts'

/** For the few statements that are not the same text in both databases. */
export function dialectOf(reader: Reader): Dialect {
  return reader.getExecutor().adapter instanceof PostgresAdapter ? 'postgres' : 'sqlite'
}
