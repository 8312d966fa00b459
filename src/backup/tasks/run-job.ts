import type { Clock } from '../../core/clock.ts'
import { AppError, hasCode, messageOf } from '../../core/errors.ts'
import { storageTrouble } from '../../core/storage-trouble.ts'
import type { JobHandler } from '../../jobs/worker.ts'
import { type BackupRunEnd, findBackupRun, saveBackupProgress, takeBackupRun } from '../../metadata/backup/runs.ts'
import { lockBackupTask } from '../../metadata/backup/tasks.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import type { Activity, ActivityRun, Progress } from '../activities/activity.ts'
import { createProgress } from '../activities/progress.ts'
import type { Places } from '../places/places.ts'
import type { BackupRuns } from './backup-runs.ts'
import type { ActivityType, RunProgress, RunResult } from './backup-task.ts'
import type { RunWaits } from './run-waits.ts'
import { taskFromRow } from './stored-backup-task.ts'

/** What each type does. */
export type Activities = Readonly<Record<ActivityType, Activity>>

export interface RunJob {
  readonly handler: JobHandler
  /** Aborts a run that goes on in this process. */
  cut(runId: string): void
}

export interface RunJobDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly runs: BackupRuns
  readonly places: Places
  readonly activities: Activities
  readonly waits: RunWaits
  /** Work on a run begins; told once its task says so. */
  onBegun(about: RunAbout): void
  /** A run has ended; told when the database has it. */
  onEnded(about: RunAbout & EndedAbout): void
  /** What nobody foresaw; the run ends with its words. */
  onDefect(error: unknown, about: { readonly runId: string; readonly name: string; readonly type: string }): void
}

/** For the log: ids, names and counts, nothing secret. */
export interface RunAbout {
  readonly task: string
  readonly name: string
  readonly type: ActivityType
  readonly run: string
  readonly by: string
}
export interface EndedAbout {
  readonly result: RunResult
  readonly seconds: number
  /** Of contents. */
  readonly bytes: number
  readonly reason: string | null
}

/** Also how soon a run hears that it was cancelled in another process. */
const SAVE_EVERY_MS = 2_000
const MAX_REASON_CHARACTERS = 2_000

const NOTHING_MADE = { artifact_location: null, report: null }

type Begun = Omit<ActivityRun, 'progress' | 'place'> & { readonly worker: string }
type End = Omit<BackupRunEnd, 'ended_at'>

export function createRunJob(deps: RunJobDeps): RunJob {
  const { db, clock, runs, places, activities, waits, onBegun, onEnded, onDefect } = deps
  const running = new Map<string, AbortController>()
  /** Ends that the database could not take. */
  const unsaved = new Map<string, End>()

  /** Undefined: it has ended, or was deleted. `died`: another claim had begun it. */
  async function take(trx: Transaction, runId: string, worker: string) {
    const found = await findBackupRun(trx, runId)
    const task = found && (await lockBackupTask(trx, found.task_id))
    const run = task && (await findBackupRun(trx, runId))
    if (run === undefined || run.ended_at !== null) return undefined
    await takeBackupRun(trx, runId, worker)
    const begun = { id: runId, task: taskFromRow(task!), by: run.started_by, startedAt: run.started_at, worker }
    return { begun, died: run.worker !== null }
  }

  /** Writes counters down again and again; ends the run when somebody asked for it, or when it is somebody else's by now. */
  async function follow({ id, worker }: Begun, progress: Progress, end: AbortController, over: AbortSignal) {
    for (;;) {
      await clock.sleep(SAVE_EVERY_MS, over).catch(() => {})
      if (over.aborted) return
      try {
        const now = JSON.stringify(progress.now)
        const saved = await db.transact((trx) => saveBackupProgress(trx, { id, worker }, now))
        if (saved === undefined) end.abort(fenced(id))
        else if (saved.cancelled) end.abort(new Cancelled())
      } catch {
        // Without a database the lease ends, and the run with it; a passing trouble is over by the next time.
      }
    }
  }

  async function perform(begun: Begun, signal: AbortSignal): Promise<End> {
    onBegun(aboutOf(begun))
    const cut = new AbortController()
    const both = AbortSignal.any([signal, cut.signal])
    const over = new AbortController()
    const progress = createProgress(clock)
    running.set(begun.id, cut)
    const following = follow(begun, progress, cut, over.signal)
    let end: End
    try {
      const { type, storeLocation } = begun.task
      const place = await (type === 'DATA_BACKUP' ? places.resolveTarget(storeLocation) : places.resolve(storeLocation))
      const outcome = await activities[type].run({ ...begun, place, progress }, both)
      end = {
        result: outcome.result,
        error_reason: shown(outcome.errorReason),
        artifact_location: outcome.artifactLocation,
        report: outcome.report && JSON.stringify(outcome.report),
      }
    } catch (error) {
      const { result, reason } = both.aborted ? cutShort(both.reason) : failure(error, begun)
      end = { result, error_reason: shown(reason), ...NOTHING_MADE }
    } finally {
      over.abort()
      running.delete(begun.id)
      await following
    }
    return { ...end, progress: JSON.stringify(progress.now) }
  }

  function failure(error: unknown, { id, task }: Begun): { result: RunResult; reason: string } {
    const known = storageTrouble(error) ?? error
    if (!(known instanceof AppError)) onDefect(error, { runId: id, name: task.name, type: task.type })
    return { result: 'FAILED', reason: messageOf(known) }
  }

  /** After a process died in the middle. */
  async function sweep(begun: Begun, signal: AbortSignal): Promise<End> {
    let reason = 'interrupted: the server was killed, or lost its lease, while the run went on; run it again'
    try {
      const place = await places.resolve(begun.task.storeLocation)
      await activities[begun.task.type].sweep({ ...begun, place }, signal)
    } catch (error) {
      if (signal.aborted) throw error
      reason += `. What it left behind could not be removed: ${failure(error, begun).reason}`
    }
    return { result: 'FAILED', error_reason: shown(reason), ...NOTHING_MADE }
  }

  return {
    cut: (runId) => running.get(runId)?.abort(new Cancelled()),

    async handler(job, signal) {
      const runId = job.payload.runId!
      const taken = await db.transact((trx) => take(trx, runId, `${job.id}:${job.epoch}`))
      if (taken !== undefined) {
        const { begun, died } = taken
        const end = unsaved.get(runId) ?? (died ? await sweep(begun, signal) : await perform(begun, signal))
        unsaved.set(runId, end)
        const run = { id: runId, taskId: begun.task.id, worker: begun.worker }
        const isOurs = await db.transact((trx) => runs.end(trx, run, end))
        unsaved.delete(runId)
        if (!isOurs) throw fenced(runId)
        onEnded({ ...aboutOf(begun), ...endedAbout(end, clock.now() - begun.startedAt) })
      }
      waits.tell(runId)
      return undefined
    },
  }
}

const aboutOf = ({ id, task, by }: Begun): RunAbout => ({
  task: task.id,
  name: task.name,
  type: task.type,
  run: id,
  by,
})

const endedAbout = ({ result, error_reason, progress }: End, ms: number): EndedAbout => ({
  result: result as RunResult,
  seconds: Math.round(ms / 100) / 10,
  bytes: progress === undefined ? 0 : (JSON.parse(progress) as RunProgress).bytes,
  reason: error_reason,
})

class Cancelled extends Error {}

/** What an aborted run ends with. @throws the reason when the run belongs to another worker: then nothing is written. */
function cutShort(reason: unknown): { result: RunResult; reason: string } {
  if (reason instanceof Cancelled) return { result: 'CANCELLED', reason: 'it was cancelled' }
  if (hasCode(reason, 'FENCED')) throw reason
  return { result: 'FAILED', reason: 'interrupted: the server was stopped while the run went on; run it again' }
}

const fenced = (runId: string): AppError => new AppError('FENCED', `The backup run [${runId}] is another worker's`, {})

/** As databases keep it. */
const shown = (text: string | null): string | null =>
  text?.toWellFormed().replaceAll('\u0000', '\ufffd').slice(0, MAX_REASON_CHARACTERS) ?? null
