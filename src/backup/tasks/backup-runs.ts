import type { Clock } from '../../core/clock.ts'
import { AppError, invalid } from '../../core/errors.ts'
import type { Ids } from '../../core/ids.ts'
import type { JobQueue } from '../../jobs/job-queue.ts'
import { type BackupRunEnd, endBackupRun, insertBackupRun } from '../../metadata/backup/runs.ts'
import { type BackupTaskRow, lockBackupTask, startBackupTask, updateBackupTask } from '../../metadata/backup/tasks.ts'
import type { Transaction } from '../../metadata/database.ts'
import { isUniqueViolation } from '../../metadata/sql/unique-violation.ts'
import type { Timetable } from '../../tasks/schedule/timetable.ts'
import { NO_PROGRESS } from './backup-run.ts'
import type { BackupSetting } from './backup-task.ts'
import { isRecurrent, plannedOf } from './stored-backup-task.ts'

/** Works on one run; its dedupe key is the run's id. */
export const RUN_BACKUP = 'run-backup'
/** Starts what is planned; its dedupe key is the task's id. */
export const FIRE_BACKUP = 'fire-backup'

/** How runs begin and end in the database. */
export interface BackupRuns {
  /**
   * In the caller's transaction. @returns the run's id.
   * @throws AppError PARAMETER_INVALID `state` when the task is not PENDING; LOCK_NOT_ACQUIRED when another run has
   * its place: the transaction is of no use any more.
   */
  start(trx: Transaction, task: BackupTaskRow, by: string): Promise<string>
  /** The run and its task, whoever else may want to: false when the run is not `worker`'s any more. In a transaction of its own. */
  end(trx: Transaction, run: RunOfWorker, end: Omit<BackupRunEnd, 'ended_at'>): Promise<boolean>
  /** Has the task fired at the time that is planned for it. */
  plan(trx: Transaction, taskId: string, at: number | null): Promise<void>
}

export interface RunOfWorker {
  readonly id: string
  readonly taskId: string
  /** Null: nobody began it. */
  readonly worker: string | null
}

export interface BackupRunsDeps {
  readonly clock: Clock
  readonly ids: Ids
  readonly jobs: Pick<JobQueue, 'enqueue'>
  readonly timetable: Timetable
}

export function createBackupRuns({ clock, ids, jobs, timetable }: BackupRunsDeps): BackupRuns {
  async function plan(trx: Transaction, taskId: string, at: number | null): Promise<void> {
    if (at === null) return
    await jobs.enqueue({ kind: FIRE_BACKUP, dedupeKey: taskId, payload: { taskId }, runAt: at }, trx)
  }
  return {
    plan,
    async start(trx, task, by) {
      const now = clock.now()
      const runId = ids.id()
      const due = task.next_execution_at !== null && task.next_execution_at <= now
      const firedAt = due ? task.next_execution_at : task.fired_at
      const setting = JSON.parse(task.setting) as BackupSetting
      const next = isRecurrent(setting) ? timetable.next(plannedOf(setting, firedAt), now) : null
      const start = { run: runId, started_at: now, fired_at: firedAt, next_execution_at: next }
      if (!(await refusingBusy(task, () => startBackupTask(trx, task.id, start))))
        throw invalid('state', `task [${task.id}] is ${task.state}, and only PENDING ones can be executed`)
      const progress = JSON.stringify(NO_PROGRESS)
      await insertBackupRun(trx, { id: runId, task_id: task.id, started_by: by, progress, started_at: now })
      await jobs.enqueue({ kind: RUN_BACKUP, dedupeKey: runId, payload: { runId } }, trx)
      await plan(trx, task.id, next)
      return runId
    },
    async end(trx, run, end) {
      const task = await lockBackupTask(trx, run.taskId)
      const ended_at = clock.now()
      if (!(await endBackupRun(trx, run, { ...end, ended_at }))) return false
      const { result, error_reason, artifact_location } = end
      // A cron expression that fires never again leaves nothing to wait for.
      const state = (task?.next_execution_at ?? null) === null ? 'FINISHED' : 'PENDING'
      const succeeded = result === 'SUCCESS' ? { succeeded_at: ended_at } : {}
      await updateBackupTask(trx, run.taskId, {
        state,
        result,
        error_reason,
        artifact_location,
        ended_at,
        ...succeeded,
      })
      return true
    },
  }
}

async function refusingBusy<T>(task: BackupTaskRow, start: () => Promise<T>): Promise<T> {
  try {
    return await start()
  } catch (error) {
    if (!isUniqueViolation(error)) throw error
    const why = `${holderOf(task)} runs; wait for its end, or cancel it`
    throw new AppError('LOCK_NOT_ACQUIRED', `The task cannot run: ${why}`, {}, { cause: error })
  }
}

function holderOf({ type, name, store_location }: BackupTaskRow): string {
  if (type === 'DATA_RESTORE') return 'another restore'
  const called = type === 'DATA_BACKUP' ? `, called [${name}],` : ''
  return `another ${type}${called} of [${store_location}]`
}
