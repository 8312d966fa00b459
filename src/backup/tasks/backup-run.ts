import type { BackupRunRow } from '../../metadata/backup/runs.ts'
import type { RunProgress, RunResult } from './backup-task.ts'

/** A run of a task. Times are UTC epoch milliseconds. */
export interface BackupRun {
  readonly id: string
  readonly taskId: string
  readonly startedBy: string
  /** Null while it goes on. */
  readonly result: RunResult | null
  readonly errorReason: string | null
  readonly artifactLocation: string | null
  readonly progress: RunProgress
  readonly report: Readonly<Record<string, unknown>> | null
  readonly startedAt: number
  readonly endedAt: number | null
}

export const NO_PROGRESS: RunProgress = {
  phase: 'waiting',
  projects: 0,
  repos: 0,
  nodes: 0,
  versions: 0,
  bytes: 0,
  success: 0,
  failed: 0,
  skipped: 0,
  totalBytes: null,
  totalNodes: null,
  etaSeconds: null,
}

export const runFromRow = (row: BackupRunRow): BackupRun => ({
  id: row.id,
  taskId: row.task_id,
  startedBy: row.started_by,
  result: row.result as RunResult | null,
  errorReason: row.error_reason,
  artifactLocation: row.artifact_location,
  progress: JSON.parse(row.progress) as RunProgress,
  report: row.report === null ? null : (JSON.parse(row.report) as Record<string, unknown>),
  startedAt: row.started_at,
  endedAt: row.ended_at,
})
