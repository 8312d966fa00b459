import { rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { createBackupActivity } from '../backup/activities/backup.ts'
import { createDrillActivity } from '../backup/activities/drill.ts'
import { applyRetention, createPruneActivity } from '../backup/activities/prune.ts'
import { createRestoreActivity } from '../backup/activities/restore.ts'
import { createVerifyActivity } from '../backup/activities/verify.ts'
import { createCommonFiles } from '../backup/common/common-files.ts'
import { createSecretCarrier } from '../backup/common/secret-carrier.ts'
import { createLayouts } from '../backup/layouts/create-layouts.ts'
import { createFolderLayout } from '../backup/layouts/folder/folder-layout.ts'
import type { LayoutKind } from '../backup/layouts/layouts.ts'
import { createRepositoryLayout, type RepositoryLayout } from '../backup/layouts/repository/repository-layout.ts'
import { parseSnapshotPath } from '../backup/layouts/repository/repository-place.ts'
import { createZipLayout } from '../backup/layouts/zip/zip-layout.ts'
import { createManifestSeal } from '../backup/manifest/manifest-seal.ts'
import type { SpaceGuards } from '../backup/places/space.ts'
import type { Activities } from '../backup/tasks/run-job.ts'
import { createRateLimiter } from '../replication/limits/rate-limiter.ts'
import { createFsBackupLocation } from '../storage/fs/backup-location.ts'
import type { BackupServices } from './backups.ts'
import type { Ground } from './ground.ts'
import { createScratchServers } from './scratch-server.ts'

export interface ActivityTable extends AsyncDisposable {
  readonly activities: Activities
  readonly repository: RepositoryLayout
}

/** Of repositories, which hash, compress and seal beside the requests. */
const MOST_THREADS = 4

/** What each type of task does. */
export function createBackupActivities(
  ground: Ground,
  services: BackupServices & { readonly spaceGuards: SpaceGuards },
): ActivityTable {
  const { config, db, store, clock, ids, random, clusterId, backupPassphrase } = ground
  const { dates, timetable, hlc, intake, repositories, packageDeletion, secrets, outgoing } = services
  const carrier = createSecretCarrier({ secrets, passphraseKey: backupPassphrase?.key })
  const seal = createManifestSeal(backupPassphrase?.text, random)
  const places = { locate: createFsBackupLocation, seal, random, clock, timeZone: config.timeZone }
  const repository = createRepositoryLayout({
    ...{
      clock,
      ids,
      random,
      locationAt: createFsBackupLocation,
      timeZone: config.timeZone,
      server: config.cluster.name,
    },
    passphrase: async () => backupPassphrase?.text,
    threads: Math.min(MOST_THREADS, availableParallelism()),
  })
  const layouts = createLayouts({
    FOLDER: createFolderLayout(places),
    ZIP: createZipLayout(places),
    REPOSITORY: repositoryKind(repository),
  })
  const shared = {
    ...{ db, store, clock, layouts, spaceGuards: services.spaceGuards, parseTime: dates.parse, secrets: carrier },
    commonFiles: createCommonFiles({
      ...{ db, clock, ids, carrier, parseTime: dates.parse, firings: timetable.firings },
      ...{ placing: services.placing, taskStore: services.taskStore, webhooks: services.webhookSettings },
    }),
    paceOf: (bytesPerSecond: number | null) =>
      createRateLimiter({ clock, bytesPerSecond: bytesPerSecond ?? undefined }),
  }
  const pruning = { layouts, repository, clock, timeZone: config.timeZone }
  const activities: Activities = {
    DATA_BACKUP: createBackupActivity({
      ...shared,
      workFolder: join(config.data, 'backup-work'),
      serverVersion: ground.version,
      clusterId,
      applyRetention: (run, retention, signal) => applyRetention(pruning, run, retention, signal),
    }),
    DATA_RESTORE: createRestoreActivity({
      ...{ ...shared, intake, hlc, ids, repositories, outgoing },
      builtTypes: ground.formats.map(({ type }) => type),
      rulesOf: services.rulesOf,
      deletion: packageDeletion,
      contentsPath: config.blobs,
    }),
    DATA_VERIFY: createVerifyActivity({ layouts, repository }),
    DATA_PRUNE: createPruneActivity(pruning),
    DATA_DRILL: createDrillActivity({
      ...{ layouts, clock, random, formats: ground.formats, roots: config.backup.allowedRoots },
      folder: join(config.data, 'drills'),
      removeFolder: (folder) => rm(folder, { recursive: true, force: true }),
      start: createScratchServers({
        ...{ random, timeZone: config.timeZone, passphrase: backupPassphrase?.text },
        secretKey: ground.secretKey.toString('hex'),
      }),
    }),
  }
  return { activities, repository, [Symbol.asyncDispose]: () => repository[Symbol.asyncDispose]() }
}

/** A repository among the other layouts. */
const repositoryKind = (repository: RepositoryLayout): LayoutKind => ({
  ...repository,
  isRun: async (path) => repository.isSnapshot(path),
  incomplete: async () => [],
  openReader: async (path, takes, signal) =>
    repository.isSnapshot(path) ? repository.openReader(path, takes, signal) : undefined,
  async remove({ path }, signal) {
    const parsed = parseSnapshotPath(path)
    if (parsed !== undefined) await repository.removeSnapshots(parsed.repository, [parsed.snapshot], signal)
  },
})
