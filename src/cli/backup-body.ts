import { CliFailure, EXIT } from './cli-failure.ts'

/** Which repositories, in options. */
export interface Selected {
  /** `project`, `project/repository`, or patterns of both. */
  readonly only: readonly string[]
  readonly common?: boolean
}
export interface CreateOptions extends Selected {
  readonly to: string
  readonly zip?: boolean
  readonly repository?: boolean
  readonly compress?: boolean
  /** True: since a day before; else an ISO date-time. */
  readonly since?: string | true
  readonly cron?: string
  readonly at?: string
  readonly error?: string
  readonly rate?: number
  readonly space: boolean
}
export interface KeepOptions {
  readonly keepLast?: number
  readonly keepDaily?: number
  readonly keepWeekly?: number
  readonly keepMonthly?: number
  readonly keepYearly?: number
  readonly keepWithin?: string
}
export interface RestoreOptions extends Selected {
  readonly skip?: boolean
  readonly dryRun?: boolean
  readonly into?: string
  readonly credentials?: boolean
  readonly legacy?: boolean
  readonly error?: string
}

/** The body of a backup task (contract 004). Pure; what it says is judged by the server. @throws CliFailure. */
export function createBody(name: string, options: CreateOptions & KeepOptions): object {
  const { to, zip, repository, compress, since, cron, at, error, rate, space } = options
  if (zip === true && repository === true) throw new CliFailure('Either --zip or --repository', EXIT.usage)
  if (compress === true && repository !== true) throw new CliFailure('--compress is for --repository', EXIT.usage)
  if (cron !== undefined && at !== undefined) throw new CliFailure('Either --cron or --at', EXIT.usage)
  return {
    name,
    storeLocation: to,
    type: 'DATA_BACKUP',
    content: given({
      ...contentOf(options),
      compression: zip === true || compress === true,
      increment: since === undefined ? undefined : true,
      incrementDate: typeof since === 'string' ? since : undefined,
    }),
    backupSetting: given({
      errorStrategy: error?.toUpperCase(),
      executionStrategy: cron !== undefined ? 'CRON_EXPRESSION' : at !== undefined ? 'SPECIFIED_TIME' : undefined,
      executionPlan: cron !== undefined ? { cronExpression: cron } : at !== undefined ? { executeTime: at } : undefined,
      spaceCapCheck: space ? undefined : false,
      layout: repository === true ? 'REPOSITORY' : undefined,
      retention: retentionOf(options),
      rateLimit: rate,
    }),
  }
}

/** The body of a restore task. Pure. @throws CliFailure. */
export function restoreBody(name: string, location: string, options: RestoreOptions): object {
  const { skip, dryRun, into, credentials, legacy, error } = options
  if (into !== undefined && options.only.length === 0)
    throw new CliFailure('Which project? --into needs --only PROJECT', EXIT.usage)
  return {
    name,
    storeLocation: location,
    type: 'DATA_RESTORE',
    content: given({ ...contentOf(options), compression: location.endsWith('.zip') }),
    backupSetting: given({
      conflictStrategy: skip === true ? 'SKIP' : undefined,
      errorStrategy: error?.toUpperCase(),
      dryRun,
      legacy,
      restoreCredentials: credentials,
      targetProjectId: into,
    }),
  }
}

/** Undefined: nothing is asked for. */
export function retentionOf(options: KeepOptions): object | undefined {
  const { keepLast, keepDaily, keepWeekly, keepMonthly, keepYearly, keepWithin } = options
  const rules = given({ keepLast, keepDaily, keepWeekly, keepMonthly, keepYearly, keepWithin })
  return Object.keys(rules).length === 0 ? undefined : rules
}

/** Nothing named: everything. */
function contentOf({ only, common }: Selected): { commonData: boolean; projects: object[] } {
  if (only.length > 0) return { commonData: common === true, projects: only.map(selectorOf) }
  return { commonData: common !== false, projects: [{ projectRegex: '*' }] }
}

function selectorOf(text: string): object {
  const [project = '', repo, ...rest] = text.split('/')
  if (project === '' || repo === '' || rest.length > 0) {
    throw new CliFailure(`"${text}" is neither project nor project/repository`, EXIT.usage)
  }
  const isPattern = (part: string) => /[*?]/.test(part)
  return {
    ...(isPattern(project) ? { projectRegex: project } : { projectId: project }),
    ...(repo === undefined ? {} : isPattern(repo) ? { repoRegex: repo } : { repoList: [repo] }),
  }
}

const given = (all: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
