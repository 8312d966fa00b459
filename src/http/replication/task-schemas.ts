import { type TSchema, Type } from 'typebox'
import { REPOSITORY_TYPES } from '../../core/repository-type.ts'
import {
  CONFLICT_STRATEGIES,
  ERROR_STRATEGIES,
  EXECUTION_STRATEGIES,
  OBJECT_TYPES,
  REPLICA_TYPES,
} from '../../tasks/task.ts'

// For the OpenAPI document. Bodies are checked by `tasks/validate-task.ts`, which accepts more than these say: enums of any case,
// a single object for an array of one, text for a constraint, names for ids.

const Text = Type.String()
const Flag = Type.Boolean()
const Whole = Type.Integer()
export const nullable = (schema: TSchema) => Type.Union([schema, Type.Null()])
const optional = (properties: Record<string, TSchema>) => Type.Partial(Type.Object(properties))

const Pattern = (of: string) =>
  Type.Optional(nullable(Type.String({ description: `Expression of RE2 that matches ${of} as a whole` })))
const deletedDate = Type.Optional(nullable(Type.Union([Type.String(), Type.Integer()])))
const PackageConstraint = Type.Object({
  packageKey: Type.Optional(nullable(Type.String({ examples: ['gav://com.alibaba:fastjson'] }))),
  versions: Type.Optional(nullable(Type.Array(Text))),
  targetVersions: Type.Optional(nullable(Type.Array(Text, { description: 'For registries' }))),
  packageRegex: Pattern('a package key or name'),
  versionRegex: Pattern('a version'),
  deletedDate,
})
const PathConstraint = Type.Object({
  path: Type.Optional(nullable(Type.String({ examples: ['/releases/2026', '/logs/*.log'] }))),
  pathRegex: Pattern('a path'),
  deletedDate,
})
export const TaskConstraints = {
  packageConstraints: Type.Optional(nullable(Type.Array(PackageConstraint))),
  pathConstraints: Type.Optional(nullable(Type.Array(PathConstraint))),
}
const TaskObject = Type.Object({
  localRepoName: Text,
  remoteProjectId: Type.Optional(Type.String({ description: 'Default: localProjectId' })),
  remoteRepoName: Type.Optional(Type.String({ description: 'Default: localRepoName' })),
  repoType: Type.Optional(Type.Enum(REPOSITORY_TYPES, { description: 'Must be the type of the local repository' })),
  ...TaskConstraints,
  sourceFilter: Type.Optional(Type.Null({ description: 'For federations' })),
})

const settingFields = {
  rateLimit: Type.Integer({ default: 0, description: 'Bytes per second; 0: unlimited' }),
  includeMetadata: Type.Boolean({ default: true }),
  conflictStrategy: Type.Enum(CONFLICT_STRATEGIES, { default: 'SKIP' }),
  errorStrategy: Type.Enum(ERROR_STRATEGIES, { default: 'CONTINUE' }),
  executionStrategy: Type.Enum(EXECUTION_STRATEGIES, { default: 'IMMEDIATELY' }),
  executionPlan: optional({
    executeImmediately: Type.Boolean({ default: true }),
    executeTime: nullable(Text),
    cronExpression: nullable(Text),
  }),
  storageConsistencyCheck: Type.Boolean({ default: false }),
  automaticCreateRemoteRepo: Type.Boolean({ default: true, description: 'Make missing project and repository there' }),
  propagateDelete: Type.Boolean({ default: false }),
  deleteGuard: optional({ maxCount: Type.Integer({ default: 100 }), maxShare: Type.Number({ default: 0.1 }) }),
  backfill: Type.Boolean({ default: true }),
  platforms: nullable(Type.Array(Text)),
  webhook: nullable(
    Type.Object({
      url: Type.String({ description: 'Told of the end of each run' }),
      secret: Type.Optional(
        nullable(Type.String({ description: 'Signs it; never shown, ****** keeps what is stored' })),
      ),
    }),
  ),
}

export const TaskSettingBody = optional(settingFields)

const sampleObject = {
  localRepoName: 'generic-local',
  remoteProjectId: 'bkrepo',
  remoteRepoName: 'generic-local',
  repoType: 'GENERIC',
  packageConstraints: [],
  pathConstraints: [],
}
const sampleSetting = {
  rateLimit: 0,
  includeMetadata: true,
  conflictStrategy: 'SKIP',
  errorStrategy: 'CONTINUE',
  executionStrategy: 'IMMEDIATELY',
  executionPlan: { executeImmediately: true },
}
const sampleTask = {
  name: 'nightly',
  localProjectId: 'bkrepo',
  replicaObjectType: 'REPOSITORY',
  replicaTaskObjects: [sampleObject],
  replicaType: 'SCHEDULED',
  setting: sampleSetting,
  remoteClusterIds: ['651095dfe0524ce9b3ab53d13532361c', 'beijing'],
  enabled: true,
  description: 'test replica task',
}

const planFields = {
  name: Type.String({ description: '2 to 256 characters, unique over all projects' }),
  localProjectId: Text,
  replicaObjectType: Type.Optional(Type.Enum(OBJECT_TYPES)),
  replicaTaskObjects: Type.Array(TaskObject),
  setting: Type.Optional(TaskSettingBody),
  remoteClusterIds: Type.Array(Type.String({ description: 'Id or name of a cluster' })),
  description: Type.Optional(Text),
  record: Type.Optional(Type.Boolean({ default: true, description: 'Keep details of artifacts that did not fail' })),
  recordReserveDays: Type.Optional(Type.Integer({ default: 30, description: '1 to 60' })),
}
export const TaskCreate = Type.Object(
  {
    ...planFields,
    replicaType: Type.Optional(Type.Enum(REPLICA_TYPES, { default: 'SCHEDULED' })),
    enabled: Type.Optional(Type.Boolean({ default: true })),
  },
  { examples: [sampleTask] },
)
const { replicaType: _type, enabled: _enabled, ...sampleUpdate } = sampleTask
export const TaskUpdate = Type.Object(
  { key: Text, ...planFields },
  { examples: [{ key: '784e49c5ba974a1e8ac503a840f65eb5', ...sampleUpdate }] },
)
export const TaskCopy = Type.Object(
  { key: Text, name: Text, description: Type.Optional(Text) },
  { examples: [{ name: 'task_copy', key: 'e8d095dfe0524ce9b3ab53d1353239h8', description: 'copy replica task' }] },
)

export const TaskInfo = Type.Object(
  {
    id: Text,
    key: Text,
    name: Text,
    projectId: Text,
    replicaObjectType: Type.Enum(OBJECT_TYPES),
    replicaType: Type.Enum(REPLICA_TYPES),
    setting: Type.Object(settingFields),
    remoteClusters: Type.Array(Type.Object({ id: Text, name: Text })),
    description: nullable(Text),
    status: Type.Enum(['WAITING', 'REPLICATING', 'COMPLETED']),
    replicatedBytes: Type.Integer({ description: 'Sent by the newest run' }),
    totalBytes: Type.Integer({ description: '-1: not known' }),
    lastExecutionStatus: nullable(Type.Enum(['RUNNING', 'SUCCESS', 'FAILED'])),
    lastExecutionTime: nullable(Text),
    nextExecutionTime: nullable(Text),
    executionTimes: Whole,
    enabled: Flag,
    record: Flag,
    recordReserveDays: Whole,
    createdBy: Text,
    createdDate: Text,
    lastModifiedBy: Text,
    lastModifiedDate: Text,
  },
  {
    examples: [
      {
        id: '609b573353ccce752bf9b85f',
        key: '784e49c5ba974a1e8ac503a840f65eb5',
        name: 'nightly',
        projectId: 'bkrepo',
        replicaObjectType: 'REPOSITORY',
        replicaType: 'SCHEDULED',
        setting: sampleSetting,
        remoteClusters: [{ id: '651095dfe0524ce9b3ab53d13532361c', name: 'shanghai' }],
        description: 'for test',
        status: 'COMPLETED',
        replicatedBytes: 1024,
        totalBytes: -1,
        lastExecutionStatus: 'SUCCESS',
        lastExecutionTime: '2020-03-16T12:00:00.000',
        nextExecutionTime: null,
        executionTimes: 5,
        enabled: true,
        record: true,
        recordReserveDays: 30,
        createdBy: 'system',
        createdDate: '2020-03-16T12:13:03.371',
        lastModifiedBy: 'system',
        lastModifiedDate: '2020-03-16T12:13:03.371',
      },
    ],
  },
)
export const TaskDetail = Type.Object({
  task: TaskInfo,
  objects: Type.Array(TaskObject, { examples: [[sampleObject]] }),
})
