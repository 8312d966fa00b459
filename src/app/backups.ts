import type { BlobIntake } from '../artifacts/blobs/blob-intake.ts'
import type { PackageDeletion } from '../artifacts/packages/package-deletion.ts'
import type { RulesOf } from '../artifacts/packages/package-rules.ts'
import type { Repositories } from '../artifacts/repositories/repositories.ts'
import type { Secrets } from '../auth/secrets.ts'
import { createBackupKeys } from '../backup/keys/backup-keys.ts'
import { createPlaces } from '../backup/places/places.ts'
import { createSpaceGuards } from '../backup/places/space.ts'
import { createBackupRuns, FIRE_BACKUP, RUN_BACKUP } from '../backup/tasks/backup-runs.ts'
import { createBackupTasks } from '../backup/tasks/backup-tasks.ts'
import { createFireJob } from '../backup/tasks/fire-job.ts'
import { createRunJob } from '../backup/tasks/run-job.ts'
import { createRunWaits } from '../backup/tasks/run-waits.ts'
import type { HlcClock } from '../core/hlc.ts'
import type { Dates } from '../http/dates.ts'
import { deleteOldBackupRuns } from '../metadata/backup/runs.ts'
import type { OutgoingRules } from '../remotes/outgoing-url.ts'
import { filesystemRoom } from '../storage/fs/filesystem-room.ts'
import type { Timetable } from '../tasks/schedule/timetable.ts'
import type { TaskPlacing } from '../tasks/task-placing.ts'
import type { TaskStore } from '../tasks/task-store.ts'
import type { WebhookSettings } from '../tasks/webhooks/webhook-settings.ts'
import { createBackupActivities } from './backup-activities.ts'
import type { Ground } from './ground.ts'

/** Of the rest of the server. */
export interface BackupServices {
  readonly dates: Dates
  readonly timetable: Timetable
  readonly hlc: HlcClock
  readonly intake: BlobIntake
  readonly repositories: Repositories
  readonly packageDeletion: PackageDeletion
  readonly rulesOf: RulesOf
  /** Of proxies and webhooks. */
  readonly outgoing: OutgoingRules
  readonly secrets: Secrets
  readonly placing: TaskPlacing
  readonly taskStore: TaskStore
  readonly webhookSettings: WebhookSettings
}

const RUNS_KEPT_MS = 90 * 86_400_000

/** Backup and restore, put together (docs/design/backup.md). */
export function createBackups(ground: Ground, services: BackupServices) {
  const { config, db, clock, ids, queue } = ground
  const { timetable } = services
  const { allowedRoots, locationMap, usageThreshold } = config.backup
  const rules = process.platform === 'win32' ? 'win32' : 'posix'
  const places = createPlaces({ rules, roots: allowedRoots, map: locationMap })
  const spaceGuards = createSpaceGuards({ roomOf: filesystemRoom, threshold: usageThreshold })
  const table = createBackupActivities(ground, { ...services, spaceGuards })
  const { activities } = table

  const runs = createBackupRuns({ clock, ids, jobs: queue, timetable })
  const waits = createRunWaits({ db, clock })
  const runJob = createRunJob({
    ...{ db, clock, runs, places, activities, waits },
    onBegun: (about) => ground.note('a run of backup or restore has begun', { ...about }),
    onEnded: ({ reason, ...about }) =>
      about.result === 'FAILED' || about.result === 'PARTIAL'
        ? ground.warn('a run of backup or restore has ended, and not well', { ...about, reason })
        : ground.note('a run of backup or restore has ended', about),
    onDefect: (err, about) => ground.warn('a run of backup or restore failed by a fault of ours', { err, ...about }),
  })
  const fireJob = createFireJob({
    ...{ db, clock, jobs: queue, runs, timetable },
    onSkipped: (task) => ground.warn('a backup did not run at its time: the run before it has not ended', task),
  })
  return {
    tasks: createBackupTasks({
      ...{ db, clock, ids, runs, places, waits, timetable },
      parseTime: services.dates.parse,
      cut: runJob.cut,
    }),
    keys: createBackupKeys({ places, repository: table.repository }),
    /** They take long. */
    runHandlers: new Map([[RUN_BACKUP, runJob.handler]]),
    fireHandlers: new Map([[FIRE_BACKUP, fireJob.handler]]),
    recover: fireJob.recover,
    [Symbol.asyncDispose]: () => table[Symbol.asyncDispose](),
    forgetRuns: () => db.transact((trx) => deleteOldBackupRuns(trx, clock.now() - RUNS_KEPT_MS)),
  }
}
