import type { MetadataDatabase, Reader } from './database.ts'

/** However busy the writer is: each is a few statements. */
const MAX_READS = 5

/**
 * A few short reads that belong together, of one moment. PostgreSQL: one snapshot. SQLite, whose reading connection has no transactions:
 * read again when something was committed between them, which is rare.
 */
export async function ofOneMoment<T>(db: MetadataDatabase, read: (reader: Reader) => Promise<T>): Promise<T> {
  if (db.dialect === 'postgres') {
    return db.read.transaction().setIsolationLevel('repeatable read').execute(read)
  }
  for (let reads = 1; ; reads++) {
    const before = db.commits()
    const found = await read(db.read)
    if (db.commits() === before || reads === MAX_READS) return found
  }
}
