import { Readable } from 'node:stream'
import type { ActivityOutcome, ActivityRun } from '../../src/backup/activities/activity.ts'
import { createProgress } from '../../src/backup/activities/progress.ts'
import { createRestoreActivity } from '../../src/backup/activities/restore.ts'
import type { BackupReader } from '../../src/backup/layouts/layout.ts'
import type { Manifest } from '../../src/backup/manifest/manifest.ts'
import type { RestoreDeps } from '../../src/backup/restore/restore-deps.ts'
import type { BackupSetting, BackupTask } from '../../src/backup/tasks/backup-task.ts'
import type { Digest } from '../../src/core/digest.ts'
import { AppError } from '../../src/core/errors.ts'
import { createDates } from '../../src/http/dates.ts'
import { CONTENT, SETTING } from './backup-activity.ts'
import { countingIds } from './ids.ts'

/** A backup in memory, to be read or spoilt. */
export interface ReadableBackup {
  /** By path: lines. */
  readonly files: ReadonlyMap<string, string>
  readonly contents: ReadonlyMap<Digest, Buffer>
  readonly manifest?: Manifest
  /** Paths of record files that are not what they were. */
  readonly spoilt?: ReadonlySet<string>
}

export function readerOf({ files, contents, manifest, spoilt }: ReadableBackup, opened: Digest[] = []): BackupReader {
  return {
    layout: 'FOLDER',
    manifest,
    files: [...files.keys()],
    async *records(path) {
      if (spoilt?.has(path)) throw new AppError('ARTIFACT_BROKEN', `Record file ${path} is not what it was`)
      yield* (files.get(path) ?? '').split('\n').filter((line) => line !== '')
    },
    async readSmall(blobs) {
      opened.push(...blobs.map(({ digest }) => digest))
      return new Map(blobs.flatMap(({ digest }) => (contents.has(digest) ? [[digest, contents.get(digest)!]] : [])))
    },
    async open({ digest }) {
      opened.push(digest)
      const bytes = contents.get(digest)
      if (bytes === undefined) throw new AppError('BLOB_UNKNOWN', 'no such content')
      return Readable.from([bytes], { objectMode: false })
    },
    async verify() {
      throw new Error('not asked for')
    },
    async [Symbol.asyncDispose]() {},
  }
}

export type RestoreSite = Omit<
  RestoreDeps,
  'layouts' | 'commonFiles' | 'secrets' | 'outgoing' | 'spaceGuards' | 'contentsPath' | 'parseTime' | 'paceOf' | 'ids'
> &
  Partial<Pick<RestoreDeps, 'commonFiles' | 'secrets' | 'paceOf'>>

export interface RestoreWanted {
  readonly content?: Partial<BackupTask['content']>
  readonly setting?: Partial<BackupSetting>
  readonly signal?: AbortSignal
}

/** Restores backups from memory. */
export function restoresOf(site: RestoreSite) {
  let runs = 0
  const counted = countingIds()
  // Others count from the beginning, too.
  const ids = { id: () => `f${counted.id().slice(1)}`, key: () => `e${counted.key().slice(1)}` }
  return {
    async restore(
      backup: ReadableBackup,
      { content, setting, signal = new AbortController().signal }: RestoreWanted = {},
    ): Promise<ActivityOutcome & { readonly run: ActivityRun; readonly opened: readonly Digest[] }> {
      const opened: Digest[] = []
      const activity = createRestoreActivity({
        commonFiles: [],
        secrets: { unpack: (packed) => packed },
        paceOf: () => ({ take: () => undefined }),
        ...site,
        ids,
        layouts: { openReader: async () => readerOf(backup, opened) },
        outgoing: { allowPrivate: true },
        spaceGuards: () => ({ async begin() {}, async wrote() {} }),
        contentsPath: undefined,
        parseTime: createDates('UTC').parse,
      })
      const run: ActivityRun = {
        id: `restore-${++runs}`,
        by: 'admin',
        startedAt: site.clock.now(),
        place: '/place',
        progress: createProgress(site.clock),
        task: {
          ...{ id: 'task', name: 'back', type: 'DATA_RESTORE', storeLocation: 'place', state: 'RUNNING', runId: null },
          ...{ result: null, errorReason: null, artifactLocation: null, startedAt: null, endedAt: null },
          ...{ nextExecutionAt: null, createdBy: 'admin', createdAt: 0, modifiedBy: 'admin', modifiedAt: 0 },
          content: { ...CONTENT, ...content },
          setting: { ...SETTING, ...setting },
        },
      }
      return { ...(await activity.run(run, signal)), run, opened }
    },
  }
}
