import { createSecrets, type Secrets } from '../../src/auth/secrets.ts'
import type { CommonFile, SecretCarrier } from '../../src/backup/common/common-file.ts'
import { createCommonFiles } from '../../src/backup/common/common-files.ts'
import { createSecretCarrier } from '../../src/backup/common/secret-carrier.ts'
import type { RestoreRun } from '../../src/backup/restore/restore-run.ts'
import type { BackupSetting } from '../../src/backup/tasks/backup-task.ts'
import { messageOf } from '../../src/core/errors.ts'
import type { MetadataDatabase } from '../../src/metadata/database.ts'
import { unhurriedSnapshot } from '../../src/metadata/unhurried.ts'
import { createLiveTasks } from '../../src/tasks/live-tasks.ts'
import { createTaskActivation } from '../../src/tasks/task-activation.ts'
import { createTaskPlacing } from '../../src/tasks/task-placing.ts'
import { createTaskStore } from '../../src/tasks/task-store.ts'
import { createWebhookSettings } from '../../src/tasks/webhooks/webhook-settings.ts'
import { seededRandom } from './ids.ts'
import { DATES, type ReplicationServices, replicationServices } from './replication-services.ts'

/** Lines of each common file, parsed, by its name. */
export type CommonRecords = Record<string, Record<string, unknown>[]>

export interface CommonSite extends ReplicationServices {
  readonly files: readonly CommonFile[]
  readonly secrets: Secrets
  readonly carrier: SecretCarrier
  /** As a backup writes them. */
  backup(): Promise<CommonRecords>
  /** Both phases, without repositories between them. */
  restore(records: CommonRecords, how?: RestoreOptions): Promise<RestoreResult>
}
export interface RestoreOptions {
  readonly onConflict?: RestoreRun['onConflict']
  readonly by?: string
  readonly setting?: Partial<BackupSetting>
  /** What happens between the phases. */
  readonly repositories?: () => Promise<void>
}
export interface RestoreResult {
  /** `path: words`, as people see them. */
  readonly failures: readonly string[]
  readonly warnings: readonly string[]
  readonly success: number
  readonly skipped: number
}

const signal = new AbortController().signal

/** Common data of one server, on one database. */
export function commonSite(
  db: MetadataDatabase,
  { secretKey = Buffer.alloc(32, 1), passphraseKey }: { secretKey?: Buffer<ArrayBuffer>; passphraseKey?: Buffer } = {},
): CommonSite {
  const services = replicationServices(db, secretKey)
  const { clock, runs, timetable, jobs } = services
  // Ids of another server than the services', whose tests count theirs.
  let next = 0
  const ids = {
    id: () => `e${(++next).toString(16).padStart(23, '0')}`,
    key: () => `e${(++next).toString(16).padStart(31, '0')}`,
  }
  const secrets = createSecrets(secretKey, seededRandom(7))
  const carrier = createSecretCarrier({ secrets, passphraseKey })
  const taskStore = createTaskStore({ clock, ids })
  const live = createLiveTasks({ clock, ids, jobs })
  const placing = createTaskPlacing(taskStore, createTaskActivation({ clock, runs, timetable }, taskStore), live)
  const webhooks = createWebhookSettings(secrets, { allowPrivate: false })
  const files = createCommonFiles({
    ...{ db, clock, ids, carrier, taskStore, placing, webhooks },
    parseTime: DATES.parse,
    firings: timetable.firings,
  })
  return {
    ...services,
    ...{ files, secrets, carrier },
    backup: () =>
      unhurriedSnapshot(db, async (reader) => {
        const records: CommonRecords = {}
        for (const file of files) {
          records[file.path] = []
          // As they come back from a file.
          for await (const record of file.read(reader, signal))
            records[file.path]!.push(JSON.parse(JSON.stringify(record)) as Record<string, unknown>)
        }
        return records
      }),
    async restore(records, { onConflict = 'OVERWRITE', by = 'operator', setting = {}, repositories } = {}) {
      const result = { failures: [] as string[], warnings: [] as string[], success: 0, skipped: 0 }
      const run = {
        ...{ onConflict, by },
        task: { setting: { dryRun: false, restoreCredentials: false, ...setting } },
        progress: {
          add({ success = 0, skipped = 0 }: { success?: number; skipped?: number }) {
            result.success += success
            result.skipped += skipped
          },
        },
        fail: (path: string, error: unknown) => void result.failures.push(`${path}: ${messageOf(error)}`),
        warn: (text: string) => void result.warnings.push(text),
      } as unknown as RestoreRun
      const restores = files.map((file) => ({ path: file.path, ...file.restoring(run) }))
      const lines = async function* (path: string) {
        yield* records[path] ?? []
      }
      for (const { path, beforeRepositories } of restores) await beforeRepositories?.(lines(path), signal)
      await repositories?.()
      for (const { path, afterRepositories } of restores) await afterRepositories?.(lines(path), signal)
      return result
    },
  }
}
