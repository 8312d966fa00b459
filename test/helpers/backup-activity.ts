import type { ActivityOutcome, ActivityRun } from '../../src/backup/activities/activity.ts'
import { createBackupActivity } from '../../src/backup/activities/backup.ts'
import { createProgress } from '../../src/backup/activities/progress.ts'
import type { CommonFile } from '../../src/backup/common/common-file.ts'
import type { BackupContent, BackupSetting, RepositorySelector } from '../../src/backup/tasks/backup-task.ts'
import { createDates } from '../../src/http/dates.ts'
import type { MetadataDatabase } from '../../src/metadata/database.ts'
import type { BlobStore } from '../../src/storage/blob-store.ts'
import type { ManualClock } from './clock.ts'
import { memoryBackups } from './memory-backups.ts'

export const selector = (given: Partial<RepositorySelector> = { projectRegex: '*' }): RepositorySelector => ({
  projectId: null,
  projectRegex: null,
  repoList: null,
  repoRegex: null,
  excludeProjects: null,
  excludeRepos: null,
  ...given,
})

export const SETTING: BackupSetting = {
  conflictStrategy: 'OVERWRITE',
  errorStrategy: 'CONTINUE',
  executionStrategy: 'IMMEDIATELY',
  executionPlan: { executeImmediately: true, executeTime: null, cronExpression: null },
  spaceCapCheck: true,
  layout: 'FOLDER',
  retention: null,
  rateLimit: null,
  dryRun: false,
  legacy: false,
  restoreCredentials: false,
  targetProjectId: null,
  readDataPercent: 0,
  subset: null,
}
export const CONTENT: BackupContent = {
  commonData: false,
  compression: false,
  increment: null,
  incrementDate: null,
  projects: [selector()],
}

interface BackupSite {
  readonly db: MetadataDatabase
  readonly store: BlobStore
  readonly clock: ManualClock
  readonly workFolder: string
  readonly commonFiles?: readonly CommonFile[]
}

export interface BackupWanted {
  readonly content?: Partial<BackupContent>
  readonly setting?: Partial<BackupSetting>
  readonly signal?: AbortSignal
}

/** Backups of what is on a database and in a store, into memory. */
export function backupsOf({ db, store, clock, workFolder, commonFiles = [] }: BackupSite) {
  const place = memoryBackups()
  let runs = 0
  const retained: string[] = []
  const activity = createBackupActivity({
    ...{ db, store, clock, layouts: place.layouts, commonFiles, workFolder },
    secrets: { pack: (stored, at) => `${at}: ${stored}`, unpack: (packed) => packed },
    spaceGuards: () => ({ async begin() {}, async wrote() {} }),
    parseTime: createDates('UTC').parse,
    serverVersion: 'test',
    clusterId: 'cluster',
    async applyRetention({ id }) {
      if (place.isBusy()) throw new Error('the writer is at work in the place')
      retained.push(id)
    },
  })
  const runOf = ({ content, setting }: BackupWanted): ActivityRun => ({
    id: `run-${++runs}`,
    by: 'admin',
    startedAt: clock.now(),
    place: '/place',
    progress: createProgress(clock),
    task: {
      ...{ id: 'task', name: 'nightly', type: 'DATA_BACKUP', storeLocation: 'place', state: 'RUNNING', runId: null },
      ...{ result: null, errorReason: null, artifactLocation: null, startedAt: null, endedAt: null },
      ...{ nextExecutionAt: null, createdBy: 'admin', createdAt: 0, modifiedBy: 'admin', modifiedAt: 0 },
      content: { ...CONTENT, ...content },
      setting: { ...SETTING, ...setting },
    },
  })
  return {
    ...place,
    activity,
    retained,
    async backUp(wanted: BackupWanted = {}): Promise<ActivityOutcome & { readonly run: ActivityRun }> {
      const run = runOf(wanted)
      const outcome = await activity.run(run, wanted.signal ?? new AbortController().signal)
      return { ...outcome, run }
    },
  }
}
