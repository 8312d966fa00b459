import type { JobQueue } from '../jobs/job-queue.ts'
import type { MetadataDatabase } from '../metadata/database.ts'

/**
 * A database and a queue that ring once a transaction that enqueued something has committed: the worker of this process starts
 * the job at once instead of at its next look. `onCommit` hears of every transaction.
 */
export function waking(
  db: MetadataDatabase,
  makeQueue: (db: MetadataDatabase) => JobQueue,
  ring: () => void,
  onCommit: () => void = () => {},
): { readonly db: MetadataDatabase; readonly queue: JobQueue } {
  let enqueued = false
  const queue = makeQueue(db)
  return {
    queue: {
      ...queue,
      async enqueue(job, trx) {
        await queue.enqueue(job, trx)
        enqueued = true
      },
    },
    db: {
      ...db,
      async transact(work) {
        const result = await db.transact(work)
        onCommit()
        if (enqueued) {
          enqueued = false
          ring()
        }
        return result
      },
    },
  }
}
