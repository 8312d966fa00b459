import type { Clusters } from '../clusters/clusters.ts'
import type { Clock } from '../core/clock.ts'
import { mapConcurrent } from '../core/concurrency.ts'
import { invalid } from '../core/errors.ts'
import type { Reader } from '../metadata/database.ts'
import { findClusters } from '../metadata/replication/clusters.ts'
import { findProjectFacts } from '../metadata/replication/task-facts.ts'
import { isTaskNameTaken } from '../metadata/replication/tasks.ts'
import type { ReplicationTask, TaskPlan } from './task.ts'
import type { TimeRules } from './validate-setting.ts'
import { checkTask, mentionedIn } from './validate-task.ts'

export interface TaskJudge {
  /** What the request asks for, judged by what `reader` sees. @throws AppError of `checkTask`. */
  judge(reader: Reader, body: unknown, stored?: ReplicationTask): Promise<TaskPlan>
  /**
   * Connects to every target; unreachable ones are refused now, not at the first run.
   * @throws AppError of `Clusters.connect`; PARAMETER_INVALID when a target is this cluster and an object would be copied onto
   * itself.
   */
  connect(plan: TaskPlan, signal: AbortSignal): Promise<void>
}

export interface TaskJudgeDependencies {
  readonly clock: Clock
  readonly clusters: Pick<Clusters, 'connect'>
  /** Identity of this cluster, as it greets others. */
  readonly clusterId: string
  /** Repository types that this release can hold. */
  readonly builtTypes: readonly string[]
  readonly parseTime: TimeRules['parseTime']
}

const CONNECTIONS_AT_ONCE = 8

export function createTaskJudge(deps: TaskJudgeDependencies): TaskJudge {
  const { clock, clusters, clusterId, builtTypes, parseTime } = deps
  return {
    async judge(reader, body, stored) {
      const mentioned = mentionedIn(body)
      const project = await findProjectFacts(reader, mentioned.project, mentioned.repositories)
      const facts = {
        now: clock.now(),
        parseTime,
        builtTypes,
        nameIsTaken: await isTaskNameTaken(reader, mentioned.name, stored?.key),
        projectExists: project.exists,
        repositories: project.repositories,
        clusters: await findClusters(reader, mentioned.clusters),
      }
      return checkTask(body, facts, stored)
    },

    async connect(plan, signal) {
      const check = async ({ id, name }: TaskPlan['targets'][number], stop: AbortSignal) => {
        const greeting = await clusters.connect(id, stop)
        if (greeting.clusterId === clusterId) refuseSelfCopy(plan, name)
      }
      await mapConcurrent(plan.targets, CONNECTIONS_AT_ONCE, check, signal)
    },
  }
}

function refuseSelfCopy({ project, objects }: TaskPlan, clusterName: string): void {
  const onto = objects.find((object) => object.remoteProject === project && object.remoteRepo === object.localRepo)
  if (onto === undefined) return
  throw invalid(
    'remoteClusterIds',
    `[${clusterName}] is this cluster, and ${project}/${onto.localRepo} would be copied onto itself`,
  )
}
