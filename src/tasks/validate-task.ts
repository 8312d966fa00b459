import { AppError, empty, invalid, missing, notBuilt } from '../core/errors.ts'
import { fieldsOf, type RequestFields, storableText } from '../core/request-fields.ts'
import {
  OBJECT_TYPES,
  type ObjectType,
  REPLICA_TYPES,
  type ReplicaType,
  type TaskPlan,
  type TaskTarget,
} from './task.ts'
import { checkObjects, MAX_OBJECTS, type ObjectFacts, type Unbuilt } from './validate-object.ts'
import { checkSetting, checkSettingFits, DEFAULT_SETTING, type TimeRules } from './validate-setting.ts'

const MIN_NAME_LENGTH = 2
const MAX_NAME_LENGTH = 256
/** Ours: a page shows up to a thousand tasks, and whoever may read a repository may make one that edges pull. */
const MAX_DESCRIPTION_LENGTH = 10_000
const DEFAULT_RESERVE_DAYS = 30
const MAX_RESERVE_DAYS = 60
const MAX_TARGETS = MAX_OBJECTS

export interface KnownCluster extends TaskTarget {
  readonly type: string
  readonly detectType?: string
}

/** What the database knows about whatever a request mentions. */
export interface TaskFacts extends ObjectFacts, TimeRules {
  /** The name belongs to another task. */
  readonly nameIsTaken: boolean
  readonly projectExists: boolean
  /** Those that the request names, by id or by name. */
  readonly clusters: readonly KnownCluster[]
  /** All that come to us. */
  readonly edges?: readonly TaskTarget[]
  /** Decided elsewhere than by the request. */
  readonly targets?: readonly TaskTarget[] | undefined
}

/** What a request mentions, so that the facts can be fetched before it is judged. Whatever makes no sense is left out. */
export interface TaskMentions {
  readonly name: string
  readonly project: string
  readonly repositories: readonly string[]
  readonly clusters: readonly string[]
}

export function mentionedIn(body: unknown): TaskMentions {
  const texts = (values: readonly unknown[]) =>
    [
      ...new Set(
        values.filter(
          (value) => typeof value === 'string' && !value.includes('\u0000') && value.isWellFormed(),
        ) as string[],
      ),
    ].slice(0, MAX_OBJECTS)
  const text = (name: string) => texts([at(body, name)])[0] ?? ''
  const objects = [at(body, 'replicaTaskObjects') ?? []].flat()
  return {
    name: text('name'),
    project: text('localProjectId'),
    repositories: texts(objects.map((object) => at(object, 'localRepoName'))),
    clusters: texts([at(body, 'remoteClusterIds') ?? []].flat()),
  }
}

/**
 * A task as a request wants it: checks in the order of replication.md 1.2, defaults filled in. Whatever is valid but not built
 * yet is refused last, so that a wrong request hears what is wrong with it. Pure; connections to the targets come after it.
 * @param stored the task that is updated: what the request leaves out stays as it was.
 * @throws AppError PARAMETER_MISSING, PARAMETER_EMPTY, PARAMETER_INVALID, REQUEST_CONTENT_INVALID, RESOURCE_EXISTED,
 * PROJECT_NOT_FOUND, REPOSITORY_NOT_FOUND, CLUSTER_NOT_FOUND, PATH_INVALID, OPTION_NOT_BUILT.
 */
export function checkTask(body: unknown, facts: TaskFacts, stored?: Omit<TaskPlan, 'objects'>): TaskPlan {
  const fields = fieldsOf(body)
  const refusals: AppError[] = []
  const unbuilt: Unbuilt = (refusal) => refusals.push(refusal)

  const name = checkName(fields, facts)
  const project = fields.requiredText('localProjectId')
  if (!facts.projectExists) throw new AppError('PROJECT_NOT_FOUND', `Project [${project}] not found`, { project })
  const givenObjects = fields.raw('replicaTaskObjects')
  const objectType = fields.choice('replicaObjectType', OBJECT_TYPES) ?? inferredType(givenObjects)
  const objects = checkObjects(givenObjects, objectType, project, facts, unbuilt)
  const replicaType = stored?.replicaType ?? fields.choice('replicaType', REPLICA_TYPES) ?? 'SCHEDULED'
  if (!BUILT_TYPES.includes(replicaType)) unbuilt(unbuiltType(replicaType))
  const settingFields = fields.object('setting')
  const setting =
    settingFields === undefined
      ? (stored?.setting ?? DEFAULT_SETTING)
      : checkSetting(settingFields, facts, stored?.setting)
  const targets = facts.targets ?? checkTargets(fields, replicaType, facts)
  const enabled = fields.flag('enabled') ?? fields.flag('enable')
  const description = fields.text('description')
  if (description !== undefined && description.length > MAX_DESCRIPTION_LENGTH) {
    throw invalid('description', `it must have at most ${MAX_DESCRIPTION_LENGTH} characters`)
  }
  const record = fields.flag('record')
  const recordReserveDays = fields.integer('recordReserveDays') ?? stored?.recordReserveDays ?? DEFAULT_RESERVE_DAYS
  if (recordReserveDays < 1 || recordReserveDays > MAX_RESERVE_DAYS) {
    throw invalid('recordReserveDays', `it must be 1 to ${MAX_RESERVE_DAYS}`)
  }

  checkSettingFits(setting, objects)
  if (refusals[0] !== undefined) throw refusals[0]
  return {
    name,
    project,
    objectType,
    replicaType,
    objects,
    targets,
    setting,
    description: description ?? stored?.description ?? null,
    enabled: stored?.enabled ?? enabled ?? true,
    record: record ?? stored?.record ?? true,
    recordReserveDays,
  }
}

/** Create, update and copy name tasks alike; uniqueness is global, not per project. */
export function checkName(fields: RequestFields, { nameIsTaken }: Pick<TaskFacts, 'nameIsTaken'>): string {
  const name = fields.requiredText('name')
  if (nameIsTaken) throw new AppError('RESOURCE_EXISTED', `Resource [${name}] existed`, { name })
  if (name.length < MIN_NAME_LENGTH || name.length > MAX_NAME_LENGTH) {
    throw invalid('name', `it must have ${MIN_NAME_LENGTH} to ${MAX_NAME_LENGTH} characters`)
  }
  return name
}

/** Without `replicaObjectType` the constraints of a single object tell; with several they apply to each (replication.md 2.1). */
function inferredType(given: unknown): ObjectType {
  const [object, ...more] = [given ?? []].flat()
  if (more.length > 0) return 'REPOSITORY'
  const holds = (name: string) => [at(object, name) ?? []].flat().length > 0
  if (holds('pathConstraints')) return 'PATH'
  return holds('packageConstraints') ? 'PACKAGE' : 'REPOSITORY'
}

/** A field of whatever came; undefined when there is none. */
const at = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined

const BUILT_TYPES: readonly ReplicaType[] = ['SCHEDULED', 'REAL_TIME', 'RUN_ONCE', 'EDGE_PULL']

function unbuiltType(type: ReplicaType): AppError {
  return type === 'FEDERATION'
    ? notBuilt('replicaType FEDERATION', 'is reserved')
    : notBuilt(`replicaType ${type}`, 'is not built yet; SCHEDULED, REAL_TIME and RUN_ONCE are')
}

function checkTargets(
  fields: RequestFields,
  replicaType: ReplicaType,
  { clusters: known, edges = [] }: Pick<TaskFacts, 'clusters' | 'edges'>,
): TaskTarget[] {
  const given = fields.list('remoteClusterIds')
  if (replicaType !== 'EDGE_PULL') {
    if (given === undefined) throw missing('remoteClusterIds')
    if (given.length === 0) throw empty('remoteClusterIds')
  }
  if (given !== undefined && given.length > MAX_TARGETS) throw invalid('remoteClusterIds', `more than ${MAX_TARGETS}`)
  const targets = new Map<string, TaskTarget>()
  for (const item of given ?? []) {
    const reference = storableText('remoteClusterIds', item)
    // An id wins over a cluster that has this id for a name.
    const cluster = known.find(({ id }) => id === reference) ?? known.find(({ name }) => name === reference)
    if (cluster === undefined) {
      throw new AppError('CLUSTER_NOT_FOUND', `cluster node [${reference}] is not found`, { cluster: reference })
    }
    if (cluster.type === 'CENTER')
      throw invalid('remoteClusterIds', `[${cluster.name}] is a CENTER, which takes no tasks`)
    if (cluster.type === 'REMOTE')
      throw invalid('remoteClusterIds', `[${cluster.name}] is a registry: distribute to it, or change its distribution`)
    if (replicaType === 'EDGE_PULL' && cluster.detectType !== 'REPORT') {
      throw invalid('remoteClusterIds', `[${cluster.name}] is no EDGE that reports, so it pulls nothing`)
    }
    targets.set(cluster.id, { id: cluster.id, name: cluster.name })
  }
  if (replicaType !== 'EDGE_PULL' || targets.size > 0) return [...targets.values()]
  // Nobody named: all edges that there are.
  if (edges.length === 0) throw empty('remoteClusterIds')
  return edges.map(({ id, name }) => ({ id, name }))
}
