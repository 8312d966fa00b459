import { invalid, missing, notBuilt } from '../../core/errors.ts'
import { type NodePath, normalisePath } from '../../core/paths.ts'
import { type RequestFields, unreadable } from '../../core/request-fields.ts'

const TYPES = ['retentionDays', 'retentionDate', 'retentionNums'] as const
/** A hundred years. */
const MAX_DAYS = 36_500
/** The newest of one folder are kept in memory while it is looked through. */
const MAX_KEPT = 10_000
const DAY_MS = 86_400_000
const DATE = /^\d{4}-\d{2}-\d{2}$/

/** What a repository keeps (core.md 6); the rest of what lies in its targets is deleted by a chore. */
export type CleanupStrategy = {
  /** Folders, with all below them; `/`: everything. */
  readonly targets: readonly NodePath[]
} & (
  | { readonly keep: 'days'; readonly days: number }
  /** A date-time of the wire, in the server's zone unless it names one. */
  | { readonly keep: 'since'; readonly date: string }
  /** The newest of each folder. */
  | { readonly keep: 'newest'; readonly files: number }
)

/**
 * Reads `settings.cleanupStrategy`. @param type of the repository. @returns undefined when it is absent or switched off.
 * @throws AppError PARAMETER_*, REQUEST_CONTENT_INVALID naming the field, OPTION_NOT_BUILT for what is not there yet.
 */
export function planCleanup(settings: RequestFields | undefined, type: string): CleanupStrategy | undefined {
  const fields = settings?.object('cleanupStrategy')
  if (fields === undefined || fields.flag('enable') !== true) return undefined
  const cleanupType = fields.text('cleanupType')
  if (cleanupType === undefined) throw missing(named('cleanupType'))
  const kind = TYPES.find((known) => known.toLowerCase() === cleanupType.trim().toLowerCase())
  if (kind === undefined) throw unreadable(named('cleanupType'), `must be one of ${TYPES.join(', ')}`)
  const value = textOfValue(fields)
  const targets = targetsOf(fields)
  switch (kind) {
    case 'retentionDays':
      return { targets, keep: 'days', days: whole(value, MAX_DAYS) }
    case 'retentionDate':
      return { targets, keep: 'since', date: dateTime(value) }
    case 'retentionNums':
      if (type !== 'GENERIC') {
        throw notBuilt(`${named('cleanupType')} [${kind}]`, `counts files, so far in GENERIC repositories only`)
      }
      return { targets, keep: 'newest', files: whole(value, MAX_KEPT) }
  }
}

/** Files last modified before it are deleted. @param parseTime of date-times of the wire. */
export function keptSince(
  strategy: Extract<CleanupStrategy, { keep: 'days' | 'since' }>,
  now: number,
  parseTime: (name: string, value: unknown) => number,
): number {
  return strategy.keep === 'days' ? now - strategy.days * DAY_MS : parseTime(named('cleanupValue'), strategy.date)
}

const named = (field: string) => `settings.cleanupStrategy.${field}`

/** Clients send numbers as text, too. */
function textOfValue(fields: RequestFields): string {
  const raw = fields.raw('cleanupValue')
  const text = typeof raw === 'number' ? String(raw) : fields.text('cleanupValue')
  if (text === undefined || text.trim() === '') throw missing(named('cleanupValue'))
  return text.trim()
}

function whole(text: string, most: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (value < 1 || value > most) throw invalid(named('cleanupValue'), `it must be a whole number, 1 to ${most}`)
  return value
}

function dateTime(text: string): string {
  const whole = DATE.test(text) ? `${text}T00:00:00` : text
  try {
    Temporal.PlainDateTime.from(whole.replace(/Z$/i, ''))
    return whole
  } catch {
    throw invalid(named('cleanupValue'), 'it must be a date or a date-time such as 2021-05-12T12:19:08.813')
  }
}

function targetsOf(fields: RequestFields): NodePath[] {
  const list = fields.list('cleanTargets') ?? []
  const targets = list.map((target) => {
    if (typeof target !== 'string') throw unreadable(named('cleanTargets'), 'must be an array of paths of folders')
    return normalisePath(target)
  })
  return targets.length === 0 ? [normalisePath('/')] : [...new Set(targets)]
}
