import type { Metrics } from '../core/metrics.ts'
import type { JobHandler } from '../jobs/worker.ts'
import { createFingerprints } from '../metadata/fingerprints/fingerprints.ts'
import { createLinkPlanner } from '../replication/planning/link-plan.ts'
import { repositoryFingerprints } from '../replication/recon/repository-fingerprints.ts'
import { createLinkClose } from '../replication/runs/link-close.ts'
import { createLinkRunner } from '../replication/runs/link-runner.ts'
import { loadSpec } from '../replication/runs/load-spec.ts'
import { createRemoteStates } from '../replication/runs/remote-states.ts'
import { createRunHandlers } from '../replication/runs/run-handlers.ts'
import type { Ground, Services } from './wiring.ts'

/** The engine that runs tasks, as handlers of jobs. @param owner `installationId:bootId`. */
export function replicationHandlers(
  ground: Ground,
  { clusters }: Services,
  metrics: Metrics,
  owner: string,
): ReadonlyMap<string, JobHandler> {
  const { db, queue, store, clock, random, clusterId, config } = ground
  const fingerprints = createFingerprints(db)
  const planner = createLinkPlanner({
    ...{ db, clock, clusterId },
    fingerprintsOf: (repoId) => repositoryFingerprints(fingerprints, repoId),
    maxStreams: config.replication.maxStreams,
  })
  const close = createLinkClose({ db, clock, metrics, planner })
  const runLink = createLinkRunner({
    ...{ db, store, clock, random, metrics, owner, clusterId, planner, close },
    settings: config.replication,
    remotes: createRemoteStates(clock, config.replication),
    getTarget: (id) => clusters.getTarget(id),
    loadSpec: (recordId) => loadSpec(db, recordId),
    onDefect: (error, about) => ground.warn('a run failed by a fault of ours', { err: error, ...about }),
  })
  return createRunHandlers({ db, queue, clock, loadSpec: (recordId) => loadSpec(db, recordId), runLink })
}
