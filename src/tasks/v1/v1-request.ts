import { invalid, missing } from '../../core/errors.ts'
import { isProjectName, isRepositoryName } from '../../core/names.ts'
import { fieldsOf, type RequestFields } from '../../core/request-fields.ts'
import type { TaskSetting } from '../task.ts'
import { checkSetting, type TimeRules } from '../validate-setting.ts'
import { V1_TYPES, type V1Type } from './v1-task.ts'

/** How to reach the other cluster, as a request of the older API has it. */
export interface V1Remote {
  readonly url: string
  readonly username: string | undefined
  readonly password: string | undefined
  readonly certificate: string | undefined
}

/** A checked `POST /replication/task/create` (replication.md 1.7). Names are as given; null: all, or those of the other side. */
export interface V1Request {
  readonly type: V1Type
  readonly includeAllProject: boolean
  readonly localProject: string | null
  readonly localRepo: string | null
  readonly remoteProject: string | null
  readonly remoteRepo: string | null
  readonly validateConnectivity: boolean
  readonly includePermission: boolean
  readonly remote: V1Remote
  readonly setting: TaskSetting
}

/** Pure. @throws AppError PARAMETER_MISSING, PARAMETER_EMPTY, PARAMETER_INVALID, REQUEST_CONTENT_INVALID. */
export function checkV1Request(body: unknown, time: TimeRules): V1Request {
  const fields = fieldsOf(body)
  const type = fields.choice('type', V1_TYPES) ?? 'FULL'
  const includeAllProject = fields.flag('includeAllProject') ?? false
  const names = includeAllProject ? NO_NAMES : checkNames(fields)
  const setting = fields.object('setting')
  if (setting === undefined) throw missing('setting')
  const remote = setting.object('remoteClusterInfo')
  if (remote === undefined) throw missing('remoteClusterInfo')
  return {
    type,
    includeAllProject,
    ...names,
    remote: checkV1Remote(remote),
    validateConnectivity: fields.flag('validateConnectivity') ?? true,
    includePermission: setting.flag('includePermission') ?? false,
    setting: checkOptions(setting, time),
  }
}

/** Empty texts count as absent. */
export function checkV1Remote(fields: RequestFields): V1Remote {
  return {
    url: fields.requiredText('url'),
    username: filled(fields, 'username'),
    password: filled(fields, 'password'),
    certificate: filled(fields, 'certificate'),
  }
}

const NO_NAMES = { localProject: null, localRepo: null, remoteProject: null, remoteRepo: null }

function checkNames(fields: RequestFields): Pick<V1Request, keyof typeof NO_NAMES> {
  const localProject = filled(fields, 'localProjectId')
  if (localProject === undefined) throw missing('localProjectId')
  const localRepo = filled(fields, 'localRepoName') ?? null
  const remoteProject = filled(fields, 'remoteProjectId') ?? null
  const remoteRepo = filled(fields, 'remoteRepoName') ?? null
  if (remoteProject !== null && !isProjectName(remoteProject)) throw notAName('remoteProjectId', remoteProject)
  if (remoteRepo !== null && !isRepositoryName(remoteRepo)) throw notAName('remoteRepoName', remoteRepo)
  if (localRepo === null && remoteRepo !== null) {
    throw invalid('remoteRepoName', 'without localRepoName each repository goes to one of its own name')
  }
  return { localProject, localRepo, remoteProject, remoteRepo }
}

/** The strategy follows the plan, in the older API's order: at once, at a time, by cron. */
function checkOptions(setting: RequestFields, time: TimeRules): TaskSetting {
  const plan = setting.object('executionPlan') ?? fieldsOf({})
  const executeImmediately = plan.flag('executeImmediately') ?? true
  const cronExpression = filled(plan, 'cronExpression')
  const later = plan.raw('executeTime') === undefined ? 'CRON_EXPRESSION' : 'SPECIFIED_TIME'
  const options = {
    includeMetadata: setting.raw('includeMetadata'),
    conflictStrategy: setting.raw('conflictStrategy'),
    executionStrategy: executeImmediately ? 'IMMEDIATELY' : later,
    executionPlan: { executeImmediately, executeTime: plan.raw('executeTime'), cronExpression },
  }
  return checkSetting(fieldsOf(options), time)
}

function filled(fields: RequestFields, name: string): string | undefined {
  const text = fields.text(name)
  return text === undefined || text.trim() === '' ? undefined : text
}

const notAName = (field: string, name: string) =>
  invalid(field, `[${name.slice(0, 80)}] is not a name that a cluster accepts`)
