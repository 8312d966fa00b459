/** What a task does. The last three are ours. */
export const ACTIVITY_TYPES = ['DATA_BACKUP', 'DATA_RESTORE', 'DATA_VERIFY', 'DATA_PRUNE', 'DATA_DRILL'] as const
export type ActivityType = (typeof ACTIVITY_TYPES)[number]
export type BackupState = 'PENDING' | 'RUNNING' | 'FINISHED'
export type RunResult = 'SUCCESS' | 'PARTIAL' | 'FAILED' | 'CANCELLED'

/** Which repositories (backup.md 2.1); several are a union. */
export interface RepositorySelector {
  readonly projectId: string | null
  readonly projectRegex: string | null
  readonly repoList: readonly string[] | null
  readonly repoRegex: string | null
  readonly excludeProjects: readonly string[] | null
  readonly excludeRepos: readonly string[] | null
}

export interface BackupContent {
  readonly commonData: boolean
  readonly compression: boolean
  readonly increment: boolean | null
  /** As it was sent; `sinceOf` reads it. */
  readonly incrementDate: string | null
  readonly projects: readonly RepositorySelector[] | null
}

export interface ExecutionPlan {
  readonly executeImmediately: boolean
  /** UTC epoch milliseconds. */
  readonly executeTime: number | null
  readonly cronExpression: string | null
}

/** What is kept of a backup's runs; each names how many of the newest of their kind. Null: the rule is not asked for. */
export interface Retention {
  readonly keepLast: number | null
  readonly keepDaily: number | null
  readonly keepWeekly: number | null
  readonly keepMonthly: number | null
  readonly keepYearly: number | null
  /** e.g. `30d`, `12h`. */
  readonly keepWithin: string | null
}

/** Fully expanded. What follows `spaceCapCheck` is ours. */
export interface BackupSetting {
  readonly conflictStrategy: 'SKIP' | 'OVERWRITE'
  readonly errorStrategy: 'CONTINUE' | 'FAST_FAIL'
  readonly executionStrategy: 'IMMEDIATELY' | 'SPECIFIED_TIME' | 'CRON_EXPRESSION'
  readonly executionPlan: ExecutionPlan
  readonly spaceCapCheck: boolean
  /** FOLDER is a zip with `content.compression`. */
  readonly layout: 'FOLDER' | 'REPOSITORY'
  /** Applied after a successful backup, and by DATA_PRUNE. */
  readonly retention: Retention | null
  /** Bytes of contents per second; null: no limit. */
  readonly rateLimit: number | null
  /** Of a restore: nothing is written, all is read and hashed. */
  readonly dryRun: boolean
  /** Of a restore: takes folders without a manifest, as the reference makes them. */
  readonly legacy: boolean
  /** Of a restore: password, admin and locked of users that are there; false: of new ones only. */
  readonly restoreCredentials: boolean
  /** Of a restore of one project: into this one. */
  readonly targetProjectId: string | null
  /** Of DATA_VERIFY and DATA_DRILL: how much of the contents is read, 0 to 100. */
  readonly readDataPercent: number
  /** Of DATA_VERIFY: `n/t`, the n-th of t equal parts of the contents. */
  readonly subset: string | null
}

/** Times are UTC epoch milliseconds. */
export interface BackupTask {
  readonly id: string
  readonly name: string
  readonly type: ActivityType
  /** As it was sent. */
  readonly storeLocation: string
  readonly content: BackupContent
  readonly setting: BackupSetting
  readonly state: BackupState
  readonly runId: string | null
  readonly result: RunResult | null
  readonly errorReason: string | null
  readonly artifactLocation: string | null
  readonly startedAt: number | null
  readonly endedAt: number | null
  readonly nextExecutionAt: number | null
  readonly createdBy: string
  readonly createdAt: number
  readonly modifiedBy: string
  readonly modifiedAt: number
}

/** Counters of a run; what is not known is null. */
export interface RunProgress {
  /** One word or two for people, e.g. `contents`. */
  readonly phase: string
  readonly projects: number
  readonly repos: number
  readonly nodes: number
  readonly versions: number
  readonly bytes: number
  readonly success: number
  readonly failed: number
  readonly skipped: number
  /** Of the phase that takes longest. */
  readonly totalBytes: number | null
  readonly totalNodes: number | null
  /** Whole seconds. */
  readonly etaSeconds: number | null
}
