import type { MetadataDatabase, Reader } from '../database.ts'

/** Reads of one moment, beside all else: in a thread of its own (SQLite), on a connection of its own (PostgreSQL). */
export const snapshot = <T>(db: MetadataDatabase, read: (reader: Reader) => Promise<T>): Promise<T> =>
  db.slow.transaction().setIsolationLevel('repeatable read').execute(read)
