import type { Clock } from '../../core/clock.ts'
import type { WakeUp } from '../../jobs/wake-up.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { findRecord, findRunningRecord } from '../../metadata/replication/records.ts'
import { listPlannedTasks, listScheduledTasks, replan } from '../../metadata/replication/schedules.ts'
import { lockTask, updateTask } from '../../metadata/replication/tasks.ts'
import { readSnapshot } from '../record.ts'
import type { Runs } from '../runs.ts'
import { plannedOf } from '../stored-task.ts'
import { cronOf, type Timetable } from './timetable.ts'

/** Starts the runs that are planned. Any number of processes may have one: a firing starts one run in all of them together. */
export interface Scheduler {
  /** Starts what is due now. @returns when the next task is due, if any is. UTC epoch milliseconds. */
  fireDue(): Promise<number | undefined>
  /** Sets every plan that is not what it has to be by the clock and zone of this process. @returns how many. */
  realign(): Promise<number>
  /** Both, again and again until the signal. */
  run(signal: AbortSignal): Promise<void>
}

export interface SchedulerDependencies {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly runs: Runs
  readonly timetable: Timetable
  /** Rung when a task was planned, so that it is not late. */
  readonly wakeUp: WakeUp
  /** A firing started nothing: the run before it is not at its end. */
  onSkipped(about: { readonly key: string; readonly name: string; readonly at: number }): void
  /** Of one task, or of the database; it is tried again. */
  onError(error: unknown, key: string | undefined): void
}

/** What another process planned is noticed within this time. */
const POLL_MS = 500
const AFTER_ERROR_MS = 5_000
const LOOK_AGAIN_MS = 1_000
const REALIGN_MS = 60_000
const TASKS_PER_ROUND = 100

export function createScheduler(deps: SchedulerDependencies): Scheduler {
  const { db, clock, runs, timetable, wakeUp } = deps

  /** Tasks that are due and have to wait, and until when they are left alone. */
  const resting = new Map<string, number>()

  /** Under the task's lock: of all that find it due at the same time, one does. 'later': something else runs for it. */
  async function fire(key: string): Promise<'later' | undefined> {
    const outcome = await db.transact(async (trx) => {
      const task = await lockTask(trx, key)
      const now = clock.now()
      const at = task?.next_execution_at ?? null
      if (task === undefined || task.enabled === 0 || at === null || at > now) return undefined
      const running = await findRunningRecord(trx, key)
      if (running === undefined) {
        await runs.start(trx, task)
        return undefined
      }
      const planned = plannedOf(task)
      if (cronOf(planned) === null || (await isRetry(trx, running))) return 'later'
      await updateTask(trx, key, { next_execution_at: timetable.next({ ...planned, firedAt: at }, now) })
      return { key, name: task.name, at }
    })
    if (typeof outcome !== 'object') return outcome
    deps.onSkipped(outcome)
    return undefined
  }

  async function tryToFire(key: string): Promise<void> {
    try {
      if ((await fire(key)) === 'later') resting.set(key, clock.now() + LOOK_AGAIN_MS)
      else resting.delete(key)
    } catch (error) {
      resting.set(key, clock.now() + AFTER_ERROR_MS)
      deps.onError(error, key)
    }
  }

  async function fireDue(): Promise<number | undefined> {
    for (;;) {
      const planned = await listPlannedTasks(db.read, TASKS_PER_ROUND + resting.size)
      const now = clock.now()
      const due = planned.filter(({ key, at }) => at <= now && !((resting.get(key) ?? 0) > now))
      if (due.length === 0) return planned.find(({ at }) => at > now)?.at
      for (const { key } of due) await tryToFire(key)
    }
  }

  async function realign(): Promise<number> {
    let changed = 0
    for (let after = ''; ; ) {
      const tasks = await listScheduledTasks(db.read, after, TASKS_PER_ROUND)
      const now = clock.now()
      for (const task of tasks) {
        const before = task.next_execution_at
        // What is due is fired.
        if ((before !== null && before <= now) || cronOf(plannedOf(task)) === null) continue
        const next = timetable.next(plannedOf(task), now)
        if (next !== before && (await db.transact((trx) => replan(trx, task, next)))) changed++
      }
      if (tasks.length < TASKS_PER_ROUND) return changed
      after = tasks.at(-1)!.key
    }
  }

  return {
    fireDue,
    realign,
    async run(signal) {
      signal.addEventListener('abort', wakeUp.ring, { once: true })
      let realignAt = 0
      let seen = 0
      while (!signal.aborted) {
        let pauseMs = POLL_MS
        try {
          const now = clock.now()
          // A clock that was set back would leave plans far ahead of it.
          if (now < seen || now >= realignAt) {
            await realign()
            realignAt = now + REALIGN_MS
          }
          seen = now
          const next = await fireDue()
          if (next !== undefined) pauseMs = Math.min(POLL_MS, Math.max(0, next - clock.now()))
        } catch (error) {
          deps.onError(error, undefined)
          pauseMs = AFTER_ERROR_MS
        }
        if (!signal.aborted) await wakeUp.wait(pauseMs)
      }
    },
  }
}

/** A run that only tries again what failed is not the one that is planned. */
async function isRetry(trx: Transaction, recordId: string): Promise<boolean> {
  const record = await findRecord(trx, recordId)
  return record !== undefined && readSnapshot(record).retry !== undefined
}
