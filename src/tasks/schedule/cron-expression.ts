interface Field {
  readonly min: number
  readonly max: number
  /** In the order of their numbers, from the first that has a name. */
  readonly names?: readonly string[]
  readonly firstName?: number
  /** Beyond numbers, names, `*`, ranges and steps. */
  readonly special?: RegExp
}

const WEEKDAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT']
const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC']

const TIMES: readonly Field[] = [
  { min: 0, max: 59 },
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31, special: /^(\?|L|LW|(0?[1-9]|[12]\d|3[01])W)$/ },
  { min: 1, max: 12, names: MONTHS, firstName: 1 },
]
const DAY_OF_WEEK = { names: WEEKDAYS, special: /^(\?|[1-7]L|[1-7]#[1-5])$/ }
const YEAR: Field = { min: 1970, max: 2199 }
/** Sunday is 1. */
const QUARTZ = [...TIMES, { ...DAY_OF_WEEK, min: 1, max: 7, firstName: 1 }, YEAR]
/** Sunday is 0, and 7 too. */
const UNIX = [...TIMES, { ...DAY_OF_WEEK, min: 0, max: 7, firstName: 0 }]

const UNIX_FIELDS = 5
const MIN_QUARTZ_FIELDS = 6
const MAX_LENGTH = 1_000
const DAY_OF_WEEK_AT = 5

/** A cron expression with seconds first and nothing in it that cron programs read differently. */
export interface CronExpression {
  readonly pattern: string
  /** Whether day-of-week 1 is Sunday, as in Quartz, or Monday, as in Unix. */
  readonly sundayIs: 0 | 1
}

/**
 * Reads 6 or 7 Quartz fields (seconds first) or 5 Unix ones, each with its own characters and numbers (replication.md 3.3; `L-3` is
 * refused, section 8). Ranges may pass the end of their field: `FRI-MON`, `22-2`. Undefined: it is no cron expression.
 */
export function parseCron(text: string): CronExpression | undefined {
  if (text.length > MAX_LENGTH) return undefined
  const parts = text.trim().toUpperCase().split(/\s+/)
  const isUnix = parts.length === UNIX_FIELDS
  const all = isUnix ? ['0', ...parts] : parts
  const fields = isUnix ? UNIX : QUARTZ
  if (all.length < MIN_QUARTZ_FIELDS || all.length > fields.length) return undefined
  const read = all.map((part, at) => readField(part, fields[at]!, at === DAY_OF_WEEK_AT && !isUnix))
  if (read.includes(undefined)) return undefined
  return { pattern: read.join(' '), sundayIs: isUnix ? 0 : 1 }
}

function readField(part: string, field: Field, isQuartzWeekday: boolean): string | undefined {
  // Quartz: L alone is the last day of the week, Saturday.
  const items = part.split(',').map((item) => readItem(isQuartzWeekday && item === 'L' ? '7' : item, field))
  return items.includes(undefined) ? undefined : items.join(',')
}

function readItem(item: string, field: Field): string | undefined {
  if (field.special?.test(item)) return item
  const [base = '', step, ...rest] = item.split('/')
  if (rest.length > 0 || (step !== undefined && !/^0*[1-9]\d{0,3}$/.test(step))) return undefined
  const suffix = step === undefined ? '' : `/${Number(step)}`
  if (base === '*') return `*${suffix}`
  const ends = base.split('-').map((end) => numberOf(end, field))
  if (ends.length > 2 || ends.includes(undefined)) return undefined
  const [from, to] = ends as number[]
  if (to === undefined) return `${from}${suffix}`
  if (from! <= to) return `${from}-${to}${suffix}`
  return field === YEAR ? undefined : overTheEnd(from!, to, Number(step ?? 1), field)
}

/** `22-2/2` → `22,0,2`. */
function overTheEnd(from: number, to: number, step: number, { min, max }: Field): string {
  // Of the days of a Unix week the last is 6: 7 is 0 again.
  const size = max - min + 1 - (min === 0 && max === 7 ? 1 : 0)
  const values: number[] = []
  for (let value = from; value <= to + size; value += step) values.push(((value - min) % size) + min)
  return values.join(',')
}

function numberOf(text: string, { min, max, names, firstName = 0 }: Field): number | undefined {
  const named = names?.indexOf(text) ?? -1
  if (named >= 0) return named + firstName
  const value = Number(text)
  return /^\d{1,4}$/.test(text) && value >= min && value <= max ? value : undefined
}
