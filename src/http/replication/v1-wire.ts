import { type TSchema, Type } from 'typebox'
import { CONFLICT_STRATEGIES } from '../../tasks/task.ts'
import { typeOf, V1_STATUSES, V1_TYPES, type V1Log, type V1Task } from '../../tasks/v1/v1-task.ts'
import type { Dates } from '../dates.ts'

const MASK = '******'

/** Contract 003 and replication.md 1.7; names are null where a task is about all. */
export const toV1Task = ({ task, origin, status }: V1Task, dates: Dates) => ({
  id: task.id,
  key: task.key,
  includeAllProject: origin.includeAllProject,
  localProjectId: origin.localProject,
  localRepoName: origin.localRepo,
  remoteProjectId: origin.remoteProject,
  remoteRepoName: origin.remoteRepo,
  type: typeOf(task),
  setting: {
    includeMetadata: task.setting.includeMetadata,
    includePermission: task.includePermission ?? false,
    conflictStrategy: task.setting.conflictStrategy,
    remoteClusterInfo: {
      url: origin.remote.url,
      certificate: origin.remote.certificate,
      username: origin.remote.username,
      password: origin.remote.hasPassword ? MASK : null,
    },
    executionPlan: {
      executeImmediately: task.setting.executionPlan.executeImmediately,
      executeTime: dates.format(task.setting.executionPlan.executeTime),
      cronExpression: task.setting.executionPlan.cronExpression,
    },
  },
  status,
  createdBy: task.createdBy,
  createdDate: dates.format(task.createdAt),
  lastModifiedBy: task.modifiedBy,
  lastModifiedDate: dates.format(task.modifiedAt),
})

export const toV1Log = (log: V1Log, dates: Dates) => ({
  taskKey: log.taskKey,
  status: log.status,
  replicationProgress: log.progress,
  startTime: dates.format(log.startedAt),
  endTime: dates.format(log.endedAt),
  errorReason: log.errorReason,
})

const Text = Type.String()
const Count = Type.Integer()
const Flag = Type.Boolean()
const nullable = (schema: TSchema) => Type.Union([schema, Type.Null()])

export const REMOTE_FIELDS = {
  url: Type.Optional(Text),
  username: Type.Optional(Text),
  password: Type.Optional(Text),
  certificate: Type.Optional(Text),
}
const ExecutionPlan = Type.Object({
  executeImmediately: Type.Optional(Type.Boolean({ default: true })),
  executeTime: Type.Optional(nullable(Text)),
  cronExpression: Type.Optional(nullable(Text)),
})
export const V1Create = Type.Object(
  {
    type: Type.Optional(Type.Enum(V1_TYPES, { default: 'FULL' })),
    includeAllProject: Type.Optional(Type.Boolean({ default: false })),
    localProjectId: Type.Optional(Type.String({ description: 'Required unless includeAllProject' })),
    localRepoName: Type.Optional(Type.String({ description: 'Left out: every repository of the project' })),
    remoteProjectId: Type.Optional(Text),
    remoteRepoName: Type.Optional(Text),
    validateConnectivity: Type.Optional(Type.Boolean({ default: true })),
    setting: Type.Object({
      includeMetadata: Type.Optional(Type.Boolean({ default: true })),
      includePermission: Type.Optional(Type.Boolean({ default: false })),
      conflictStrategy: Type.Optional(Type.Enum(CONFLICT_STRATEGIES, { default: 'SKIP' })),
      remoteClusterInfo: Type.Object({ ...REMOTE_FIELDS, url: Text }),
      executionPlan: Type.Optional(ExecutionPlan),
    }),
  },
  {
    examples: [
      {
        type: 'INCREMENTAL',
        includeAllProject: false,
        localProjectId: 'ops',
        localRepoName: 'test',
        remoteProjectId: 'ops',
        remoteRepoName: 'test',
        setting: {
          includeMetadata: true,
          includePermission: true,
          conflictStrategy: 'SKIP',
          remoteClusterInfo: { url: 'http://bkrepo.com/replication', username: 'admin', password: 'password' },
          executionPlan: { executeImmediately: true },
        },
      },
    ],
  },
)
export const V1TaskInfo = Type.Object({
  id: Text,
  key: Text,
  includeAllProject: Flag,
  localProjectId: nullable(Text),
  localRepoName: nullable(Text),
  remoteProjectId: nullable(Text),
  remoteRepoName: nullable(Text),
  type: Type.Enum(V1_TYPES),
  setting: Type.Unsafe<unknown>(Type.Object({})),
  status: Type.Enum(V1_STATUSES),
  createdBy: Text,
  createdDate: Text,
  lastModifiedBy: Text,
  lastModifiedDate: Text,
})
const PROGRESS = [
  ...['totalProject', 'totalRepo', 'totalNode', 'replicatedProject', 'successProject', 'failedProject'],
  ...['replicatedRepo', 'successRepo', 'failedRepo', 'replicatedNode', 'successNode', 'conflictedNode', 'failedNode'],
]
export const V1LogInfo = Type.Object({
  taskKey: Text,
  status: Type.Enum(V1_STATUSES),
  replicationProgress: Type.Object(Object.fromEntries(PROGRESS.map((name) => [name, Count]))),
  startTime: Text,
  endTime: nullable(Text),
  errorReason: nullable(Text),
})
