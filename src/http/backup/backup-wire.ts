import type { BackupRun } from '../../backup/tasks/backup-run.ts'
import type { BackupSetting } from '../../backup/tasks/backup-task.ts'
import type { BackupTaskView } from '../../backup/tasks/backup-tasks.ts'
import type { Dates } from '../dates.ts'

/** A task as contract 004 shows it, keys in the order of its sample; what follows `type` is ours, and `name`. */
export const toBackupTask = ({ task, run }: BackupTaskView, dates: Dates) => ({
  id: task.id,
  name: task.name,
  createdBy: task.createdBy,
  createdDate: dates.format(task.createdAt),
  lastModifiedBy: task.modifiedBy,
  lastModifiedDate: dates.format(task.modifiedAt),
  startDate: dates.format(task.startedAt),
  endDate: dates.format(task.endedAt),
  state: task.state,
  content: {
    commonData: task.content.commonData,
    compression: task.content.compression,
    projects: task.content.projects,
    increment: task.content.increment,
    incrementDate: task.content.incrementDate,
  },
  storeLocation: task.storeLocation,
  backupSetting: toBackupSetting(task.setting, dates),
  type: task.type,
  result: task.result,
  errorReason: task.errorReason,
  artifactLocation: task.artifactLocation,
  progress: run?.progress ?? null,
  nextExecutionDate: dates.format(task.nextExecutionAt),
})

/** One task alone says what its last run has found out. */
export const toBackupTaskDetail = (view: BackupTaskView, dates: Dates) => ({
  ...toBackupTask(view, dates),
  runId: view.run?.id ?? null,
  report: view.run?.report ?? null,
})

const toBackupSetting = ({ executionPlan, ...setting }: BackupSetting, dates: Dates) => ({
  conflictStrategy: setting.conflictStrategy,
  errorStrategy: setting.errorStrategy,
  executionStrategy: setting.executionStrategy,
  executionPlan: { ...executionPlan, executeTime: dates.format(executionPlan.executeTime) },
  spaceCapCheck: setting.spaceCapCheck,
  layout: setting.layout,
  retention: setting.retention,
  rateLimit: setting.rateLimit,
  dryRun: setting.dryRun,
  legacy: setting.legacy,
  restoreCredentials: setting.restoreCredentials,
  targetProjectId: setting.targetProjectId,
  readDataPercent: setting.readDataPercent,
  subset: setting.subset,
})

export const toBackupRun = (run: BackupRun, dates: Dates) => ({
  id: run.id,
  taskId: run.taskId,
  startedBy: run.startedBy,
  startDate: dates.format(run.startedAt),
  endDate: dates.format(run.endedAt),
  result: run.result,
  errorReason: run.errorReason,
  artifactLocation: run.artifactLocation,
  progress: run.progress,
  report: run.report,
})
