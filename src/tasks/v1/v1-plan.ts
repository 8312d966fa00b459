import { AppError } from '../../core/errors.ts'
import type { Reader } from '../../metadata/database.ts'
import { findProjectFacts } from '../../metadata/replication/task-facts.ts'
import { objectsOfSet } from '../dynamic-set.ts'
import type { DynamicSet, TaskObject, TaskPlan, TaskTarget } from '../task.ts'
import { checkObjects } from '../validate-object.ts'
import type { V1Request } from './v1-request.ts'

/** The older API knows neither. */
const RESERVE_DAYS = 30
/** Of a task that is about all projects. */
const NO_PROJECT = ''

/**
 * The task of the current API that a request of the older one stands for, judged by what `reader` sees.
 * @throws AppError PROJECT_NOT_FOUND, REPOSITORY_NOT_FOUND, PARAMETER_INVALID, OPTION_NOT_BUILT.
 */
export async function v1Plan(
  reader: Reader,
  request: V1Request,
  given: { readonly name: string; readonly targets: readonly TaskTarget[]; readonly builtTypes: readonly string[] },
): Promise<TaskPlan> {
  const { name, targets, builtTypes } = given
  const project = request.localProject ?? NO_PROJECT
  const dynamic = setOf(request)
  const named = dynamic === undefined ? [request.localRepo!] : []
  const facts = project === NO_PROJECT ? undefined : await findProjectFacts(reader, project, named)
  if (facts?.exists === false) throw new AppError('PROJECT_NOT_FOUND', `Project [${project}] not found`, { project })
  const objects =
    dynamic === undefined
      ? objectOf(request, project, { repositories: facts?.repositories ?? [], builtTypes })
      : await objectsOfSet(reader, dynamic)
  return {
    ...{ name, project, objects, dynamic, targets },
    objectType: 'REPOSITORY',
    replicaType: request.type === 'INCREMENTAL' ? 'REAL_TIME' : 'SCHEDULED',
    setting: request.setting,
    includePermission: request.includePermission,
    ...{ description: null, enabled: true, record: true, recordReserveDays: RESERVE_DAYS },
  }
}

function setOf({ includeAllProject, localProject, localRepo, remoteProject }: V1Request): DynamicSet | undefined {
  if (includeAllProject) return { of: 'all' }
  if (localRepo !== null) return undefined
  return { of: 'project', project: localProject!, remoteProject: remoteProject ?? localProject! }
}

function objectOf(
  { localRepo, remoteProject, remoteRepo }: V1Request,
  project: string,
  facts: Parameters<typeof checkObjects>[3],
): TaskObject[] {
  const object = { localRepoName: localRepo, remoteProjectId: remoteProject, remoteRepoName: remoteRepo }
  return checkObjects([object], 'REPOSITORY', project, facts, (refusal) => {
    throw refusal
  })
}
