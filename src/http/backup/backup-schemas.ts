import { type TSchema, Type } from 'typebox'
import { ACTIVITY_TYPES } from '../../backup/tasks/backup-task.ts'

// For the OpenAPI document. Bodies are checked by `backup/tasks/validate-backup-task.ts`, which takes enums of any case, too.

const nullable = (schema: TSchema) => Type.Union([schema, Type.Null()])
const optional = (properties: Record<string, TSchema>) => Type.Partial(Type.Object(properties))
const Text = Type.String()
const Texts = nullable(Type.Array(Text))
const Count = Type.Integer()
const WireDate = Type.String({ description: 'Without zone, e.g. 2021-05-12T12:19:08.813' })
const Flag = (description: string, standard = false) => Type.Boolean({ default: standard, description })

const selector = {
  projectId: nullable(Type.String({ description: 'Just this project; wins over the next two' })),
  projectRegex: nullable(Type.String({ description: 'Wins over excludeProjects' })),
  repoList: nullable(Type.Array(Text, { description: 'Just these repositories; wins over the next two' })),
  repoRegex: nullable(Type.String({ description: 'Wins over excludeRepos' })),
  excludeProjects: Texts,
  excludeRepos: Texts,
}
const content = {
  commonData: Flag('Users, roles, tokens, permissions and platform accounts'),
  compression: Flag('One zip in place of a folder; in a repository, what gains by it is compressed'),
  increment: nullable(Type.Boolean()),
  incrementDate: nullable(
    Type.String({ description: 'What changed from then on; without it, within the day before the run' }),
  ),
}
const keep = nullable(Type.Integer({ minimum: 1 }))
const retention = {
  keepLast: keep,
  keepDaily: keep,
  keepWeekly: keep,
  keepMonthly: keep,
  keepYearly: keep,
  keepWithin: nullable(Type.String({ description: 'A number with h, d, w, m or y, e.g. 30d' })),
}
const plan = {
  executeImmediately: Flag('Without effect: the run starts when the task is executed', true),
  executeTime: nullable(Text),
  cronExpression: nullable(Type.String({ description: 'Quartz or Unix, in the zone of the server' })),
}
const setting = {
  conflictStrategy: Type.Enum(['SKIP', 'OVERWRITE'], { default: 'OVERWRITE' }),
  errorStrategy: Type.Enum(['CONTINUE', 'FAST_FAIL'], { default: 'CONTINUE' }),
  executionStrategy: Type.Enum(['IMMEDIATELY', 'SPECIFIED_TIME', 'CRON_EXPRESSION'], { default: 'IMMEDIATELY' }),
  spaceCapCheck: Flag('Do not fill the filesystem beyond backup.usageThreshold', true),
  layout: Type.Enum(['FOLDER', 'REPOSITORY'], { default: 'FOLDER' }),
  rateLimit: nullable(Type.Integer({ description: 'Bytes of contents per second; 0 or null: unlimited' })),
  dryRun: Flag('Of a restore: read and hash everything, write nothing; of a prune: remove nothing. Refused elsewhere'),
  legacy: Flag('Take what has no manifest, or nothing sealed though there is a passphrase'),
  restoreCredentials: Flag('Of a restore: replace password, admin and locked of users that exist'),
  targetProjectId: nullable(Type.String({ description: 'Of a restore of one project: into this one' })),
  readDataPercent: Type.Number({ minimum: 0, maximum: 100, description: 'Share of the contents that is read' }),
  subset: nullable(Type.String({ description: 'n/t: the n-th of t equal parts of the contents' })),
}
const TypeName = Type.Enum([...ACTIVITY_TYPES], { default: 'DATA_BACKUP' })

export const BackupTaskBody = Type.Object(
  {
    name: Type.String({ description: 'Of the folder or file that is made' }),
    storeLocation: Type.String({
      description: 'A folder inside backup.allowedRoots; what is restored: a zip or a run',
    }),
    type: Type.Optional(TypeName),
    content: Type.Optional(
      Type.Partial(Type.Object({ ...content, projects: nullable(Type.Array(optional(selector))) }), {
        description: 'DATA_BACKUP and DATA_RESTORE need it; the others take backups as they are',
      }),
    ),
    backupSetting: Type.Optional(
      optional({ ...setting, executionPlan: optional(plan), retention: nullable(optional(retention)) }),
    ),
  },
  {
    examples: [
      {
        name: 'test',
        storeLocation: 'nightly',
        content: { commonData: true, compression: true, projects: [{ projectRegex: '*' }] },
      },
    ],
  },
)

export const VerifyBody = Type.Object({
  location: Type.String({ description: 'A zip, a run folder, a snapshot, or a folder of backups' }),
  name: Type.Optional(Type.String({ default: 'verify' })),
  readDataPercent: Type.Optional(setting.readDataPercent),
  subset: Type.Optional(setting.subset),
  legacy: Type.Optional(setting.legacy),
})

export const BackupKeyBody = Type.Object({
  location: Type.String({ description: 'The folder that holds the repository, or the repository' }),
  passphrase: Type.String({ minLength: 12, maxLength: 1024 }),
  label: Type.Optional(nullable(Type.String({ maxLength: 64, description: 'For people; stored as it is' }))),
})
export const BackupKeyData = Type.Unsafe<unknown>(
  Type.Object({
    id: Text,
    createdDate: nullable(Type.String({ description: 'As all dates; null when the key is damaged' })),
    label: nullable(Text),
  }),
)

const ProgressData = Type.Object({
  phase: Text,
  projects: Count,
  repos: Count,
  nodes: Count,
  versions: Count,
  bytes: Count,
  success: Count,
  failed: Count,
  skipped: Count,
  totalBytes: nullable(Count),
  totalNodes: nullable(Count),
  etaSeconds: nullable(Count),
})
const outcome = {
  result: nullable(Type.Enum(['SUCCESS', 'PARTIAL', 'FAILED', 'CANCELLED'])),
  errorReason: nullable(Text),
  artifactLocation: nullable(Type.String({ description: 'What was produced' })),
}
const report = nullable(Type.Unsafe<unknown>({ type: 'object', description: 'What the run has found out' }))

const task = {
  id: Text,
  name: Text,
  createdBy: Text,
  createdDate: WireDate,
  lastModifiedBy: Text,
  lastModifiedDate: WireDate,
  startDate: nullable(WireDate),
  endDate: nullable(WireDate),
  state: Type.Enum(['PENDING', 'RUNNING', 'FINISHED']),
  content: Type.Object({ ...content, projects: nullable(Type.Array(Type.Object(selector))) }),
  storeLocation: Text,
  backupSetting: Type.Object({
    ...setting,
    executionPlan: Type.Object(plan),
    retention: nullable(Type.Object(retention)),
  }),
  type: TypeName,
  ...outcome,
  progress: nullable(ProgressData),
  nextExecutionDate: nullable(WireDate),
}
export const BackupTaskData = Type.Unsafe<unknown>(Type.Object(task))
export const BackupTaskDetail = Type.Unsafe<unknown>(Type.Object({ ...task, runId: nullable(Text), report }))

export const BackupRunData = Type.Unsafe<unknown>(
  Type.Object({
    id: Text,
    taskId: Text,
    startedBy: Text,
    startDate: WireDate,
    endDate: nullable(WireDate),
    ...outcome,
    progress: ProgressData,
    report,
  }),
)
