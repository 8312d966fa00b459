import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import { AppError, hasCode, messageOf } from '../../core/errors.ts'
import { storageTrouble } from '../../core/storage-trouble.ts'
import { releaseHold } from '../../metadata/backup/holds.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import type { CommonFile, SecretCarrier } from '../common/common-file.ts'
import { copyContents } from '../contents/copy-contents.ts'
import { createFailedContents, type FailedContents } from '../contents/failed-contents.ts'
import { leaveOutHeld } from '../contents/held-contents.ts'
import { createMissingFiles } from '../contents/missing-files.ts'
import type { BackupWriter } from '../layouts/layout.ts'
import type { Layouts } from '../layouts/layouts.ts'
import type { RecordFile } from '../manifest/manifest.ts'
import type { SpaceGuards } from '../places/space.ts'
import type { ErrorDocument } from '../records/documents.ts'
import type { ParseTime } from '../records/record-fields.ts'
import { createBlobList } from '../snapshot/blob-list.ts'
import { whileHolding } from '../snapshot/hold.ts'
import { type Snapshot, takeSnapshot } from '../snapshot/snapshot.ts'
import { openSpool, type Spool } from '../snapshot/spool.ts'
import { chunksOfFile, type SpooledFile } from '../snapshot/spooled-file.ts'
import type { Retention } from '../tasks/backup-task.ts'
import type { Activity, ActivityOutcome, ActivityRun } from './activity.ts'
import { isIncrement, manifestOf, placeOfRun, snapshotRequest } from './backup-request.ts'
import { followedRun } from './followed-run.ts'

export interface BackupDeps {
  readonly db: MetadataDatabase
  readonly store: BlobStore
  readonly clock: Clock
  readonly layouts: Pick<Layouts, 'openWriter' | 'sweep' | 'list' | 'openReader'>
  readonly commonFiles: readonly CommonFile[]
  readonly secrets: SecretCarrier
  readonly spaceGuards: SpaceGuards
  /** In the server's zone. */
  readonly parseTime: ParseTime
  /** Where runs keep their records until their contents were copied, one folder each; nobody else's. */
  readonly workFolder: string
  readonly serverVersion: string
  readonly clusterId: string
  /** Drops old runs of the task's name after a backup that went well. */
  applyRetention(run: ActivityRun, retention: Retention, signal: AbortSignal): Promise<void>
}

/**
 * One run of DATA_BACKUP (backup.md 3, 5, 6): everything as of one moment, contents before records, the manifest last. What happens when the
 * process dies on a line is in docs/design/backup.md.
 */
export function createBackupActivity(deps: BackupDeps): Activity {
  const { db, store, layouts, spaceGuards, workFolder } = deps
  const folderOf = (id: string) => join(workFolder, id)
  let cleared: Promise<void> | undefined
  /** Of runs that an earlier process began: another one may have swept them, beside another data directory. */
  const clearWork = () => {
    cleared ??= rm(workFolder, { recursive: true, force: true })
    return cleared
  }

  async function copyAll(
    run: ActivityRun,
    writer: BackupWriter,
    spool: Spool,
    { small, large }: Snapshot,
    failed: FailedContents,
    signal: AbortSignal,
  ): Promise<CopiedContents> {
    const { progress, task, place } = run
    const space = spaceGuards(place, task.setting)
    const wanted = { small: createBlobList(spool), large: createBlobList(spool) }
    let kept = await leaveOutHeld(writer, small, wanted.small, signal)
    kept += await leaveOutHeld(writer, large, wanted.large, signal)
    const totalBytes = wanted.small.bytes + wanted.large.bytes
    await space.begin(totalBytes)
    progress.set({ phase: 'contents', totalBytes, totalNodes: progress.now.nodes })
    await copyContents({ store, writer, space, progress, failed }, wanted.small, wanted.large, signal)
    return { contents: wanted.small.count + wanted.large.count - failed.count, bytes: progress.now.bytes, kept }
  }

  async function backUp(run: ActivityRun, spool: Spool, signal: AbortSignal): Promise<ActivityOutcome> {
    const { task, progress } = run
    const request = placeOfRun(run)
    await spaceGuards(run.place, task.setting).begin(0)
    const { rateLimit } = task.setting
    const { compression } = task.content
    await using writer = await layouts.openWriter({ ...request, rateLimit, compression }, signal)
    progress.set({ phase: 'snapshot' })
    const follows = isIncrement(task) ? await followedRun(layouts, run, deps.clusterId, signal) : undefined
    const asked = snapshotRequest(run, writer.base, follows, deps.parseTime)
    const snapshot = await takeSnapshot(deps, asked, spool, progress, signal)
    const failed = createFailedContents(task.setting.errorStrategy)
    const copied = await copyAll(run, writer, spool, snapshot, failed, signal).catch(async (error) => {
      throw await namingFile(error, failed.errors(spool, snapshot.files))
    })
    progress.set({ phase: 'records' })
    const missing = createMissingFiles(spool)
    for await (const error of failed.errors(spool, snapshot.files)) await missing.add(error)
    const errors = await missing.done()
    const files = await putFiles(writer, spool, [...snapshot.files, ...(errors.records > 0 ? [errors] : [])], signal)
    progress.set({ phase: 'manifest' })
    await writer.publish(manifestOf(deps, run, snapshot, files, errors.records), signal)
    const { projects, repos, nodes, versions } = progress.now
    progress.set({ success: projects + repos + nodes + versions - errors.records, failed: errors.records })
    const { artifactLocation } = writer
    const { warnings } = snapshot
    const reasons = [missing.words(artifactLocation) ?? [], ...warnings].flat()
    return {
      result: errors.records > 0 ? 'PARTIAL' : 'SUCCESS',
      errorReason: reasons.length === 0 ? null : reasons.join('; '),
      artifactLocation,
      report: { repos, nodes, versions, ...copied, failed: errors.records, errors: missing.errors, warnings },
    }
  }

  return {
    async run(run, signal) {
      try {
        const outcome = await whileHolding(
          deps,
          run.id,
          async (held) => {
            await clearWork()
            await using spool = await openSpool(folderOf(run.id))
            return await backUp(run, spool, held)
          },
          signal,
        )
        // The writer has let go of the place by then.
        return outcome.result === 'SUCCESS' ? await retained(deps, run, outcome, signal) : outcome
      } catch (error) {
        throw storageTrouble(error) ?? error
      }
    },
    async sweep(run, signal) {
      await rm(folderOf(run.id), { recursive: true, force: true })
      await db.transact((trx) => releaseHold(trx, run.id))
      await layouts.sweep(placeOfRun(run), signal)
    },
  }
}

/** What became of the contents. */
interface CopiedContents {
  /** Written by this run, and their bytes. */
  readonly contents: number
  readonly bytes: number
  /** They were there. */
  readonly kept: number
}

/** The end of a run at its first error, by the file that has the content. */
async function namingFile(error: unknown, errors: AsyncIterable<ErrorDocument>): Promise<unknown> {
  if (!hasCode(error, 'ARTIFACT_BROKEN')) return error
  for await (const { path, reason } of errors) {
    return new AppError('ARTIFACT_BROKEN', `${path} cannot be backed up: ${reason}`, { path }, { cause: error })
  }
  return error
}

async function putFiles(
  writer: BackupWriter,
  spool: Spool,
  files: readonly SpooledFile[],
  signal: AbortSignal,
): Promise<RecordFile[]> {
  const put: RecordFile[] = []
  for (const file of files) put.push(await writer.putRecords(file.path, chunksOfFile(spool, file), signal))
  return put
}

/** The backup is whole, whatever becomes of older ones. */
async function retained(
  deps: BackupDeps,
  run: ActivityRun,
  outcome: ActivityOutcome,
  signal: AbortSignal,
): Promise<ActivityOutcome> {
  const { retention } = run.task.setting
  if (retention === null) return outcome
  run.progress.set({ phase: 'retention' })
  try {
    await deps.applyRetention(run, retention, signal)
    return outcome
  } catch (error) {
    const warning = `Old backups were not removed: ${messageOf(error)}`
    return { ...outcome, errorReason: outcome.errorReason === null ? warning : `${outcome.errorReason}; ${warning}` }
  }
}
