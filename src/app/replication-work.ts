import type { Metrics } from '../core/metrics.ts'
import type { JobHandler } from '../jobs/worker.ts'
import { createLinkClose } from '../replication/link-close.ts'
import { createLinkPlanner } from '../replication/link-plan.ts'
import { createLinkRunner } from '../replication/link-runner.ts'
import { loadSpec } from '../replication/load-spec.ts'
import { createRunHandlers } from '../replication/run-handlers.ts'
import type { Ground, Services } from './wiring.ts'

/** The engine that runs tasks, as handlers of jobs. @param owner `installationId:bootId`. */
export function replicationHandlers(
  ground: Ground,
  { clusters }: Services,
  metrics: Metrics,
  owner: string,
): ReadonlyMap<string, JobHandler> {
  const { db, queue, store, clock, random, clusterId, config } = ground
  const planner = createLinkPlanner({ db, clock, clusterId })
  const close = createLinkClose({ db, clock, metrics, planner })
  const runLink = createLinkRunner({
    ...{ db, store, clock, random, metrics, owner, clusterId, planner, close },
    settings: config.replication,
    getTarget: (id) => clusters.getTarget(id),
    loadSpec: (recordId) => loadSpec(db, recordId),
    onDefect: (error, about) => ground.warn('a run failed by a fault of ours', { err: error, ...about }),
  })
  return createRunHandlers({ db, queue, clock, loadSpec: (recordId) => loadSpec(db, recordId), runLink })
}
