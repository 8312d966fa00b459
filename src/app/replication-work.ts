import type { Metrics } from '../core/metrics.ts'
import { serverMark } from '../core/server-mark.ts'
import type { JobHandler } from '../jobs/worker.ts'
import { createFingerprints } from '../metadata/fingerprints/fingerprints.ts'
import { createAccessWatch } from '../replication/access/access-watch.ts'
import { createAccessSender } from '../replication/access/send-access.ts'
import { createManifestReader } from '../replication/images/manifest-facts.ts'
import { createLiveWork, type LiveWork } from '../replication/live/live-work.ts'
import { createLinkPlanner } from '../replication/planning/link-plan.ts'
import { repositoryFingerprints } from '../replication/recon/repository-fingerprints.ts'
import { createImportLinks } from '../replication/registries/import-links.ts'
import { createRegistryLinks } from '../replication/registries/registry-links.ts'
import { createLinkClose } from '../replication/runs/link-close.ts'
import { createLinkJob, REPLICATE_LINK } from '../replication/runs/link-job.ts'
import { createLinkRunner } from '../replication/runs/link-runner.ts'
import { loadSpec } from '../replication/runs/load-spec.ts'
import { meterOutcomes } from '../replication/runs/outcome-metrics.ts'
import { createRemoteStates } from '../replication/runs/remote-states.ts'
import { createRunHandlers } from '../replication/runs/run-handlers.ts'
import { createSetWatch } from '../tasks/set-watch.ts'
import type { Ground } from './ground.ts'
import type { Services } from './wiring.ts'

export interface ReplicationWork {
  readonly handlers: ReadonlyMap<string, JobHandler>
  /** Of links: most of their time they wait for others. */
  readonly linkHandlers: ReadonlyMap<string, JobHandler>
  readonly live: LiveWork
}

/** The engine that runs tasks, as handlers of jobs, and what follows changes. @param owner `installationId:bootId`. */
export function createReplicationWork(
  ground: Ground,
  { clusters, foreign, sources }: Services,
  metrics: Metrics,
  owner: string,
): ReplicationWork {
  const { db, queue, store, clock, random, clusterId, config } = ground
  const manifests = createManifestReader(store)
  const fingerprints = createFingerprints(db)
  const planner = createLinkPlanner({
    ...{ db, clock, clusterId },
    fingerprintsOf: (repoId) => repositoryFingerprints(fingerprints, repoId),
    maxStreams: config.replication.maxStreams,
  })
  const close = createLinkClose({ db, queue, clock, metrics, planner })
  const access = createAccessSender({
    ...{ db, clusterId },
    onSent: (about) => ground.note('users, roles and permissions are at the target', about),
  })
  const remotes = createRemoteStates(clock, config.replication)
  const engine = {
    remotes,
    getTarget: (id: string) => clusters.getTarget(id),
    loadSpec: (recordId: string) => loadSpec(db, recordId),
  }
  const imports = createImportLinks({
    ...{ db, clock, owner, remotes },
    leaseMs: config.replication.leaseMs,
    done: close.done,
    sourcesOf: (repoType) => sources.get(repoType),
    onOutcomes: meterOutcomes(metrics),
  })
  const registries = createRegistryLinks({
    ...{ db, clock, owner, store, remotes },
    leaseMs: config.replication.leaseMs,
    done: close.done,
    server: serverMark(clusterId),
    foreignOf: (repoType) => foreign.get(repoType),
    onOutcomes: meterOutcomes(metrics),
  })
  const { runLink, contextOf } = createLinkRunner({
    ...{ db, store, manifests, clock, random, metrics, owner, clusterId, planner, close, access, registries, imports },
    settings: config.replication,
    ...engine,
    onDefect: (error, about) => ground.warn('a run failed by a fault of ours', { err: error, ...about }),
  })
  const live = createLiveWork({
    ...{ db, manifests, clock, random, owner, planner, runLink, contextOf, registries },
    ...engine,
    leaseMs: config.replication.leaseMs,
    reconnectDelaysMs: config.replication.reconnectDelaysMs,
    onDefect: (error, about) => ground.warn('a link stopped following by a fault of ours', { err: error, ...about }),
    onError: (error) => ground.warn('links could not be followed for a moment', { err: error }),
  })
  const setWatch = createSetWatch({
    ...{ db, clock, jobs: queue },
    onError: (err) => ground.warn('new repositories could not be looked for', { err }),
  })
  const accessWatch = createAccessWatch({
    ...{ db, manifests, clock, access },
    ...engine,
    onError: (err, about) => ground.warn('users, roles and permissions could not be sent', { err, ...about }),
  })
  const handlers = createRunHandlers({
    ...{ db, queue, clock },
    loadSpec: engine.loadSpec,
    onLinks: live.onLinks,
  })
  const linkHandlers = new Map([[REPLICATE_LINK, createLinkJob({ db, queue, clock, remotes, runLink })]])
  async function run(signal: AbortSignal): Promise<void> {
    await Promise.all([live.run(signal), setWatch.run(signal), accessWatch.run(signal)])
  }
  return { handlers, linkHandlers, live: { ...live, run } }
}
