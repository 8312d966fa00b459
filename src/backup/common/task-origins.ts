import { isUserId } from '../../auth/user-rules.ts'
import { invalid } from '../../core/errors.ts'
import { isProjectName } from '../../core/names.ts'
import type { RequestFields } from '../../core/request-fields.ts'
import { type DistributionOrigin, distributionTaskName } from '../../tasks/distributions/distribution.ts'
import { importTaskName } from '../../tasks/imports/import-request.ts'
import type { DynamicSet, ImportOrigin } from '../../tasks/task.ts'
import type { V1Origin } from '../../tasks/v1/v1-task.ts'
import { choiceIn, optionalText, type ParseTime, shortText } from './common-fields.ts'

/** What the API that a task was made with keeps with it; at most one is there, and none of a task of the current API. */
export interface TaskOrigins {
  readonly v1: V1Origin | null
  readonly distribution: DistributionOrigin | null
  readonly imports: ImportOrigin | null
}

const MAX_CERTIFICATE_LENGTH = 65_536

/** @throws AppError naming the field. */
export function originsIn(fields: RequestFields, parseTime: ParseTime): TaskOrigins {
  const [v1, distribution, imports] = [fields.object('v1'), fields.object('distribution'), fields.object('imports')]
  if ([v1, distribution, imports].filter((origin) => origin !== undefined).length > 1)
    throw invalid('distribution', 'a task is of one API')
  return {
    v1: v1 === undefined ? null : v1In(v1, parseTime),
    distribution: distribution === undefined ? null : distributionIn(distribution),
    imports: imports === undefined ? null : importsIn(imports),
  }
}

const distributionIn = (fields: RequestFields): DistributionOrigin => ({
  name: shortText(fields, 'name'),
  kind: choiceIn(fields, 'kind', ['cluster', 'registry']),
})

function importsIn(fields: RequestFields): ImportOrigin {
  const by = shortText(fields, 'by')
  if (!isUserId(by)) throw invalid('imports.by', 'it is no user id')
  return { name: shortText(fields, 'name'), by }
}

function v1In(fields: RequestFields, parseTime: ParseTime): V1Origin {
  const remote = fields.object('remote')
  if (remote === undefined) throw invalid('v1.remote', 'it is missing')
  const interruptedAt = fields.raw('interruptedAt')
  return {
    includeAllProject: fields.flag('includeAllProject') ?? false,
    localProject: optionalText(fields, 'localProject'),
    localRepo: optionalText(fields, 'localRepo'),
    remoteProject: optionalText(fields, 'remoteProject'),
    remoteRepo: optionalText(fields, 'remoteRepo'),
    remote: {
      url: shortText(remote, 'url'),
      username: optionalText(remote, 'username'),
      certificate: optionalText(remote, 'certificate', MAX_CERTIFICATE_LENGTH),
      hasPassword: remote.flag('hasPassword') ?? false,
    },
    interruptedAt: interruptedAt === undefined ? null : parseTime('interruptedAt', interruptedAt),
  }
}

/** Distributions and imports are found by the names of their tasks. @throws AppError PARAMETER_INVALID. */
export function checkTaskName(
  name: string,
  { distribution, imports }: TaskOrigins,
  at: { readonly project: string; readonly repo: string },
): void {
  const { project, repo } = at
  const wanted =
    distribution !== null
      ? distributionTaskName(project, repo, distribution.name)
      : imports !== null
        ? importTaskName(project, repo, imports.name)
        : name
  if (name !== wanted) throw invalid('name', `it should be [${wanted}]`)
}

/** @throws AppError naming the field. */
export function dynamicIn(fields: RequestFields | undefined): DynamicSet | undefined {
  if (fields === undefined) return undefined
  if (choiceIn(fields, 'of', ['all', 'project']) === 'all') return { of: 'all' }
  const [project, remoteProject] = [shortText(fields, 'project'), shortText(fields, 'remoteProject')]
  if (!isProjectName(project)) throw invalid('dynamic.project', 'it is no name of a project')
  if (!isProjectName(remoteProject)) throw invalid('dynamic.remoteProject', 'it is no name of a project')
  return { of: 'project', project, remoteProject }
}
