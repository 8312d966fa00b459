import type { ClusterGreeting } from '../clusters/cluster-probe.ts'
import type { Clusters } from '../clusters/clusters.ts'
import type { Clock } from '../core/clock.ts'
import { mapConcurrent } from '../core/concurrency.ts'
import { invalid } from '../core/errors.ts'
import { fieldsOf } from '../core/request-fields.ts'
import type { Reader } from '../metadata/database.ts'
import { findClusters } from '../metadata/replication/clusters.ts'
import { listEdges } from '../metadata/replication/edge-pulls.ts'
import { findProjectFacts } from '../metadata/replication/task-facts.ts'
import { isTaskNameTaken } from '../metadata/replication/tasks.ts'
import type { Timetable } from './schedule/timetable.ts'
import type { ReplicationTask, TaskPlan, TaskTarget } from './task.ts'
import type { TimeRules } from './validate-setting.ts'
import { checkTask, mentionedIn } from './validate-task.ts'
import type { WebhookSettings } from './webhooks/webhook-settings.ts'

export interface TaskJudge {
  /** What the request asks for, judged by what `reader` sees. @throws AppError of `checkTask`. */
  judge(reader: Reader, body: unknown, stored?: ReplicationTask): Promise<TaskPlan>
  /** As `judge`, of a task whose targets are decided elsewhere; its name may be that of the task `exceptKey`. */
  judgeGiven(
    reader: Reader,
    body: unknown,
    given: { readonly targets: readonly TaskTarget[]; readonly exceptKey: string | undefined },
  ): Promise<TaskPlan>
  /** As `judge`, of a task that is not going to be stored: its name may be that of another. */
  judgeUnstored(reader: Reader, body: unknown): Promise<TaskPlan>
  /**
   * Connects to every target; unreachable ones are refused now, not at the first run.
   * @throws AppError of `Clusters.connect`; PARAMETER_INVALID when a target is this cluster and an object would be copied onto
   * itself.
   */
  connect(plan: TaskPlan, signal: AbortSignal): Promise<void>
  /** @param greeting of the target called `name`. @throws AppError PARAMETER_INVALID when an object would be copied onto itself. */
  refuseSelfCopy(plan: TaskPlan, name: string, greeting: ClusterGreeting): void
}

export interface TaskJudgeDependencies {
  readonly clock: Clock
  readonly clusters: Pick<Clusters, 'connect'>
  /** Identity of this cluster, as it greets others. */
  readonly clusterId: string
  /** Repository types that this release can hold. */
  readonly builtTypes: readonly string[]
  readonly parseTime: TimeRules['parseTime']
  readonly timetable: Pick<Timetable, 'firings'>
  readonly webhooks: Pick<WebhookSettings, 'judge'>
}

const CONNECTIONS_AT_ONCE = 8

export function createTaskJudge(deps: TaskJudgeDependencies): TaskJudge {
  const { clock, clusters, clusterId, builtTypes, parseTime, timetable, webhooks } = deps
  const refuseSelfCopy = selfCopyRefusal(clusterId)

  async function judgeNamed(
    reader: Reader,
    body: unknown,
    isTaken: (name: string) => Promise<boolean>,
    stored?: ReplicationTask,
    targets?: readonly TaskTarget[],
  ): Promise<TaskPlan> {
    const mentioned = mentionedIn(body)
    const project = await findProjectFacts(reader, mentioned.project, mentioned.repositories)
    const facts = {
      now: clock.now(),
      parseTime,
      firings: timetable.firings,
      builtTypes,
      nameIsTaken: await isTaken(mentioned.name),
      projectExists: project.exists,
      repositories: project.repositories,
      clusters: await findClusters(reader, mentioned.clusters),
      edges: await listEdges(reader),
      targets,
    }
    const plan = checkTask(body, facts, stored)
    const given = fieldsOf(body).object('setting')
    if (given === undefined) return plan
    const webhook = webhooks.judge(given.object('webhook'), stored?.setting.webhook ?? null)
    return { ...plan, setting: { ...plan.setting, webhook } }
  }

  return {
    refuseSelfCopy,
    judge: (reader, body, stored) =>
      judgeNamed(reader, body, (name) => isTaskNameTaken(reader, name, stored?.key), stored),
    judgeGiven: (reader, body, { targets, exceptKey }) =>
      judgeNamed(reader, body, (name) => isTaskNameTaken(reader, name, exceptKey), undefined, targets),
    judgeUnstored: (reader, body) => judgeNamed(reader, body, async () => false),

    async connect(plan, signal) {
      // An edge comes when it comes.
      if (plan.replicaType === 'EDGE_PULL') return
      const check = async ({ id, name }: TaskPlan['targets'][number], stop: AbortSignal) => {
        const greeting = await clusters.connect(id, stop)
        refuseSelfCopy(plan, name, greeting)
      }
      await mapConcurrent(plan.targets, CONNECTIONS_AT_ONCE, check, signal)
    },
  }
}

function selfCopyRefusal(ownId: string) {
  return ({ project, objects, dynamic }: TaskPlan, name: string, greeting: ClusterGreeting): void => {
    if (greeting.clusterId !== ownId) return
    const onto = objects.find(
      (object) => object.remoteProject === (object.localProject ?? project) && object.remoteRepo === object.localRepo,
    )
    const isSame = dynamic?.of === 'all' || (dynamic !== undefined && dynamic.project === dynamic.remoteProject)
    if (onto === undefined && !isSame) return
    const what = onto === undefined ? 'every repository' : `${onto.localProject ?? project}/${onto.localRepo}`
    throw invalid('remoteClusterIds', `[${name}] is this cluster, and ${what} would be copied onto itself`)
  }
}
