import { invalid } from '../../core/errors.ts'
import { isProjectName } from '../../core/names.ts'
import { fieldsOf, type RequestFields } from '../../core/request-fields.ts'
import type { TimeRules } from '../../tasks/validate-setting.ts'
import type { ActivityType, BackupContent, BackupSetting, ExecutionPlan, Retention } from './backup-task.ts'

const CONFLICT_STRATEGIES = ['SKIP', 'OVERWRITE'] as const
const ERROR_STRATEGIES = ['CONTINUE', 'FAST_FAIL'] as const
const EXECUTION_STRATEGIES = ['IMMEDIATELY', 'SPECIFIED_TIME', 'CRON_EXPRESSION'] as const
const LAYOUTS = ['FOLDER', 'REPOSITORY'] as const

/** What is checked together with a setting. */
interface SettingContext {
  readonly type: ActivityType
  readonly content: BackupContent
  readonly time: TimeRules
}

/**
 * `backupSetting` with defaults filled in (backup.md 2). Pure.
 * @throws AppError PARAMETER_INVALID, REQUEST_CONTENT_INVALID.
 */
export function checkBackupSetting(fields: RequestFields, { type, content, time }: SettingContext): BackupSetting {
  const executionStrategy = fields.choice('executionStrategy', EXECUTION_STRATEGIES) ?? 'IMMEDIATELY'
  return {
    conflictStrategy: fields.choice('conflictStrategy', CONFLICT_STRATEGIES) ?? 'OVERWRITE',
    errorStrategy: fields.choice('errorStrategy', ERROR_STRATEGIES) ?? 'CONTINUE',
    executionStrategy,
    executionPlan: checkPlan(fields.object('executionPlan') ?? fieldsOf({}), executionStrategy, time),
    spaceCapCheck: fields.flag('spaceCapCheck') ?? true,
    layout: fields.choice('layout', LAYOUTS) ?? 'FOLDER',
    retention: checkRetention(fields.object('retention'), type),
    rateLimit: checkRate(fields.integer('rateLimit')),
    dryRun: checkDryRun(fields.flag('dryRun') ?? false, type),
    legacy: fields.flag('legacy') ?? false,
    restoreCredentials: fields.flag('restoreCredentials') ?? false,
    targetProjectId: checkTarget(fields.text('targetProjectId'), type, content),
    readDataPercent: checkPercent(fields.raw('readDataPercent'), type),
    subset: checkSubset(fields.text('subset')),
  }
}

function checkPlan(
  plan: RequestFields,
  strategy: BackupSetting['executionStrategy'],
  { now, parseTime, firings }: TimeRules,
): ExecutionPlan {
  const time = plan.raw('executeTime')
  const executeTime = time === undefined ? null : parseTime('executeTime', time)
  const cronExpression = plan.text('cronExpression') ?? null
  if (strategy === 'SPECIFIED_TIME') {
    if (executeTime === null) throw invalid('executeTime', 'the strategy SPECIFIED_TIME needs it')
    if (executeTime <= now) throw invalid('executeTime', 'it is in the past')
  }
  if (strategy === 'CRON_EXPRESSION') {
    if (cronExpression === null) throw invalid('cronExpression', 'the strategy CRON_EXPRESSION needs it')
    const found = firings(cronExpression)
    if (found === undefined) throw invalid('cronExpression', 'it is not a Quartz or Unix cron expression')
    if (found.after(now) === null) throw invalid('cronExpression', 'there is no day on which it fires')
  }
  return { executeImmediately: plan.flag('executeImmediately') ?? true, executeTime, cronExpression }
}

const COUNTS = ['keepLast', 'keepDaily', 'keepWeekly', 'keepMonthly', 'keepYearly'] as const
const MAX_KEPT = 100_000
const WITHIN = /^[1-9]\d{0,4}[hdwmy]$/

function checkRetention(fields: RequestFields | undefined, type: ActivityType): Retention | null {
  const [keepLast, keepDaily, keepWeekly, keepMonthly, keepYearly] = COUNTS.map((name) => {
    const count = fields?.integer(name) ?? null
    if (count !== null && (count < 1 || count > MAX_KEPT)) throw invalid(name, `it must be 1 to ${MAX_KEPT}`)
    return count
  }) as [number | null, number | null, number | null, number | null, number | null]
  const keepWithin = fields?.text('keepWithin') ?? null
  if (keepWithin !== null && !WITHIN.test(keepWithin))
    throw invalid('keepWithin', 'it must be a number with one of h, d, w, m and y, e.g. 30d')
  const retention = { keepLast, keepDaily, keepWeekly, keepMonthly, keepYearly, keepWithin }
  if (Object.values(retention).some((rule) => rule !== null)) return retention
  // With no rule everything would go.
  if (fields !== undefined || type === 'DATA_PRUNE') throw invalid('retention', 'it needs at least one rule')
  return null
}

/** Whoever asks for a rehearsal must not get the real thing. */
function checkDryRun(dryRun: boolean, type: ActivityType): boolean {
  if (dryRun && type !== 'DATA_RESTORE' && type !== 'DATA_PRUNE')
    throw invalid('backupSetting.dryRun', `only restores and prunes have one, and this is a ${type}`)
  return dryRun
}

/** As in replication: 0 means no limit. */
function checkRate(rate: number | undefined): number | null {
  if (rate !== undefined && rate < 0) throw invalid('rateLimit', 'it must not be negative')
  return rate || null
}

/** Several projects would become one, and their repositories replace each other. */
function checkTarget(target: string | undefined, type: ActivityType, { projects }: BackupContent): string | null {
  if (target === undefined || target === '') return null
  if (!isProjectName(target)) throw invalid('targetProjectId', 'it is no name of a project')
  const sources = new Set((projects ?? []).map(({ projectId }) => projectId || null))
  if (type === 'DATA_RESTORE' && (sources.size !== 1 || sources.has(null)))
    throw invalid('targetProjectId', 'it needs projects that name one projectId')
  return target
}

/** A check of the structure alone is cheap and usual; a drill that reads nothing proves nothing. */
function checkPercent(given: unknown, type: ActivityType): number {
  const percent = given ?? (type === 'DATA_DRILL' ? 100 : 0)
  if (typeof percent !== 'number' || !(percent >= 0 && percent <= 100))
    throw invalid('readDataPercent', 'it must be 0 to 100')
  return percent
}

const MAX_PARTS = 10_000

function checkSubset(text: string | undefined): string | null {
  if (text === undefined || text === '') return null
  const [, part, of] = /^(\d{1,5})\/(\d{1,5})$/.exec(text) ?? []
  const fits = Number(part) >= 1 && Number(part) <= Number(of) && Number(of) <= MAX_PARTS
  if (!fits) throw invalid('subset', `it must be n/t with n from 1 to t, and t at most ${MAX_PARTS}`)
  return text
}
