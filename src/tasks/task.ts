import type { NodePath } from '../core/paths.ts'

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

/** One repository of the task's project and where it goes. */
export interface TaskObject {
  readonly localRepo: string
  readonly remoteProject: string
  readonly remoteRepo: string
  readonly repoType: string
  /** Null and [] both mean none; they are echoed as given. */
  readonly packageConstraints: readonly PackageConstraint[] | null
  readonly pathConstraints: readonly PathConstraint[] | null
}
export interface PackageConstraint {
  /** `npm://left-pad`. */
  readonly packageKey: string
  /** Null and []: every version. */
  readonly versions: readonly string[] | null
}
export interface PathConstraint {
  /** Normalised: a file, or a folder with all below it; `/` is the whole repository. */
  readonly path: NodePath
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
  readonly targets: readonly TaskTarget[]
  readonly setting: TaskSetting
  readonly description: string | null
  readonly enabled: boolean
  /** Write detail rows of artifacts that did not fail. */
  readonly record: boolean
  readonly recordReserveDays: number
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
  readonly createdBy: string
  readonly createdAt: number
  readonly modifiedBy: string
  readonly modifiedAt: number
}

/** Paths that an object is limited to, each once; undefined: the whole repository. */
export function pathsOf(object: TaskObject): NodePath[] | undefined {
  const paths = new Set((object.pathConstraints ?? []).map(({ path }) => path))
  return paths.size === 0 ? undefined : [...paths]
}
