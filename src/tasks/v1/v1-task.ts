import type { ReplicationTask } from '../task.ts'

/** Contract 003, field `type`. */
export const V1_TYPES = ['FULL', 'INCREMENTAL'] as const
export type V1Type = (typeof V1_TYPES)[number]

export const V1_STATUSES = ['WAITING', 'PAUSED', 'REPLICATING', 'SUCCESS', 'INTERRUPTED', 'FAILED'] as const
export type V1Status = (typeof V1_STATUSES)[number]

/** What the older API asked for, as it is shown again. Kept with the task; holds no password. */
export interface V1Origin {
  readonly includeAllProject: boolean
  readonly localProject: string | null
  readonly localRepo: string | null
  readonly remoteProject: string | null
  readonly remoteRepo: string | null
  readonly remote: {
    readonly url: string
    readonly username: string | null
    readonly certificate: string | null
    readonly hasPassword: boolean
  }
  /** When it was interrupted last, UTC epoch milliseconds. */
  readonly interruptedAt: number | null
}

/** A task of the older API. */
export interface V1Task {
  readonly task: ReplicationTask
  readonly origin: V1Origin
  readonly status: V1Status
}

/** How far a run got, in the words of the older API. */
export interface V1Progress {
  readonly totalProject: number
  readonly totalRepo: number
  readonly totalNode: number
  readonly replicatedProject: number
  readonly successProject: number
  readonly failedProject: number
  readonly replicatedRepo: number
  readonly successRepo: number
  readonly failedRepo: number
  readonly replicatedNode: number
  readonly successNode: number
  readonly conflictedNode: number
  readonly failedNode: number
}
export interface V1Log {
  readonly taskKey: string
  readonly status: Extract<V1Status, 'REPLICATING' | 'SUCCESS' | 'FAILED' | 'INTERRUPTED'>
  readonly progress: V1Progress
  readonly startedAt: number
  readonly endedAt: number | null
  readonly errorReason: string | null
}

export const typeOf = ({ replicaType }: Pick<ReplicationTask, 'replicaType'>): V1Type =>
  replicaType === 'REAL_TIME' ? 'INCREMENTAL' : 'FULL'

/** What the state of a task is called by the older API. What runs is REPLICATING, however it was switched meanwhile. */
export function statusOf(task: ReplicationTask, origin: V1Origin): V1Status {
  if (task.lastExecutionStatus === 'RUNNING') return 'REPLICATING'
  if (origin.interruptedAt !== null && origin.interruptedAt >= (task.lastExecutionAt ?? 0)) return 'INTERRUPTED'
  if (!task.enabled) return 'PAUSED'
  return task.status === 'COMPLETED' ? (task.lastExecutionStatus ?? 'WAITING') : 'WAITING'
}
