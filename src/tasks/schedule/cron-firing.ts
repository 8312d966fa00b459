import { Cron, type CronOptions } from 'croner'
import { parseCron } from './cron-expression.ts'

/** Times at which a cron expression fires, in one zone. Pure. */
export interface CronFirings {
  /** The first firing after `ms`; null: there is none any more. Both UTC epoch milliseconds. */
  after(ms: number): number | null
}

/**
 * Undefined: it is no cron expression. Where the clock skips the time of a firing it fires when the clock goes on, where it shows the
 * time twice it fires the first time only; what fires every few minutes goes on every few minutes.
 * @param timeZone IANA name.
 */
export function cronFirings(text: string, timeZone: string): CronFirings | undefined {
  const expression = parseCron(text)
  if (expression === undefined) return undefined
  const cron = understood(expression.pattern, {
    timezone: timeZone,
    paused: true,
    sloppyRanges: true,
    alternativeWeekdays: expression.sundayIs === 1,
  })
  return cron && { after: (ms) => cron.nextRun(new Date(ms))?.getTime() ?? null }
}

function understood(pattern: string, options: CronOptions): Cron | undefined {
  try {
    return new Cron(pattern, options)
  } catch {
    return undefined // what the pattern's grammar allows and no calendar does
  }
}
