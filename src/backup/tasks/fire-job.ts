import type { Clock } from '../../core/clock.ts'
import { hasCode } from '../../core/errors.ts'
import type { JobQueue } from '../../jobs/job-queue.ts'
import type { JobHandler } from '../../jobs/worker.ts'
import { type AuditEntry, insertAuditEntries } from '../../metadata/access/audit-log.ts'
import {
  type BackupTaskRow,
  listLiveBackupTasks,
  lockBackupTask,
  updateBackupTask,
} from '../../metadata/backup/tasks.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import type { Timetable } from '../../tasks/schedule/timetable.ts'
import { type BackupRuns, RUN_BACKUP } from './backup-runs.ts'
import type { BackupSetting } from './backup-task.ts'
import { isRecurrent, plannedOf } from './stored-backup-task.ts'

/** Starts planned runs. The queue's lease sees to it that a firing is one process's. */
export interface FireJob {
  readonly handler: JobHandler
  /** Puts what is planned or in progress into the queue, as it has to be by the clock and zone of this process. For the start. */
  recover(): Promise<void>
}

export interface FireJobDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly jobs: Pick<JobQueue, 'enqueue'>
  readonly runs: BackupRuns
  readonly timetable: Timetable
  /** A firing started nothing: the run before it, or another one in its place, is not at its end. */
  onSkipped(about: { readonly id: string; readonly name: string; readonly at: number }): void
}

/** A specified time that finds its place taken waits for so long. */
const LOOK_AGAIN_MS = 5_000
const TASKS_PER_ROUND = 100

/** What a planned run leaves in the audit log, as a request that executes a task does: by whom it was planned. */
const firingOf = ({ id, name, created_by }: BackupTaskRow, runId: string, at: number): AuditEntry => ({
  ...{ at, lastAt: at, times: 1, userId: created_by, appId: null, address: '', project: null, repo: null },
  action: 'FIRE /job/api/job/backup/execute/:taskId',
  resource: `name=${name} taskId=${id}`,
  ...{ outcome: 'SUCCESS', code: 0, traceId: runId },
})

export function createFireJob({ db, clock, jobs, runs, timetable, onSkipped }: FireJobDeps): FireJob {
  const nextOf = ({ setting, fired_at }: BackupTaskRow, now: number, firedAt = fired_at) =>
    timetable.next(plannedOf(JSON.parse(setting) as BackupSetting, firedAt), now)

  async function move(trx: Transaction, task: BackupTaskRow, next: number | null): Promise<number | null> {
    if (next !== task.next_execution_at) await updateBackupTask(trx, task.id, { next_execution_at: next })
    return next
  }

  /** @returns when to look again; null: nothing is planned any more. */
  async function fire(trx: Transaction, id: string): Promise<number | null> {
    const task = await lockBackupTask(trx, id)
    const at = task?.next_execution_at ?? null
    if (task === undefined || at === null) return null
    const now = clock.now()
    if (at > now) return move(trx, task, nextOf(task, now))
    if (task.state === 'RUNNING') return skip(trx, task, at)
    if (task.state === 'FINISHED') return move(trx, task, null)
    const runId = await runs.start(trx, task, task.created_by)
    await insertAuditEntries(trx, [firingOf(task, runId, now)])
    return nextOf(task, now, at)
  }

  async function skip(trx: Transaction, task: BackupTaskRow, at: number): Promise<number | null> {
    onSkipped({ id: task.id, name: task.name, at })
    return move(trx, task, nextOf(task, clock.now(), at))
  }

  /** Another task has the place: a cron expression has other times, a specified time has not. */
  async function later(trx: Transaction, id: string): Promise<number | null> {
    const task = await lockBackupTask(trx, id)
    const at = task?.next_execution_at ?? null
    if (task === undefined || at === null) return null
    if (isRecurrent(JSON.parse(task.setting) as BackupSetting)) return skip(trx, task, at)
    return clock.now() + LOOK_AGAIN_MS
  }

  return {
    async handler(job) {
      const id = job.payload.taskId!
      let retryAt: number | null
      try {
        retryAt = await db.transact((trx) => fire(trx, id))
      } catch (error) {
        if (!hasCode(error, 'LOCK_NOT_ACQUIRED')) throw error
        retryAt = await db.transact((trx) => later(trx, id))
      }
      return retryAt === null ? undefined : { retryAt }
    },

    async recover() {
      for (let after = ''; ; ) {
        const tasks = await listLiveBackupTasks(db.read, after, TASKS_PER_ROUND)
        for (const { id } of tasks) {
          await db.transact(async (trx) => {
            const task = await lockBackupTask(trx, id)
            if (task === undefined) return
            if (task.state === 'RUNNING') {
              await jobs.enqueue({ kind: RUN_BACKUP, dedupeKey: task.run!, payload: { runId: task.run! } }, trx)
            }
            const { next_execution_at: at } = task
            // What is due is fired.
            await runs.plan(
              trx,
              id,
              at === null || at <= clock.now() ? at : await move(trx, task, nextOf(task, clock.now())),
            )
          })
        }
        if (tasks.length < TASKS_PER_ROUND) return
        after = tasks.at(-1)!.id
      }
    },
  }
}
