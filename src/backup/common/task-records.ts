import { invalid } from '../../core/errors.ts'
import { fieldsOf, type RequestFields } from '../../core/request-fields.ts'
import type { TaskObjectRow, TaskRow } from '../../metadata/replication/tasks.ts'
import type { CronFirings } from '../../tasks/schedule/cron-firing.ts'
import {
  type DynamicSet,
  OBJECT_TYPES,
  type ObjectType,
  REPLICA_TYPES,
  type ReplicaType,
  type TaskSetting,
} from '../../tasks/task.ts'
import { checkSetting, DEFAULT_SETTING } from '../../tasks/validate-setting.ts'
import { type WebhookSettings, webhookSecretPlace } from '../../tasks/webhooks/webhook-settings.ts'
import type { Authored } from '../records/documents.ts'
import {
  type Authorship,
  authored,
  authorshipIn,
  choiceIn,
  isoTimeOrNull,
  optionalText,
  type ParseTime,
  projectIn,
  shortText,
  textsIn,
} from './common-fields.ts'
import type { SecretCarrier } from './common-file.ts'
import { dynamicIn, originsIn, type TaskOrigins } from './task-origins.ts'

/** A line of `replica_task.json`, in the words of contract 000. */
export interface TaskDocument extends Authored {
  readonly name: string
  /** Null: of all projects. */
  readonly localProjectId: string | null
  readonly replicaObjectType: string
  readonly replicaType: string
  readonly replicaTaskObjects: readonly Readonly<Record<string, unknown>>[]
  /** Names, in their order. */
  readonly remoteClusters: readonly string[]
  /** With its webhook, whose secret is packed (`SecretCarrier`). */
  readonly setting: Readonly<Record<string, unknown>>
  /** Objects that are looked up at each run. */
  readonly dynamic: unknown
  readonly includePermission: boolean
  readonly v1: unknown
  readonly distribution: unknown
  readonly imports: unknown
  readonly description: string | null
  /** As it was; a task is always restored switched off. */
  readonly enabled: boolean
  readonly record: boolean
  readonly recordReserveDays: number
}

/** A record that was read. Its objects are judged by the repositories that are here. */
export interface TaskRecord extends TaskOrigins, Authorship {
  readonly name: string
  /** Empty: of all projects. */
  readonly project: string
  readonly objectType: ObjectType
  readonly replicaType: ReplicaType
  readonly objects: readonly RequestFields[]
  readonly clusters: readonly string[]
  readonly setting: TaskSetting
  /** The webhook is restored without its secret. */
  readonly isWithoutSecret: boolean
  readonly dynamic: DynamicSet | undefined
  readonly includePermission: boolean
  readonly description: string | null
  readonly record: boolean
  readonly recordReserveDays: number
}

/** As `tasks/validate-task.ts` takes them. */
const MIN_NAME_LENGTH = 2
const MAX_NAME_LENGTH = 256
const MAX_DESCRIPTION_LENGTH = 10_000
const MAX_RESERVE_DAYS = 60
const MAX_TARGETS = 1_000
const MAX_PACKED_LENGTH = 16_384

export function documentOfTask(
  row: TaskRow,
  { objects, clusters }: { readonly objects: readonly TaskObjectRow[]; readonly clusters: readonly string[] },
  carrier: SecretCarrier,
): TaskDocument {
  const parsed = (json: string | null): unknown => (json === null ? null : JSON.parse(json))
  const { webhook, executionPlan, ...setting } = JSON.parse(row.setting) as TaskSetting
  return {
    ...{ name: row.name, localProjectId: row.project === '' ? null : row.project },
    ...{ replicaObjectType: row.object_type, replicaType: row.replica_type },
    replicaTaskObjects: objects.map((object) => ({
      ...{ localRepoName: object.local_repo, remoteProjectId: object.remote_project },
      ...{ remoteRepoName: object.remote_repo, repoType: object.repo_type },
      packageConstraints: parsed(object.package_constraints),
      pathConstraints: parsed(object.path_constraints),
    })),
    remoteClusters: clusters,
    setting: {
      ...setting,
      executionPlan: { ...executionPlan, executeTime: isoTimeOrNull(executionPlan.executeTime) },
      webhook: webhook ? { url: webhook.url, secret: packed(webhook, carrier) } : null,
    },
    ...{ dynamic: parsed(row.dynamic), includePermission: row.include_permission === 1 },
    ...{ v1: parsed(row.v1), distribution: parsed(row.distribution), imports: parsed(row.imports) },
    ...{ description: row.description, enabled: row.enabled === 1, record: row.record === 1 },
    recordReserveDays: row.record_reserve_days,
    ...authored({
      ...{ createdBy: row.created_by, createdAt: row.created_at },
      ...{ modifiedBy: row.modified_by, modifiedAt: row.modified_at },
    }),
  }
}
const packed = (webhook: { readonly url: string; readonly secret: string | null }, carrier: SecretCarrier) =>
  webhook.secret === null ? null : carrier.pack(webhook.secret, webhookSecretPlace(webhook.url))

export interface TaskReading {
  readonly parseTime: ParseTime
  readonly now: () => number
  readonly firings: (expression: string) => CronFirings | undefined
  readonly webhooks: Pick<WebhookSettings, 'judge'>
  readonly carrier: SecretCarrier
}

/** @throws AppError naming the field. */
export function taskIn(fields: RequestFields, reading: TaskReading): TaskRecord {
  const { parseTime } = reading
  const name = shortText(fields, 'name', MAX_NAME_LENGTH)
  if (name.length < MIN_NAME_LENGTH) throw invalid('name', `at least ${MIN_NAME_LENGTH} characters`)
  const dynamic = dynamicIn(fields.object('dynamic'))
  const project = dynamic?.of === 'all' && fields.raw('localProjectId') === undefined ? '' : localProject(fields)
  if (dynamic?.of === 'project' && dynamic.project !== project) throw invalid('dynamic.project', 'it is of another one')
  const recordReserveDays = fields.integer('recordReserveDays') ?? 0
  if (recordReserveDays < 1 || recordReserveDays > MAX_RESERVE_DAYS)
    throw invalid('recordReserveDays', `it must be 1 to ${MAX_RESERVE_DAYS}`)
  const clusters = textsIn(fields, 'remoteClusters')
  if (clusters.length > MAX_TARGETS) throw invalid('remoteClusters', `more than ${MAX_TARGETS}`)
  return {
    ...{ name, project, dynamic, clusters, recordReserveDays },
    objectType: choiceIn(fields, 'replicaObjectType', OBJECT_TYPES),
    replicaType: choiceIn(fields, 'replicaType', REPLICA_TYPES),
    objects: (fields.list('replicaTaskObjects') ?? []).map((object) => fieldsOf(object, 'replicaTaskObjects')),
    ...settingIn(fields, reading),
    ...originsIn(fields, parseTime),
    includePermission: fields.flag('includePermission') ?? false,
    description: optionalText(fields, 'description', MAX_DESCRIPTION_LENGTH),
    record: fields.flag('record') ?? true,
    ...authorshipIn(fields, parseTime),
  }
}
const localProject = (fields: RequestFields): string => projectIn(fields, 'localProjectId')

function settingIn(fields: RequestFields, { parseTime, now, firings, webhooks, carrier }: TaskReading) {
  const given = fields.object('setting') ?? fieldsOf({})
  // A time that has passed since, or a day that never comes again, is no fault of a task that was made before it.
  const plan = given.object('executionPlan')
  const executeTime = plan?.raw('executeTime')
  const stored: TaskSetting = {
    ...DEFAULT_SETTING,
    executionPlan: {
      executeImmediately: true,
      executeTime: executeTime === undefined ? null : parseTime('executeTime', executeTime),
      cronExpression: plan?.text('cronExpression') ?? null,
    },
  }
  const setting = checkSetting(given, { now: now(), parseTime, firings }, stored)
  const hook = given.object('webhook')
  if (hook === undefined) return { setting, isWithoutSecret: false }
  const url = hook.requiredText('url')
  const webhook = webhooks.judge(fieldsOf({ url }), null)!
  const text = optionalText(hook, 'secret', MAX_PACKED_LENGTH)
  const secret = text === null ? null : (carrier.unpack(text, webhookSecretPlace(url)) ?? null)
  return { setting: { ...setting, webhook: { ...webhook, secret } }, isWithoutSecret: text !== null && secret === null }
}
