import type { Clock } from '../core/clock.ts'
import type { JobQueue } from '../jobs/job-queue.ts'
import type { MetadataDatabase, Reader } from '../metadata/database.ts'
import { listFollowingSets, newestRepository, saveSnapshot } from '../metadata/replication/dynamic-tasks.ts'
import { findRecord, findRunningRecord } from '../metadata/replication/records.ts'
import { lockTask } from '../metadata/replication/tasks.ts'
import { readSnapshot } from './record.ts'
import { REPLICATE_JOB } from './runs.ts'
import { objectsOfTask } from './stored-task.ts'

/** Brings repositories that are made, or go, into the REAL_TIME tasks whose set they belong to. */
export interface SetWatch {
  /** Looks at all such tasks once. @returns how many of them changed. */
  check(): Promise<number>
  run(signal: AbortSignal): Promise<void>
}

interface SetWatchDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly jobs: Pick<JobQueue, 'enqueue'>
  onError(error: unknown): void
}

/** Between two looks at the newest repository, by primary key. */
const LOOK_MS = 500
/** Repositories that went, or that a look missed. */
const CHECK_ALL_MS = 60_000
/** All that a new repository has came after the task was switched on. */
const FROM_THE_BEGINNING = '0'

export function createSetWatch({ db, clock, jobs, onError }: SetWatchDeps): SetWatch {
  /** What the open record of a task would hold now; undefined: what it holds. */
  async function staleRecord(reader: Reader, key: string) {
    const recordId = await findRunningRecord(reader, key)
    const record = recordId === undefined ? undefined : await findRecord(reader, recordId)
    if (record === undefined) return undefined
    const snapshot = readSnapshot(record)
    const objects = await objectsOfTask(reader, key)
    if (JSON.stringify(objects) === JSON.stringify(snapshot.objects)) return undefined
    return { recordId: record.id, snapshot: { ...snapshot, objects } }
  }

  async function refresh(key: string): Promise<boolean> {
    if ((await staleRecord(db.read, key)) === undefined) return false
    return db.transact(async (trx) => {
      const row = await lockTask(trx, key)
      const stale = row?.enabled === 1 ? await staleRecord(trx, key) : undefined
      if (stale === undefined) return false
      const { recordId, snapshot } = stale
      await saveSnapshot(trx, recordId, JSON.stringify(snapshot))
      // The same job as at the start: it makes the links that are missing, and drops those that are nobody's.
      const payload = { recordId, from: FROM_THE_BEGINNING }
      await jobs.enqueue({ kind: REPLICATE_JOB, dedupeKey: recordId, payload }, trx)
      return true
    })
  }

  async function check(): Promise<number> {
    let changed = 0
    for (const key of await listFollowingSets(db.read)) if (await refresh(key)) changed++
    return changed
  }

  return {
    check,
    async run(signal) {
      let seen: number | undefined
      let checkedAt = 0
      while (!signal.aborted) {
        try {
          const newest = await newestRepository(db.read)
          if (newest !== seen || clock.now() - checkedAt >= CHECK_ALL_MS) {
            await check()
            // Only now: what could not be checked is looked at again.
            seen = newest
            checkedAt = clock.now()
          }
        } catch (error) {
          onError(error)
        }
        await clock.sleep(LOOK_MS, signal).catch(() => {})
      }
    },
  }
}
