import { ACTIONS } from '../../auth/grants.ts'
import { isUserId } from '../../auth/user-rules.ts'
import { empty, invalid } from '../../core/errors.ts'
import { isRepositoryName } from '../../core/names.ts'
import type { NodePath } from '../../core/paths.ts'
import { fieldsOf, type RequestFields } from '../../core/request-fields.ts'
import type { Permission } from '../../metadata/access/permissions.ts'
import type { RoleName } from '../../metadata/backup/user-rows.ts'
import type { Authored } from '../records/documents.ts'
import {
  type Authorship,
  authored,
  authorshipIn,
  choiceIn,
  optionalRepositoryIn,
  type ParseTime,
  pathsIn,
  projectIn,
  shortText,
  textsIn,
} from './common-fields.ts'
import { roleNameIn } from './right-places.ts'

/** A line of `permission.json`: what it names goes by name. */
export interface PermissionDocument extends Authored {
  readonly permName: string
  readonly resourceType: Permission['resourceType']
  /** Null: of the whole server. */
  readonly projectId: string | null
  /** The repository that it came with; null: somebody made it. */
  readonly homeRepoName: string | null
  readonly repos: readonly string[]
  readonly includePattern: readonly string[]
  readonly excludePattern: readonly string[]
  readonly users: readonly string[]
  readonly roles: readonly RoleName[]
  readonly actions: readonly string[]
}

/** A record that was read. */
export interface PermissionRecord extends Authorship {
  readonly name: string
  readonly resourceType: Permission['resourceType']
  /** Empty: of the whole server. */
  readonly project: string
  readonly home: string | null
  readonly repos: readonly string[]
  readonly include: readonly NodePath[]
  readonly exclude: readonly NodePath[]
  readonly users: readonly string[]
  readonly roles: readonly RoleName[]
  readonly actions: readonly string[]
}

const TYPES = ['SYSTEM', 'PROJECT', 'REPO', 'NODE', 'REPLICATION'] as const
const OF_SERVER: ReadonlySet<string> = new Set(['SYSTEM', 'REPLICATION'])
const OF_REPOSITORIES: ReadonlySet<string> = new Set(['REPO', 'NODE'])
const KNOWN_ACTIONS: ReadonlySet<string> = new Set(ACTIONS)
const MAX_NAME_LENGTH = 128
/** As `auth/permissions.ts` takes them: a pattern is looked at for each request. */
const MAX_PATTERNS = 100
const MAX_NAMED = 1_000

export function documentOfPermission(
  permission: Permission,
  names: { readonly home: string | null; readonly roles: readonly RoleName[] },
): PermissionDocument {
  const { name, resourceType, project, repos, include, exclude, users, actions } = permission
  return {
    ...{ permName: name, resourceType, projectId: project === '' ? null : project, homeRepoName: names.home, repos },
    ...{ includePattern: include, excludePattern: exclude, users, roles: names.roles, actions },
    ...authored(permission),
  }
}

/** @throws AppError naming the field. */
export function permissionIn(fields: RequestFields, parseTime: ParseTime): PermissionRecord {
  const resourceType = choiceIn(fields, 'resourceType', TYPES)
  const isOfServer = OF_SERVER.has(resourceType)
  if (isOfServer && fields.raw('projectId') !== undefined)
    throw invalid('projectId', `a ${resourceType} permission is about the whole server`)
  const record = {
    ...{ resourceType, name: shortText(fields, 'permName', MAX_NAME_LENGTH) },
    project: isOfServer ? '' : projectIn(fields),
    home: optionalRepositoryIn(fields, 'homeRepoName'),
    repos: few('repos', MAX_NAMED, textsIn(fields, 'repos', isRepositoryName)),
    include: few('includePattern', MAX_PATTERNS, pathsIn(fields, 'includePattern')),
    exclude: few('excludePattern', MAX_PATTERNS, pathsIn(fields, 'excludePattern')),
    users: few('users', MAX_NAMED, textsIn(fields, 'users', isUserId)),
    roles: few('roles', MAX_NAMED, fields.list('roles') ?? []).map((role) => roleNameIn(fieldsOf(role, 'roles'))),
    actions: textsIn(fields, 'actions', (action) => KNOWN_ACTIONS.has(action)),
    ...authorshipIn(fields, parseTime),
  }
  if (record.actions.length === 0) throw empty('actions')
  const { repos, include, exclude, home, roles, project } = record
  if (OF_REPOSITORIES.has(resourceType)) {
    if (repos.length === 0) throw empty('repos')
  } else if (repos.length + include.length + exclude.length > 0 || home !== null) {
    throw invalid('repos', `a ${resourceType} permission names no repositories and no patterns`)
  }
  if (!isOfServer && roles.some(({ projectId }) => projectId !== project))
    throw invalid('roles', 'a role is of another project')
  return record
}

function few<T>(name: string, most: number, list: readonly T[]): readonly T[] {
  if (list.length > most) throw invalid(name, `at most ${most}`)
  return list
}

/** For people, too. */
export const permissionKey = ({ project, home, name }: Pick<PermissionRecord, 'project' | 'home' | 'name'>): string =>
  `${project}${home === null ? '' : `/${home}`}: ${name}`
