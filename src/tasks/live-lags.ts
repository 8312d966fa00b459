import type { Clock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import { numberChanges } from '../metadata/changes/sequencer.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import { type LinkLag, listLags } from '../metadata/replication/live-lag.ts'
import { findTask } from '../metadata/replication/tasks.ts'

export interface LiveLags {
  /** How the links of a task stand, in the order in which they were made; those of other than REAL_TIME tasks are none. */
  list(taskKey: string): Promise<LinkLag[]>
}

/** @throws AppError TASK_NOT_FOUND. */
export function createLiveLags({ db, clock }: { readonly db: MetadataDatabase; readonly clock: Clock }): LiveLags {
  return {
    async list(taskKey) {
      if ((await findTask(db.read, taskKey)) === undefined) {
        throw new AppError('TASK_NOT_FOUND', `replica task [${taskKey}] not found`, { key: taskKey })
      }
      // What was committed before the call counts.
      await numberChanges(db)
      return listLags(db.read, taskKey, clock.now())
    },
  }
}
