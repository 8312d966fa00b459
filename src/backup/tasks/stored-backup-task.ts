import type { BackupTaskRow } from '../../metadata/backup/tasks.ts'
import type { Planned } from '../../tasks/schedule/timetable.ts'
import type { ActivityType, BackupContent, BackupSetting, BackupTask, RunResult } from './backup-task.ts'

export const taskFromRow = (row: BackupTaskRow): BackupTask => ({
  id: row.id,
  name: row.name,
  type: row.type as ActivityType,
  storeLocation: row.store_location,
  content: JSON.parse(row.content) as BackupContent,
  setting: JSON.parse(row.setting) as BackupSetting,
  state: row.state,
  runId: row.run,
  result: row.result as RunResult | null,
  errorReason: row.error_reason,
  artifactLocation: row.artifact_location,
  startedAt: row.started_at,
  endedAt: row.ended_at,
  nextExecutionAt: row.next_execution_at,
  createdBy: row.created_by,
  createdAt: row.created_at,
  modifiedBy: row.modified_by,
  modifiedAt: row.modified_at,
})

/** What the timetable asks of a task. */
export const plannedOf = (setting: BackupSetting, firedAt: number | null): Planned => ({
  replicaType: 'SCHEDULED',
  enabled: true,
  setting,
  firedAt,
})

export const isRecurrent = ({ executionStrategy }: BackupSetting): boolean => executionStrategy === 'CRON_EXPRESSION'
