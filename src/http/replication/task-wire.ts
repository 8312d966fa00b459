import type { PackageConstraint, PathConstraint, ReplicationTask, TaskObject, TaskSetting } from '../../tasks/task.ts'
import { MASK, type Webhook } from '../../tasks/webhooks/webhook-settings.ts'
import type { Dates } from '../dates.ts'

/** Only a RUN_ONCE task knows beforehand how much it will send. */
const UNKNOWN_BYTES = -1

/** `ReplicaTaskInfo` (contract 000, replication.md 1.1), keys in the order of the contract's sample. */
export const toTaskInfo = (task: ReplicationTask, dates: Dates) => ({
  id: task.id,
  key: task.key,
  name: task.name,
  projectId: task.project,
  replicaObjectType: task.objectType,
  replicaType: task.replicaType,
  setting: toSetting(task.setting, dates),
  remoteClusters: task.targets.map(({ id, name }) => ({ id, name })),
  description: task.description,
  status: task.status,
  replicatedBytes: task.replicatedBytes,
  totalBytes: task.totalBytes ?? UNKNOWN_BYTES,
  lastExecutionStatus: task.lastExecutionStatus,
  lastExecutionTime: dates.format(task.lastExecutionAt),
  nextExecutionTime: dates.format(task.nextExecutionAt),
  executionTimes: task.executionTimes,
  enabled: task.enabled,
  record: task.record,
  recordReserveDays: task.recordReserveDays,
  createdBy: task.createdBy,
  createdDate: dates.format(task.createdAt),
  lastModifiedBy: task.modifiedBy,
  lastModifiedDate: dates.format(task.modifiedAt),
})

/** Every option with the value it has, defaults too. */
export const toSetting = (setting: TaskSetting, dates: Dates) => ({
  rateLimit: setting.rateLimit,
  includeMetadata: setting.includeMetadata,
  conflictStrategy: setting.conflictStrategy,
  errorStrategy: setting.errorStrategy,
  executionStrategy: setting.executionStrategy,
  executionPlan: {
    executeImmediately: setting.executionPlan.executeImmediately,
    executeTime: dates.format(setting.executionPlan.executeTime),
    cronExpression: setting.executionPlan.cronExpression,
  },
  storageConsistencyCheck: setting.storageConsistencyCheck,
  automaticCreateRemoteRepo: setting.automaticCreateRemoteRepo,
  propagateDelete: setting.propagateDelete,
  deleteGuard: setting.deleteGuard,
  backfill: setting.backfill,
  platforms: setting.platforms,
  webhook: toWebhook(setting.webhook ?? null),
})

/** Its secret is never shown; sent back so, it stays. */
const toWebhook = (webhook: Webhook | null) =>
  webhook && { url: webhook.url, secret: webhook.secret === null ? null : MASK }

/** `ReplicaObjectInfo`. */
export const toTaskObject = (object: TaskObject) => ({
  localRepoName: object.localRepo,
  remoteProjectId: object.remoteProject,
  remoteRepoName: object.remoteRepo,
  repoType: object.repoType,
  packageConstraints: object.packageConstraints?.map(toPackageConstraint) ?? null,
  pathConstraints: object.pathConstraints?.map(toPathConstraint) ?? null,
  // Of federations.
  sourceFilter: null,
})

export const toPackageConstraint = (constraint: PackageConstraint) => ({
  packageKey: constraint.packageKey,
  versions: constraint.versions,
  // Of registries.
  targetVersions: constraint.targetVersions ?? null,
  packageRegex: constraint.packageRegex ?? null,
  versionRegex: constraint.versionRegex ?? null,
  deletedDate: constraint.deletedDate ?? null,
})
export const toPathConstraint = (constraint: PathConstraint) => ({
  path: constraint.path,
  pathRegex: constraint.pathRegex ?? null,
  deletedDate: constraint.deletedDate ?? null,
})

export const toTaskDetail = (task: ReplicationTask, objects: readonly TaskObject[], dates: Dates) => ({
  task: toTaskInfo(task, dates),
  objects: objects.map(toTaskObject),
})
