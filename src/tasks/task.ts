import type { NodePath } from '../core/paths.ts'
import type { Webhook } from './webhooks/webhook-settings.ts'

/** Contract 000, field `replicaObjectType`. */
export const OBJECT_TYPES = ['REPOSITORY', 'PACKAGE', 'PATH'] as const
export type ObjectType = (typeof OBJECT_TYPES)[number]

/** Contract 000, field `replicaType`, and what the reference added (replication.md 3.2). */
export const REPLICA_TYPES = ['SCHEDULED', 'REAL_TIME', 'RUN_ONCE', 'EDGE_PULL', 'FEDERATION'] as const
export type ReplicaType = (typeof REPLICA_TYPES)[number]

export const CONFLICT_STRATEGIES = ['SKIP', 'OVERWRITE', 'FAST_FAIL'] as const
export type ConflictStrategy = (typeof CONFLICT_STRATEGIES)[number]
export const ERROR_STRATEGIES = ['CONTINUE', 'FAST_FAIL'] as const
export type ErrorStrategy = (typeof ERROR_STRATEGIES)[number]
export const EXECUTION_STRATEGIES = ['IMMEDIATELY', 'SPECIFIED_TIME', 'CRON_EXPRESSION'] as const
export type ExecutionStrategy = (typeof EXECUTION_STRATEGIES)[number]

/** What `status` says: the state of scheduling. Whether a run is in progress is asked of the records, not of this. */
export type TaskStatus = 'WAITING' | 'REPLICATING' | 'COMPLETED'

/** All options of a task with their defaults filled in. Times are UTC epoch milliseconds. */
export interface TaskSetting {
  /** Bytes per second; 0 and below: unlimited. */
  readonly rateLimit: number
  readonly includeMetadata: boolean
  readonly conflictStrategy: ConflictStrategy
  readonly errorStrategy: ErrorStrategy
  readonly executionStrategy: ExecutionStrategy
  readonly executionPlan: ExecutionPlan
  /** Check the blob again at the target after the push. */
  readonly storageConsistencyCheck: boolean
  readonly automaticCreateRemoteRepo: boolean
  readonly propagateDelete: boolean
  readonly deleteGuard: DeleteGuard
  readonly backfill: boolean
  /** `os/arch[/variant]`; null: all. */
  readonly platforms: readonly string[] | null
  /** Who is told of the end of each run. Its secret is encrypted (`webhooks/webhook-settings.ts`). */
  readonly webhook?: Webhook | null
}
export interface ExecutionPlan {
  readonly executeImmediately: boolean
  readonly executeTime: number | null
  readonly cronExpression: string | null
}
/** A run that would delete more than both of these at the target is refused. */
export interface DeleteGuard {
  readonly maxCount: number
  /** 0 to 1. */
  readonly maxShare: number
}

/** Repositories that are looked up when a run needs them: all that there are then, or those of one project. VIRTUAL ones are left out. */
export type DynamicSet =
  | { readonly of: 'all' }
  | { readonly of: 'project'; readonly project: string; readonly remoteProject: string }

/** One repository of the task's project and where it goes. */
export interface TaskObject {
  /** Of an object of a dynamic set, which may lie in any project; else it is the task's. */
  readonly localProject?: string
  readonly localRepo: string
  readonly remoteProject: string
  readonly remoteRepo: string
  readonly repoType: string
  /** Null and [] both mean none; they are echoed as given. */
  readonly packageConstraints: readonly PackageConstraint[] | null
  readonly pathConstraints: readonly PathConstraint[] | null
}
/** Fields of one constraint narrow each other; constraints of a list add up. */
export interface PackageConstraint {
  /** `npm://left-pad`. Null: any, as `packageRegex` says. */
  readonly packageKey: string | null
  /** Null and []: every version. */
  readonly versions: readonly string[] | null
  /** Tags in place of its only version's own, at a registry of somebody else. */
  readonly targetVersions?: readonly string[]
  /** Matches the whole key, or the whole name without its scheme (`constraints/package-filter.ts`). */
  readonly packageRegex?: string | null
  readonly versionRegex?: string | null
  /** Kept and shown, without effect. */
  readonly deletedDate?: string | number | null
}
/** Fields of one constraint narrow each other; constraints of a list add up (`constraints/path-selection.ts`). */
export interface PathConstraint {
  /**
   * Normalised: a file, or a folder with all below it; `/` is the whole repository. With `*` in its last name and no such node: the files of
   * that folder with such a name. Null: anything, as `pathRegex` says.
   */
  readonly path: NodePath | null
  /** Matches the whole path. */
  readonly pathRegex?: string | null
  readonly deletedDate?: string | number | null
}

export interface TaskTarget {
  readonly id: string
  readonly name: string
}

/** What a user decides about a task. */
export interface TaskPlan {
  readonly name: string
  readonly project: string
  readonly objectType: ObjectType
  readonly replicaType: ReplicaType
  readonly objects: readonly TaskObject[]
  /** Given: `objects` is what it stands for at present, and is not stored. */
  readonly dynamic?: DynamicSet | undefined
  /** Users, roles and permissions of what is replicated go along. */
  readonly includePermission?: boolean
  /** JSON of what the older API asked for (`v1/v1-task.ts`); undefined: a task of the current one. */
  readonly v1?: string
  /** What it names comes from its target to us. */
  readonly imports?: ImportOrigin
  /** `plannedBytesOf` it. */
  readonly plannedBytes?: number | null
  readonly targets: readonly TaskTarget[]
  readonly setting: TaskSetting
  readonly description: string | null
  readonly enabled: boolean
  /** Write detail rows of artifacts that did not fail. */
  readonly record: boolean
  readonly recordReserveDays: number
}

/** What the import API keeps with its task. Holds no secret. */
export interface ImportOrigin {
  /** As users call it; the task is called `project/repo/import/name`. */
  readonly name: string
  /** User who has what is brought. */
  readonly by: string
}

export type RunStatus = 'RUNNING' | 'SUCCESS' | 'FAILED'

/** A stored task, without its objects. Times are UTC epoch milliseconds. */
export interface ReplicationTask extends Omit<TaskPlan, 'objects'> {
  readonly id: string
  readonly key: string
  readonly status: TaskStatus
  /** Null: never ran. */
  readonly lastExecutionStatus: RunStatus | null
  readonly lastExecutionAt: number | null
  readonly nextExecutionAt: number | null
  /** Runs that were started. */
  readonly executionTimes: number
  /** Sent by the newest run so far. */
  readonly replicatedBytes: number
  /** What the newest run of a RUN_ONCE task has to send; null: not known. */
  readonly totalBytes: number | null
  readonly createdBy: string
  readonly createdAt: number
  readonly modifiedBy: string
  readonly modifiedAt: number
}

/** Packages that an object is limited to; undefined: not by packages. With paths as well it is both together. */
export function packagesOf({ packageConstraints }: TaskObject): readonly PackageConstraint[] | undefined {
  return packageConstraints === null || packageConstraints.length === 0 ? undefined : packageConstraints
}
/** Paths that an object is limited to; undefined: the whole repository. */
export function pathsOf({ pathConstraints }: TaskObject): readonly PathConstraint[] | undefined {
  return pathConstraints === null || pathConstraints.length === 0 ? undefined : pathConstraints
}
