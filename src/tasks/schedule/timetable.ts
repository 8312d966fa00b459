import type { ReplicaType, TaskSetting } from '../task.ts'
import { type CronFirings, cronFirings } from './cron-firing.ts'

/** What a task is due by. Times are UTC epoch milliseconds. */
export interface Planned {
  readonly replicaType: ReplicaType
  readonly enabled: boolean
  readonly setting: Pick<TaskSetting, 'executionStrategy' | 'executionPlan'>
  /** The planned time that a run was started for last. */
  readonly firedAt: number | null
}

/** When tasks run by themselves, in the server's zone. Pure. */
export interface Timetable {
  /** Undefined: it is no cron expression. */
  firings(expression: string): CronFirings | undefined
  /**
   * `nextExecutionTime` as it has to be at `now` (replication.md 3.3). A specified time that no run was started for stays, past or not.
   * Null: nothing is planned.
   */
  next(task: Planned, now: number): number | null
}

/** A clock that was set back by less than this does not fire again what it fired. */
const SMALL_STEP_MS = 5 * 60_000
const MAX_KNOWN = 10_000

/** @param timeZone IANA name. */
export function createTimetable(timeZone: string): Timetable {
  const known = new Map<string, CronFirings | undefined>()

  function firings(expression: string): CronFirings | undefined {
    const found = known.get(expression) ?? cronFirings(expression, timeZone)
    if (known.size >= MAX_KNOWN) known.clear()
    known.set(expression, found)
    return found
  }
  return {
    firings,
    next(task, now) {
      const { enabled, firedAt } = task
      const cron = enabled ? cronOf(task) : null
      if (cron === null) return pendingTime(task)
      const steppedBack = firedAt !== null && firedAt > now && firedAt - now < SMALL_STEP_MS
      return firings(cron)?.after(steppedBack ? firedAt : now) ?? null
    },
  }
}

/** The specified time of a task for which no run was started yet. */
function pendingTime({ replicaType, enabled, setting, firedAt }: Planned): number | null {
  if (!enabled || replicaType !== 'SCHEDULED' || setting.executionStrategy !== 'SPECIFIED_TIME') return null
  const { executeTime } = setting.executionPlan
  return executeTime === firedAt ? null : executeTime
}

/** The expression by which a task runs again and again. */
export const cronOf = ({ replicaType, setting }: Pick<Planned, 'replicaType' | 'setting'>): string | null =>
  replicaType === 'SCHEDULED' && setting.executionStrategy === 'CRON_EXPRESSION'
    ? setting.executionPlan.cronExpression
    : null
