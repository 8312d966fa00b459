import { empty, invalid, missing } from '../core/errors.ts'
import { parsePlatform } from '../core/platform.ts'
import { holdsImages } from '../core/repository-type.ts'
import { fieldsOf, type RequestFields, storableText } from '../core/request-fields.ts'
import type { CronFirings } from './schedule/cron-firing.ts'
import {
  CONFLICT_STRATEGIES,
  type DeleteGuard,
  ERROR_STRATEGIES,
  EXECUTION_STRATEGIES,
  type ExecutionPlan,
  type ExecutionStrategy,
  type TaskObject,
  type TaskSetting,
} from './task.ts'

/** What a check of times needs from outside. */
export interface TimeRules {
  /** UTC epoch milliseconds. */
  readonly now: number
  /** Reads a date as the contract writes it, in the server's zone. @throws AppError PARAMETER_INVALID naming `name`. */
  readonly parseTime: (name: string, given: unknown) => number
  /** When a cron expression fires, in the server's zone; undefined: it is none. */
  readonly firings: (expression: string) => CronFirings | undefined
}

export const DEFAULT_SETTING: TaskSetting = {
  rateLimit: 0,
  includeMetadata: true,
  conflictStrategy: 'SKIP',
  errorStrategy: 'CONTINUE',
  executionStrategy: 'IMMEDIATELY',
  executionPlan: { executeImmediately: true, executeTime: null, cronExpression: null },
  storageConsistencyCheck: false,
  automaticCreateRemoteRepo: true,
  propagateDelete: false,
  deleteGuard: { maxCount: 100, maxShare: 0.1 },
  backfill: true,
  platforms: null,
}

/**
 * `setting` of a task request with defaults filled in (replication.md 1.1, 3.3). Pure.
 * @param stored of the task that is updated: a time that it has may be in the past by now.
 * @throws AppError PARAMETER_MISSING, PARAMETER_EMPTY, PARAMETER_INVALID, REQUEST_CONTENT_INVALID.
 */
export function checkSetting(fields: RequestFields, time: TimeRules, stored?: TaskSetting): TaskSetting {
  const standard = DEFAULT_SETTING
  const plan = fields.object('executionPlan') ?? fieldsOf({})
  return {
    rateLimit: fields.integer('rateLimit') ?? standard.rateLimit,
    includeMetadata: fields.flag('includeMetadata') ?? standard.includeMetadata,
    conflictStrategy: fields.choice('conflictStrategy', CONFLICT_STRATEGIES) ?? standard.conflictStrategy,
    errorStrategy: fields.choice('errorStrategy', ERROR_STRATEGIES) ?? standard.errorStrategy,
    ...checkExecution(fields, plan, time, stored?.executionPlan),
    storageConsistencyCheck: fields.flag('storageConsistencyCheck') ?? standard.storageConsistencyCheck,
    automaticCreateRemoteRepo: fields.flag('automaticCreateRemoteRepo') ?? standard.automaticCreateRemoteRepo,
    propagateDelete: fields.flag('propagateDelete') ?? standard.propagateDelete,
    deleteGuard: checkDeleteGuard(fields.object('deleteGuard')),
    backfill: fields.flag('backfill') ?? standard.backfill,
    platforms: fields.list('platforms')?.map(checkPlatform) ?? standard.platforms,
  }
}

function checkExecution(
  fields: RequestFields,
  plan: RequestFields,
  time: TimeRules,
  stored: ExecutionPlan | undefined,
): Pick<TaskSetting, 'executionStrategy' | 'executionPlan'> {
  const executeTime = plan.raw('executeTime')
  const executionPlan: ExecutionPlan = {
    executeImmediately: plan.flag('executeImmediately') ?? true,
    executeTime: executeTime === undefined ? null : time.parseTime('executeTime', executeTime),
    cronExpression: plan.text('cronExpression') ?? null,
  }
  const executionStrategy = fields.choice('executionStrategy', EXECUTION_STRATEGIES) ?? inferredFrom(executionPlan)
  checkPlan[executionStrategy](executionPlan, time, stored)
  return { executionStrategy, executionPlan }
}

function inferredFrom(plan: ExecutionPlan): ExecutionStrategy {
  if (plan.cronExpression !== null) return 'CRON_EXPRESSION'
  return plan.executeTime === null ? 'IMMEDIATELY' : 'SPECIFIED_TIME'
}

type CheckPlan = (plan: ExecutionPlan, time: TimeRules, stored: ExecutionPlan | undefined) => void
const checkPlan: Readonly<Record<ExecutionStrategy, CheckPlan>> = {
  IMMEDIATELY({ executeImmediately }) {
    if (!executeImmediately) throw invalid('executeImmediately', 'the strategy IMMEDIATELY needs true')
  },
  SPECIFIED_TIME({ executeTime }, { now }, stored) {
    if (executeTime === null) throw missing('executeTime')
    if (executeTime <= now && executeTime !== stored?.executeTime) throw invalid('executeTime', 'it is in the past')
  },
  CRON_EXPRESSION({ cronExpression }, { now, firings }, stored) {
    if (cronExpression === null) throw missing('cronExpression')
    if (cronExpression.trim() === '') throw empty('cronExpression')
    const found = firings(cronExpression)
    if (found === undefined) throw invalid('cronExpression', 'it is not a Quartz or Unix cron expression')
    if (found.after(now) === null && cronExpression !== stored?.cronExpression) {
      throw invalid('cronExpression', 'there is no day on which it fires')
    }
  },
}

function checkDeleteGuard(fields: RequestFields | undefined): DeleteGuard {
  const standard = DEFAULT_SETTING.deleteGuard
  if (fields === undefined) return standard
  const maxCount = fields.integer('maxCount') ?? standard.maxCount
  if (maxCount < 0) throw invalid('maxCount', 'it must not be negative')
  const maxShare = fields.raw('maxShare') ?? standard.maxShare
  if (typeof maxShare !== 'number' || !(maxShare >= 0 && maxShare <= 1)) throw invalid('maxShare', 'it must be 0 to 1')
  return { maxCount, maxShare }
}

function checkPlatform(given: unknown): string {
  const platform = storableText('platforms', given)
  if (parsePlatform(platform) === undefined)
    throw invalid('platforms', `[${platform.slice(0, 200)}] is not os/arch[/variant] in lower case, e.g. linux/arm64`)
  return platform
}

/** @throws AppError PARAMETER_INVALID where a setting means nothing to what is replicated. */
export function checkSettingFits({ platforms }: TaskSetting, objects: readonly TaskObject[]): void {
  const other = (platforms ?? []).length === 0 ? undefined : objects.find(({ repoType }) => !holdsImages(repoType))
  if (other === undefined) return
  throw invalid('platforms', `it is for images, and [${other.localRepo}] is a ${other.repoType} repository`)
}
