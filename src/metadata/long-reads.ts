import type { MetadataDatabase, Reader } from './database.ts'

/** For reads that may take long and any way to their rows: on SQLite not in this thread. */
export const longReads = (db: MetadataDatabase): Reader => (db.dialect === 'sqlite' ? db.slow : db.read)
