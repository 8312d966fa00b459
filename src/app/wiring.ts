import { createAccessTimes } from '../artifacts/access-times.ts'
import { createBlobIntake } from '../artifacts/blob-intake.ts'
import { createDownloads } from '../artifacts/downloads.ts'
import { createNodes } from '../artifacts/nodes.ts'
import { createProjects } from '../artifacts/projects.ts'
import { createRepositories } from '../artifacts/repositories.ts'
import { createUploads } from '../artifacts/uploads.ts'
import { createAuthentication } from '../auth/authentication.ts'
import { createPasswords } from '../auth/passwords.ts'
import { createSecrets } from '../auth/secrets.ts'
import { createUserTokens } from '../auth/user-tokens.ts'
import { createUsers } from '../auth/users.ts'
import { createClusterConnections } from '../clusters/cluster-connections.ts'
import { createClusters } from '../clusters/clusters.ts'
import { syncProbe } from '../clusters/sync-probe.ts'
import type { Clock } from '../core/clock.ts'
import { HlcClock } from '../core/hlc.ts'
import type { Ids, Random } from '../core/ids.ts'
import { BUILT_TYPES } from '../formats/all.ts'
import { createDates } from '../http/dates.ts'
import type { JobQueue } from '../jobs/job-queue.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import { createSyncTarget } from '../replication/target/sync-target.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import type { UploadSpool } from '../storage/upload-spool.ts'
import { createTaskJudge } from '../tasks/judge-task.ts'
import { createRecordRetention } from '../tasks/record-retention.ts'
import { createRecords } from '../tasks/records.ts'
import { createRuns } from '../tasks/runs.ts'
import { createTasks } from '../tasks/tasks.ts'
import type { Config } from './config.ts'

/** What the outside gives: opened stores, time, chance, a place for errors that nobody waits for. */
export interface Ground {
  readonly config: Config
  readonly db: MetadataDatabase
  readonly queue: JobQueue
  readonly store: BlobStore
  readonly spool: UploadSpool
  readonly clock: Clock
  readonly ids: Ids
  readonly random: Random
  /** 32 bytes. */
  readonly secretKey: Buffer
  /** Identity of this cluster towards others. */
  readonly clusterId: string
  warn(message: string, about: Readonly<Record<string, unknown>>): void
}

export type Services = ReturnType<typeof createServices>

/** The use cases, put together. The only place where they learn of each other. */
export function createServices(ground: Ground) {
  const { config, db, queue, store, spool, clock, ids, random, clusterId } = ground
  const hlc = new HlcClock(clock.now)
  const dates = createDates(config.timeZone)

  const passwords = createPasswords(random)
  const users = createUsers({ db, passwords, clock, random })
  const tokens = createUserTokens({ db, clock, random })
  const authentication = createAuthentication({ db, passwords, clock, random })

  const projects = createProjects({ db, clock })
  const repositories = createRepositories({ db, clock, ids, builtTypes: BUILT_TYPES })
  const intake = createBlobIntake({ db, store, clock })
  const nodes = createNodes({ db, clock, hlc })
  const uploads = createUploads({ db, blobs: store, intake, clock, hlc })
  const onError = (error: unknown) => ground.warn('access times were not written', { err: error })
  const accessTimes = createAccessTimes({ db, clock, onError })
  const onContentMissing = ({ repoId, path }: { repoId: number; path: string }) =>
    ground.warn('the content of a node is missing: restore it from a backup', { repoId, path })
  const downloads = createDownloads({ db, blobs: store, clock, repositories, accessTimes, onContentMissing })

  const connections = createClusterConnections({ db, clock, probe: syncProbe })
  const clusters = createClusters({ db, clock, ids, secrets: createSecrets(ground.secretKey, random), connections })
  const judge = createTaskJudge({ clock, clusters, clusterId, builtTypes: BUILT_TYPES, parseTime: dates.parse })
  const tasks = createTasks({ db, clock, ids, judge, runs: createRuns({ clock, ids, jobs: queue }) })
  const records = createRecords({ db })
  const retention = createRecordRetention({ db, clock })

  const { inlineMaxBytes, partSizeBytes } = config.replication
  const limits = { inlineMaxBytes, partSizeBytes }
  const target = createSyncTarget({ db, store, spool, intake, projects, repositories, clock, hlc, clusterId, limits })

  return {
    ...{ dates, users, tokens, authentication },
    ...{ projects, repositories, nodes, uploads, downloads, accessTimes },
    ...{ clusters, tasks, records, retention, target },
  }
}
