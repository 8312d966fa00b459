import type { Clock } from '../core/clock.ts'
import type { JobQueue } from '../jobs/job-queue.ts'
import type { JobHandler } from '../jobs/worker.ts'
import type { MetadataDatabase } from '../metadata/database.ts'

/** Work that has to be done now and then, by one process at a time. */
export interface Chore {
  readonly kind: string
  readonly intervalMs: number
  run(signal: AbortSignal): Promise<unknown>
}

/** A chore is a job that asks to come again: the queue's lease sees to it that only one process does it. */
export function choreHandlers(chores: readonly Chore[], clock: Clock): Map<string, JobHandler> {
  return new Map(
    chores.map(({ kind, intervalMs, run }): [string, JobHandler] => [
      kind,
      async (_job, signal) => {
        await run(signal)
        return { retryAt: clock.now() + intervalMs }
      },
    ]),
  )
}

/** Puts chores that nobody asked for yet into the queue; those that wait there keep their time. */
export async function enqueueChores(
  chores: readonly Chore[],
  queue: JobQueue,
  db: MetadataDatabase,
  clock: Clock,
): Promise<void> {
  await db.transact(async (trx) => {
    for (const { kind, intervalMs } of chores) {
      await queue.enqueue({ kind, dedupeKey: 'chore', payload: {}, runAt: clock.now() + intervalMs }, trx)
    }
  })
}

/** Has a chore done now; while it runs, once more after it. */
export async function hurryChore(
  kind: string,
  { db, queue }: { db: MetadataDatabase; queue: JobQueue },
): Promise<void> {
  await db.transact((trx) => queue.enqueue({ kind, dedupeKey: 'chore', payload: {} }, trx))
}
