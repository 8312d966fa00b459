import type { MetadataDatabase, Reader } from './database.ts'

/** Reads of one moment that may take minutes, beside all else. What reads in pages keeps nobody waiting but others of its kind. */
export const unhurriedSnapshot = <T>(db: MetadataDatabase, read: (reader: Reader) => Promise<T>): Promise<T> =>
  db.unhurried.transaction().setIsolationLevel('repeatable read').execute(read)
