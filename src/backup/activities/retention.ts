import type { StoredRun } from '../layouts/layouts.ts'
import type { Retention } from '../tasks/backup-task.ts'

/** A run, as far as keeping it is concerned. */
export interface KeepableRun extends StoredRun {
  /** SUCCESS; `unknown`: it cannot be read. */
  readonly state: 'good' | 'partial' | 'unknown'
  /** An increment is nothing without the run before it. */
  readonly extent: 'full' | 'increment'
  /** Undefined: it cannot be read. */
  readonly runId: string | undefined
}

export interface RetentionPlan {
  readonly keep: readonly { readonly run: KeepableRun; readonly reasons: readonly string[] }[]
  readonly remove: readonly KeepableRun[]
}

interface Moment {
  /** UTC epoch milliseconds. */
  readonly now: number
  /** Whose days, weeks, months and years are meant. */
  readonly timeZone: string
  /** Of the run that asks, whose own backup stays; undefined: nobody made one. */
  readonly runId?: string
}

/**
 * Which runs stay (backup.md 11), for each name by itself: those that a rule names, the last good one, what increments that stay are
 * based on, what cannot be read, and what is dated later than now. Pure.
 */
export function retentionPlan(runs: readonly KeepableRun[], retention: Retention, moment: Moment): RetentionPlan {
  const groups = Map.groupBy(runs, (run) => `${run.layout === 'REPOSITORY'} ${run.name}`)
  const plans = [...groups.values()].map((group) => planOf(group, retention, moment))
  return { keep: plans.flatMap(({ keep }) => keep), remove: plans.flatMap(({ remove }) => remove) }
}

function planOf(group: readonly KeepableRun[], retention: Retention, { now, timeZone, runId }: Moment): RetentionPlan {
  const newestFirst = [...group].sort((a, b) => b.startedAt - a.startedAt)
  const reasons = new Map<KeepableRun, string[]>(newestFirst.map((run) => [run, []]))
  const keep = (run: KeepableRun | undefined, reason: string) => {
    if (run !== undefined) reasons.get(run)!.push(reason)
  }
  const readable = newestFirst.filter(({ state, startedAt }) => state !== 'unknown' && startedAt <= now)
  for (const run of newestFirst) {
    if (run.state === 'unknown') keep(run, 'it cannot be read')
    // A clock was ahead. Counted, they would take the places of what is made now.
    else if (run.startedAt > now) keep(run, 'it is dated later than now')
  }
  keep(readable.find(({ state }) => state === 'good') ?? readable[0], 'the last good one')
  for (const run of readable) if (runId !== undefined && run.runId === runId) keep(run, 'it was just made')
  for (const run of readable.slice(0, retention.keepLast ?? 0)) keep(run, 'keepLast')
  for (const { rule, unit } of PERIODS) {
    const periods = Map.groupBy(readable, ({ startedAt }) => unit(zoned(startedAt, timeZone)))
    for (const its of [...periods.values()].slice(0, retention[rule] ?? 0)) {
      keep(its.find(({ state }) => state === 'good') ?? its[0], rule)
    }
  }
  const since = retention.keepWithin === null ? undefined : withinOf(retention.keepWithin, now, timeZone)
  for (const run of readable) if (since !== undefined && run.startedAt >= since) keep(run, 'keepWithin')
  keepChains(newestFirst, reasons)
  const isKept = (run: KeepableRun) => reasons.get(run)!.length > 0
  return {
    keep: newestFirst.filter(isKept).map((run) => ({ run, reasons: reasons.get(run)! })),
    remove: newestFirst.filter((run) => !isKept(run)),
  }
}

/** From the oldest to the newest increment that stays, all back to a full run. */
function keepChains(newestFirst: readonly KeepableRun[], reasons: ReadonlyMap<KeepableRun, string[]>): void {
  let isNeeded = false
  for (const run of newestFirst) {
    const its = reasons.get(run)!
    if (isNeeded && its.length === 0) its.push('an increment needs it')
    if (run.extent === 'increment') isNeeded ||= its.length > 0
    else if (run.state !== 'unknown') isNeeded = false
  }
}

type Zoned = Temporal.ZonedDateTime
const PERIODS = [
  { rule: 'keepDaily', unit: (at: Zoned) => at.toPlainDate().toString() },
  { rule: 'keepWeekly', unit: (at: Zoned) => `${at.yearOfWeek} ${at.weekOfYear}` },
  { rule: 'keepMonthly', unit: (at: Zoned) => at.toPlainDate().toPlainYearMonth().toString() },
  { rule: 'keepYearly', unit: (at: Zoned) => String(at.year) },
] as const

const zoned = (ms: number, timeZone: string): Zoned =>
  Temporal.Instant.fromEpochMilliseconds(Math.trunc(ms)).toZonedDateTimeISO(timeZone)

const UNITS = { h: 'hours', d: 'days', w: 'weeks', m: 'months', y: 'years' } as const

/** @param within e.g. `30d`, checked with the task. */
function withinOf(within: string, now: number, timeZone: string): number {
  const unit = UNITS[within.at(-1) as keyof typeof UNITS]
  return zoned(now, timeZone).subtract({ [unit]: Number.parseInt(within, 10) }).epochMilliseconds
}
