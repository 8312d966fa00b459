interface Field {
  readonly min: number
  readonly max: number
  /** In the order of their numbers, from `min`. */
  readonly names?: readonly string[]
  /** Beyond numbers, names, `*`, ranges and steps. */
  readonly special?: RegExp
}

const FIELDS: readonly Field[] = [
  { min: 0, max: 59 },
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31, special: /^(\?|L|LW|(0?[1-9]|[12]\d|3[01])W)$/ },
  { min: 1, max: 12, names: ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'] },
  { min: 0, max: 7, names: ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'], special: /^(\?|L|[1-7]L|[1-7]#[1-5])$/ },
  { min: 1970, max: 2199 },
]
const UNIX_FIELDS = 5
const MIN_QUARTZ_FIELDS = 6

/**
 * Whether a text can be a cron expression: 6 or 7 Quartz fields (seconds first) or 5 Unix ones, each with its own characters and
 * numbers (replication.md 3.3; `L-3` is refused, section 8). It does not compute firings: scheduling comes with a later release.
 */
export function isCronExpression(text: string): boolean {
  const parts = text.trim().toUpperCase().split(/\s+/)
  const all = parts.length === UNIX_FIELDS ? ['0', ...parts] : parts
  if (all.length < MIN_QUARTZ_FIELDS || all.length > FIELDS.length) return false
  return all.every((part, index) => part.split(',').every((item) => isItem(item, FIELDS[index]!)))
}

function isItem(item: string, field: Field): boolean {
  if (field.special?.test(item)) return true
  const [base = '', step, ...rest] = item.split('/')
  if (rest.length > 0 || (step !== undefined && !/^0*[1-9]\d{0,3}$/.test(step))) return false
  if (base === '*') return true
  const ends = base.split('-')
  return ends.length <= 2 && ends.every((end) => isValue(end, field))
}

function isValue(text: string, { min, max, names }: Field): boolean {
  if (names?.includes(text)) return true
  return /^\d{1,4}$/.test(text) && Number(text) >= min && Number(text) <= max
}
