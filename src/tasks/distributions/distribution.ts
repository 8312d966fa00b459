import { AppError } from '../../core/errors.ts'
import type { ReplicationTask, TaskObject } from '../task.ts'

/** Where a distribution goes: another cluster, or a registry that somebody else runs, which has a cluster node of type REMOTE. */
export type DistributionKind = 'cluster' | 'registry'

/** What the distribution API keeps with its task. Holds no secret. */
export interface DistributionOrigin {
  /** As users call it; the task is called `project/repo/name`. */
  readonly name: string
  readonly kind: DistributionKind
}

/** A task of contract 001. */
export interface Distribution {
  readonly origin: DistributionOrigin
  readonly task: ReplicationTask
  /** Its only one. */
  readonly object: TaskObject
  /** Of kind `registry`: how it is reached. */
  readonly registry: RegistryLogin | undefined
}
export interface RegistryLogin {
  /** Resolved when it was stored: with scheme. */
  readonly url: string
  readonly username: string | null
  readonly certificate: string | null
}

/** `projectId/repoName/name`: of the task, and of the node of its registry. */
export const distributionTaskName = (project: string, repo: string, name: string): string =>
  `${project}/${repo}/${name}`

export const taskNotFound = (taskName: string): AppError =>
  new AppError('TASK_NOT_FOUND', `replica task [${taskName}] not found`, { name: taskName })
