import type { BackupTask, RunProgress, RunResult } from '../tasks/backup-task.ts'

/** A run that goes on, as the activity sees it. */
export interface ActivityRun {
  readonly id: string
  readonly task: BackupTask
  /** Who asked for it, or the task's creator when it was planned. */
  readonly by: string
  /** UTC epoch milliseconds. */
  readonly startedAt: number
  /** `storeLocation`, resolved: absolute, inside an allowed root. */
  readonly place: string
  /** Counters are written down now and then (2 s), without waiting. */
  readonly progress: Progress
}

/** Counters that an activity moves. `add` adds; `set` replaces. */
export interface Progress {
  readonly now: RunProgress
  set(values: Partial<RunProgress>): void
  add(
    counts: Partial<
      Record<'projects' | 'repos' | 'nodes' | 'versions' | 'bytes' | 'success' | 'failed' | 'skipped', number>
    >,
  ): void
}

export interface ActivityOutcome {
  readonly result: Exclude<RunResult, 'CANCELLED'>
  /** Of a failure, or what somebody should know of a success. */
  readonly errorReason: string | null
  /** What was produced. */
  readonly artifactLocation: string | null
  /** What was found out; shown as it is. */
  readonly report: Readonly<Record<string, unknown>> | null
}

/**
 * What a type of task does. It leaves nothing half-made when it throws or is aborted; what a killed process leaves is removed by
 * `sweep`. A throw ends the run as FAILED with the error's words; an abort (cancelled, lease lost, server stopping) is rethrown.
 */
export interface Activity {
  run(run: ActivityRun, signal: AbortSignal): Promise<ActivityOutcome>
  /** After a process died in mid-run: what `run` had begun, by its id. */
  sweep(run: Omit<ActivityRun, 'progress'>, signal: AbortSignal): Promise<void>
}
