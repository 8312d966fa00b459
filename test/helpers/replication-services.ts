import { createSecrets } from '../../src/auth/secrets.ts'
import { createClusterConnections } from '../../src/clusters/cluster-connections.ts'
import type { ClusterGreeting, ClusterProbe, ProbeTarget } from '../../src/clusters/cluster-probe.ts'
import { type Clusters, createClusters } from '../../src/clusters/clusters.ts'
import { createDates } from '../../src/http/dates.ts'
import type { JobQueue, JobRequest } from '../../src/jobs/job-queue.ts'
import { createWakeUp, type WakeUp } from '../../src/jobs/wake-up.ts'
import type { MetadataDatabase } from '../../src/metadata/database.ts'
import { createTunnelHub } from '../../src/remotes/tunnel/tunnel-hub.ts'
import { TUNNEL_LIMITS } from '../../src/remotes/tunnel/tunnel-pool.ts'
import { stopRun } from '../../src/replication/runs/record-close.ts'
import { createTaskJudge } from '../../src/tasks/judge-task.ts'
import { createLiveTasks } from '../../src/tasks/live-tasks.ts'
import { createRecords, type Records } from '../../src/tasks/records.ts'
import { createRuns, type Runs } from '../../src/tasks/runs.ts'
import { createTimetable, type Timetable } from '../../src/tasks/schedule/timetable.ts'
import { createTasks, type Tasks } from '../../src/tasks/tasks.ts'
import { createWebhookSettings } from '../../src/tasks/webhooks/webhook-settings.ts'
import { type ManualClock, manualClock } from './clock.ts'
import { countingIds, seededRandom } from './ids.ts'

/** A probe that answers what a test wants, and remembers how it was called. */
export interface FakeProbe extends ClusterProbe {
  readonly calls: ProbeTarget[]
  /** Throws, or says who answers. By default every address is a cluster of its own. */
  answer: (target: ProbeTarget) => ClusterGreeting
}

export function fakeProbe(): FakeProbe {
  const probe: FakeProbe = {
    calls: [],
    answer: ({ url }) => ({ clusterId: `of ${url}`, name: url }),
    async probe(target) {
      probe.calls.push(target)
      return probe.answer(target)
    },
  }
  return probe
}

/** A queue that only remembers what was asked of it; of transactions that were rolled back too. */
export interface RememberingQueue extends Pick<JobQueue, 'enqueue'> {
  readonly requests: JobRequest[]
}

export interface ReplicationServices {
  readonly db: MetadataDatabase
  readonly clock: ManualClock
  readonly probe: FakeProbe
  readonly jobs: RememberingQueue
  readonly clusters: Clusters
  readonly runs: Runs
  readonly tasks: Tasks
  readonly timetable: Timetable
  /** Rung when something was planned. */
  readonly wakeUp: WakeUp
  readonly records: Records
}

export const OWN_CLUSTER_ID = 'this cluster'
export const DATES = createDates('UTC')

/** Everything about clusters, tasks and records on one database, with nobody who runs the tasks. */
export function replicationServices(db: MetadataDatabase, secretKey = Buffer.alloc(32, 1)): ReplicationServices {
  const clock = manualClock()
  const ids = countingIds()
  const probe = fakeProbe()
  const requests: JobRequest[] = []
  const jobs = { requests, enqueue: async (job: JobRequest) => void requests.push(job) }
  const secrets = createSecrets(secretKey, seededRandom())
  const connections = createClusterConnections({ db, clock, probe, probeRegistry: async () => {} })
  const hub = {
    ...createTunnelHub({ clock, limits: TUNNEL_LIMITS, isElsewhere: async () => false }),
    silenceMs: 60_000,
  }
  const webhooks = createWebhookSettings(secrets, { allowPrivate: false })
  const clusters = createClusters({ db, clock, ids, secrets, connections, edges: hub })
  const timetable = createTimetable('UTC')
  const judge = createTaskJudge({
    clock,
    clusters,
    clusterId: OWN_CLUSTER_ID,
    builtTypes: ['GENERIC'],
    parseTime: DATES.parse,
    timetable,
    webhooks,
  })
  const runs = createRuns({ clock, ids, jobs, timetable })
  const wakeUp = createWakeUp(clock)
  const tasks = createTasks({
    ...{ db, clock, ids, judge, runs, timetable },
    live: createLiveTasks({ clock, ids, jobs }),
    stopRun: (trx, recordId, reason) => stopRun(trx, recordId, reason, clock.now()),
    onStopped: () => {},
    onPlanned: wakeUp.ring,
  })
  return { db, clock, probe, jobs, clusters, runs, tasks, timetable, wakeUp, records: createRecords({ db }) }
}

/** Project `bkrepo` with the GENERIC repositories that are named. */
export async function makeRepositories(db: MetadataDatabase, ...names: string[]): Promise<void> {
  const audit = { created_by: 'admin', created_at: 1, modified_by: 'admin', modified_at: 1 }
  await db.transact(async (trx) => {
    await trx
      .insertInto('project')
      .values({ name: 'bkrepo', display_name: 'bkrepo', description: '', metadata: '[]', ...audit })
      .execute()
    const rows = names.map((name) => ({
      project: 'bkrepo',
      name,
      type: 'GENERIC',
      category: 'LOCAL',
      public: 0,
      description: null,
      display_name: null,
      configuration: '{}',
      quota: null,
      epoch: 'e',
      floor_seq: 0,
      deleted_at: null,
      ...audit,
    }))
    if (rows.length > 0) await trx.insertInto('repository').values(rows).execute()
  })
}

/** Registers a cluster without connecting to it. @returns its id. */
export async function makeCluster({ clusters }: ReplicationServices, name: string): Promise<string> {
  const body = {
    name,
    url: `http://peer.example:8040/${encodeURIComponent(name)}`,
    type: 'STANDALONE',
    username: 'admin',
    password: 'secret',
    ping: false,
  }
  return (await clusters.create(body, 'admin', new AbortController().signal)).id
}

/** The sample of contract 000, for GENERIC repositories. */
export function sampleTask(name: string, clusters: readonly string[], ...repositories: string[]) {
  return {
    name,
    localProjectId: 'bkrepo',
    replicaObjectType: 'REPOSITORY',
    replicaTaskObjects: repositories.map((repository) => ({
      localRepoName: repository,
      remoteProjectId: 'bkrepo',
      remoteRepoName: repository,
      repoType: 'GENERIC',
      packageConstraints: [],
      pathConstraints: [],
    })),
    replicaType: 'SCHEDULED',
    setting: {
      rateLimit: 0,
      includeMetadata: true,
      conflictStrategy: 'SKIP',
      errorStrategy: 'CONTINUE',
      executionStrategy: 'IMMEDIATELY',
      executionPlan: { executeImmediately: true },
    },
    remoteClusterIds: clusters,
    enabled: true,
    description: 'test replica task',
  }
}
