import type { Clock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import type { Ids } from '../core/ids.ts'
import type { JobQueue } from '../jobs/job-queue.ts'
import type { Transaction } from '../metadata/database.ts'
import { endRecord, findRecord, insertRecord } from '../metadata/replication/records.ts'
import { lockTask, type TaskRow, updateTask } from '../metadata/replication/tasks.ts'
import { endPull } from './edges/pull-end.ts'
import type { Overview, RunRetry, RunSnapshot } from './record.ts'
import { NEXT } from './record-state.ts'
import { cronOf, type Timetable } from './schedule/timetable.ts'
import { objectsOfTask, plannedOf, tasksFromRows } from './stored-task.ts'
import type { ReplicationTask, RunStatus, TaskStatus, TaskTarget } from './task.ts'
import { announceEnd } from './webhooks/webhook-queue.ts'

/** Kind of the job that wakes the engine for a record; payload `{recordId}`. */
export const REPLICATE_JOB = 'replicate'

export interface Runs {
  /**
   * Starts a run in the caller's transaction: record, the task's counters, and the job that wakes the engine, all or nothing.
   * @param task the row, locked by `lockTask` in this transaction.
   * @param retry looks at nothing else; a planned run stays planned.
   * @param only targets by id; else all. @returns the id of the record. @throws AppError TASK_STATUS_INVALID when a run is in progress.
   */
  start(trx: Transaction, task: TaskRow, retry?: RunRetry, only?: readonly string[]): Promise<string>
}

export interface RunsDependencies {
  readonly clock: Clock
  readonly ids: Ids
  readonly jobs: Pick<JobQueue, 'enqueue'>
  readonly timetable: Timetable
}

export function createRuns({ clock, ids, jobs, timetable }: RunsDependencies): Runs {
  return {
    async start(trx, row, retry, only) {
      const now = clock.now()
      const recordId = ids.id()
      // Whoever starts a run when one was planned has started the planned one.
      const planned = retry === undefined ? row.next_execution_at : null
      const firedAt = planned !== null && planned <= now ? planned : row.fired_at
      const started = {
        status: 'REPLICATING',
        last_execution_status: 'RUNNING',
        last_execution_at: now,
        next_execution_at:
          retry === undefined ? timetable.next({ ...plannedOf(row), firedAt }, now) : row.next_execution_at,
        fired_at: firedAt,
        execution_times: row.execution_times + 1,
      }
      const [task] = await tasksFromRows(trx, [{ ...row, ...started }])
      const snapshot: RunSnapshot = {
        task: { ...task!, targets: targetsOf(task!, only), replicatedBytes: 0, totalBytes: null },
        objects: await objectsOfTask(trx, row.key),
        ...(retry && { retry }),
      }
      const isFirst = await insertRecord(trx, { id: recordId, task: row, snapshot: JSON.stringify(snapshot), now })
      if (!isFirst) throw runInProgress(row.key)
      await updateTask(trx, row.key, started)
      await jobs.enqueue({ kind: REPLICATE_JOB, dedupeKey: recordId, payload: { recordId } }, trx)
      return recordId
    },
  }
}

const targetsOf = ({ targets }: ReplicationTask, only: readonly string[] | undefined): readonly TaskTarget[] =>
  only === undefined ? targets : targets.filter(({ id }) => only.includes(id))

export const runInProgress = (key: string): AppError =>
  new AppError('TASK_STATUS_INVALID', 'task status invalid: a run is in progress', { key })

export interface RunResult {
  readonly recordId: string
  readonly status: Exclude<RunStatus, 'RUNNING'>
  /** One line per target that failed; null for SUCCESS. */
  readonly errorReason: string | null
  readonly overview: Overview
  readonly replicatedBytes: number
  readonly totalBytes: number
  /** UTC epoch milliseconds. */
  readonly now: number
}

/**
 * Closes a record and its task in the caller's transaction (replication.md 3.4). A no-op for a record that is closed or was
 * deleted with its task. @returns whether this call closed it.
 */
export async function closeRecord(trx: Transaction, result: RunResult): Promise<boolean> {
  const { recordId, status, errorReason, overview, replicatedBytes, totalBytes, now } = result
  const taskKey = (await findRecord(trx, recordId))?.task_key
  // The task first, as all do: otherwise this and a deletion could wait for each other.
  const task = taskKey === undefined ? undefined : await lockTask(trx, taskKey)
  if (task === undefined) return false
  const record = await findRecord(trx, recordId)
  if (record === undefined) return false
  const next = NEXT[record.status as RunStatus][status === 'SUCCESS' ? 'finish' : 'fail']
  if (next === 'ignore') return false
  const end = {
    status: next,
    errorReason,
    overview: JSON.stringify(overview),
    replicatedBytes,
    totalBytes,
    endedAt: now,
  }
  if (!(await endRecord(trx, recordId, end))) return false
  const left = record.replica_type === 'EDGE_PULL' ? await endPull(trx, record) : undefined
  await announceEnd(trx, task, recordId, now)
  await updateTask(trx, task.key, {
    status: left === 'waiting' ? 'WAITING' : statusAfterRun(task),
    last_execution_status: next,
  })
  return true
}

/** What goes on by itself, or has a time ahead, waits; what follows changes goes on following them (replication.md 3.2). */
function statusAfterRun(task: TaskRow): TaskStatus {
  const { replicaType, enabled, setting } = plannedOf(task)
  if (replicaType === 'REAL_TIME') return enabled ? 'REPLICATING' : 'WAITING'
  return task.next_execution_at !== null || cronOf({ replicaType, setting }) !== null ? 'WAITING' : 'COMPLETED'
}
