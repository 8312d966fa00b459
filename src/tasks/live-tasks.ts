import type { Clock } from '../core/clock.ts'
import type { Ids } from '../core/ids.ts'
import type { JobQueue } from '../jobs/job-queue.ts'
import { lastChange } from '../metadata/changes/change-numbers.ts'
import type { Transaction } from '../metadata/database.ts'
import { carryLiveLinks, holdLiveLinks, moveLiveLinks, pauseLiveLinks } from '../metadata/replication/live-links.ts'
import { findRunningRecord, insertRecord } from '../metadata/replication/records.ts'
import { type TaskRow, updateTask } from '../metadata/replication/tasks.ts'
import { closeLiveRecord } from './live-record.ts'
import type { RunSnapshot } from './record.ts'
import { REPLICATE_JOB } from './runs.ts'
import { objectsOfTask, tasksFromRows } from './stored-task.ts'

/**
 * REAL_TIME tasks: while such a task is on it has one open record, and its links follow the change log. All take the row as it is after
 * the change, locked by `lockTask` in this transaction.
 */
export interface LiveTasks {
  /** Created enabled, or switched on: opens a record; the links go on where they were, new ones begin. */
  activate(trx: Transaction, row: TaskRow): Promise<void>
  /** Switched off: the links pause, and the record closes. */
  deactivate(trx: Transaction, row: TaskRow): Promise<void>
  /** Updated: when the task is on, another record is opened for it, and its links look at everything again. */
  changed(trx: Transaction, row: TaskRow): Promise<void>
  /** A new day: closes the record that was opened before it (UTC epoch ms) and opens the next one; the links go on without a stop. */
  rollOver(trx: Transaction, row: TaskRow, before: number): Promise<void>
}

export interface LiveTasksDependencies {
  readonly clock: Clock
  readonly ids: Ids
  readonly jobs: Pick<JobQueue, 'enqueue'>
}

export function createLiveTasks({ clock, ids, jobs }: LiveTasksDependencies): LiveTasks {
  /** @returns its id. */
  async function openRecord(trx: Transaction, row: TaskRow, activations: number): Promise<string> {
    const now = clock.now()
    const id = ids.id()
    const started = {
      status: 'REPLICATING',
      last_execution_status: 'RUNNING',
      last_execution_at: now,
      next_execution_at: null,
      execution_times: row.execution_times + activations,
    }
    const [task] = await tasksFromRows(trx, [{ ...row, ...started }])
    const snapshot: RunSnapshot = { task: { ...task!, replicatedBytes: 0 }, objects: await objectsOfTask(trx, row.key) }
    const opened = await insertRecord(trx, { id, task: row, snapshot: JSON.stringify(snapshot), now })
    if (!opened) throw new Error(`task ${row.key} has an open record already`)
    await updateTask(trx, row.key, started)
    return id
  }
  /** Wakes the engine, which makes the links. What changes from here on belongs to those that begin without what exists. */
  async function spread(trx: Transaction, recordId: string): Promise<void> {
    const payload = { recordId, from: String(await lastChange(trx)) }
    await jobs.enqueue({ kind: REPLICATE_JOB, dedupeKey: recordId, payload }, trx)
  }
  async function close(trx: Transaction, row: TaskRow): Promise<string | undefined> {
    const open = await findRunningRecord(trx, row.key)
    if (open === undefined) return undefined
    await closeLiveRecord(trx, open, clock.now())
    return open
  }

  return {
    async activate(trx, row) {
      if ((await findRunningRecord(trx, row.key)) !== undefined) return
      const recordId = await openRecord(trx, row, 1)
      await moveLiveLinks(trx, row.key, { recordId, state: 'NEW', now: clock.now() })
      await spread(trx, recordId)
    },

    async deactivate(trx, row) {
      await pauseLiveLinks(trx, row.key, clock.now())
      await close(trx, row)
      await updateTask(trx, row.key, { status: 'WAITING' })
    },

    async changed(trx, row) {
      // First the links, as whoever follows one takes them: what is under way counts nowhere from here on, and comes again.
      await pauseLiveLinks(trx, row.key, clock.now())
      if ((await close(trx, row)) === undefined) return
      const recordId = await openRecord(trx, row, 0)
      await moveLiveLinks(trx, row.key, { recordId, state: 'BACKFILL', now: clock.now() })
      await spread(trx, recordId)
    },

    async rollOver(trx, row, before) {
      const open = await findRunningRecord(trx, row.key)
      // Somebody else did it meanwhile.
      if (open === undefined || row.last_execution_at! >= before) return
      // Batches whose checkpoint came before this count in the old record, all others in the new one.
      await holdLiveLinks(trx, row.key)
      await closeLiveRecord(trx, open, clock.now())
      await carryLiveLinks(trx, row.key, { from: open, to: await openRecord(trx, row, 0) })
    },
  }
}
