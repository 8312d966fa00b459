import type { Clock } from '../core/clock.ts'
import { AppError, empty, invalid } from '../core/errors.ts'
import type { Ids } from '../core/ids.ts'
import { type NodePath, normalisePath } from '../core/paths.ts'
import { raiseAccessStamp } from '../metadata/access/access-facts.ts'
import { type ResourceType, unknownUsers } from '../metadata/access/granted-rights.ts'
import * as rows from '../metadata/access/permissions.ts'
import { listRolesById } from '../metadata/access/roles.ts'
import type { MetadataDatabase, Transaction } from '../metadata/database.ts'
import type { Action } from './grants.ts'
import { placesOf, type RightPlace } from './right-places.ts'
import { roleNotFound } from './roles.ts'
import { userNotFound } from './users.ts'

export type { Permission } from '../metadata/access/permissions.ts'

export interface NewPermission {
  readonly resourceType: ResourceType
  /** Null for SYSTEM and REPLICATION only. */
  readonly project: string | null
  readonly name: string
  /** Of REPO and NODE only. */
  readonly repos: readonly string[]
  readonly include: readonly string[]
  readonly exclude: readonly string[]
  readonly users: readonly string[]
  /** `id` of roles of the same project. */
  readonly roles: readonly string[]
  readonly actions: readonly Action[]
}

/** What `users` or `roles` may do with the `repos` of a project, or with the project, below some paths. */
export interface Permissions {
  /**
   * @throws AppError PARAMETER_EMPTY, PARAMETER_INVALID, PATH_INVALID, ACCESS_PROJECT_NOT_FOUND, ACCESS_REPOSITORY_NOT_FOUND,
   * USER_NOT_FOUND, ROLE_NOT_FOUND, PERMISSION_EXISTED.
   */
  create(permission: NewPermission, by: string): Promise<rows.Permission>
  /** @throws AppError PERMISSION_NOT_FOUND. */
  get(id: string): Promise<rows.Permission>
  /** @throws AppError ACCESS_PROJECT_NOT_FOUND, ACCESS_REPOSITORY_NOT_FOUND for names in the filter that do not exist. */
  list(filter: {
    readonly resourceType?: ResourceType | undefined
    readonly project?: string | undefined
    readonly repoName?: string | undefined
  }): Promise<rows.Permission[]>
  /** @throws AppError PERMISSION_NOT_FOUND. */
  delete(id: string): Promise<void>
  /** Each list that is given takes the place of the one there. @throws AppError PERMISSION_NOT_FOUND, and as `create`. */
  update(id: string, change: PermissionUpdate, by: string): Promise<void>
}
export type PermissionUpdate = {
  readonly [K in 'repos' | 'include' | 'exclude' | 'users' | 'roles' | 'actions']?: NewPermission[K]
}

interface PermissionDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly ids: Ids
}

/** A pattern is looked at for each request. */
const MAX_PATTERNS = 100
/** Beyond, a role is the better holder. */
const MAX_NAMED = 1_000
const MAX_NAME_LENGTH = 128

export function createPermissions({ db, clock, ids }: PermissionDeps): Permissions {
  const permissions: Permissions = {
    async create(wanted, by) {
      checkShape(wanted)
      const { resourceType, name, users, roles } = wanted
      const project = wanted.project ?? ''
      const now = clock.now()
      const row: rows.PermissionRow = {
        ...{ id: ids.id(), resourceType, project, homeRepo: 0, name },
        include: patterns('includePattern', wanted.include),
        exclude: patterns('excludePattern', wanted.exclude),
        actions: actionsIn(wanted.actions),
        ...{ createdBy: by, createdAt: now, modifiedBy: by, modifiedAt: now },
      }
      const repos = await db.transact(async (trx) => {
        await raiseAccessStamp(trx)
        const places = project === '' ? [] : await placesOf(trx, project, wanted.repos)
        if (!(await rows.insertPermissions(trx, [row]))) {
          throw new AppError('PERMISSION_EXISTED', `Permission [${name}] existed`, { name })
        }
        await putNames(trx, row, { places, users, roles })
        return places.map((place) => place.name).sort()
      })
      return { ...row, repos, users: sortedOnce(users), roles: sortedOnce(roles) }
    },
    async get(id) {
      const permission = await rows.findPermission(db.read, id)
      if (permission === undefined) throw permissionNotFound(id)
      return permission
    },
    async list({ repoName, ...filter }) {
      if (filter.project === undefined) return rows.listPermissions(db.read, filter)
      const [place] = await placesOf(db.read, filter.project, repoName === undefined ? [] : [repoName])
      return rows.listPermissions(db.read, { ...filter, repoId: place?.id })
    },
    delete: (id) =>
      db.transact(async (trx) => {
        await raiseAccessStamp(trx)
        if ((await rows.findPermission(trx, id)) === undefined) throw permissionNotFound(id)
        await rows.deletePermission(trx, id)
      }),
    async update(id, change, by) {
      const own = {
        include: change.include && patterns('includePattern', change.include),
        exclude: change.exclude && patterns('excludePattern', change.exclude),
        actions: change.actions && actionsIn(change.actions),
      }
      await db.transact(async (trx) => {
        await raiseAccessStamp(trx)
        const permission = await rows.findPermission(trx, id)
        if (permission === undefined) throw permissionNotFound(id)
        const { include = permission.include, exclude = permission.exclude } = own
        const project = permission.project === '' ? null : permission.project
        checkShape({ ...permission, project, include, exclude, repos: change.repos ?? permission.repos })
        const places = change.repos && (await placesOf(trx, permission.project, change.repos))
        await rows.updatePermission(trx, id, own, { userId: by, at: clock.now() })
        await putNames(trx, permission, { places, users: change.users, roles: change.roles })
      })
    },
  }
  return permissions
}

/** Whom and what a permission names; undefined: stays as it is. */
interface Named {
  readonly places: readonly RightPlace[] | undefined
  readonly users: readonly string[] | undefined
  readonly roles: readonly string[] | undefined
}

async function putNames(trx: Transaction, { id, project }: rows.PermissionRow, named: Named): Promise<void> {
  const { places } = named
  const users = named.users && sortedOnce(named.users)
  const roles = named.roles && sortedOnce(named.roles)
  for (const [field, list] of Object.entries({ repos: places, users, roles })) {
    if ((list?.length ?? 0) > MAX_NAMED) throw invalid(field, `at most ${MAX_NAMED}`)
  }
  if (places)
    await rows.setPermissionRepositories(
      trx,
      id,
      places.map((place) => place.id),
    )
  if (users) {
    const [unknown] = await unknownUsers(trx, users)
    if (unknown !== undefined) throw userNotFound(unknown)
    await rows.setPermissionUsers(trx, id, users)
  }
  if (roles) {
    const known = new Map((await listRolesById(trx, roles)).map((role) => [role.id, role.project]))
    // A project's administrators must not give rights to, or learn of, roles of another project.
    const foreign = roles.find((role) => !known.has(role) || (project !== '' && known.get(role) !== project))
    if (foreign !== undefined) throw roleNotFound(foreign)
    await rows.setPermissionRoles(trx, id, roles)
  }
}

function checkShape({
  resourceType,
  project,
  name,
  repos,
  include,
  exclude,
}: Omit<NewPermission, 'actions' | 'users' | 'roles'>) {
  if (name.trim() === '') throw empty('permName')
  if (name.length > MAX_NAME_LENGTH) throw invalid('permName', `at most ${MAX_NAME_LENGTH} characters`)
  const ofSystem = resourceType === 'SYSTEM' || resourceType === 'REPLICATION'
  if (ofSystem && project !== null) throw invalid('projectId', `a ${resourceType} permission is about the whole server`)
  if (!ofSystem && project === null) throw empty('projectId')
  const inRepositories = resourceType === 'REPO' || resourceType === 'NODE'
  if (inRepositories && repos.length === 0) throw empty('repos')
  if (!inRepositories && repos.length + include.length + exclude.length > 0) {
    throw invalid('repos', `a ${resourceType} permission names no repositories and no patterns`)
  }
}

/** @throws AppError PATH_INVALID, PARAMETER_EMPTY, PARAMETER_INVALID. */
function patterns(field: string, texts: readonly string[]): NodePath[] {
  if (texts.length > MAX_PATTERNS) throw invalid(field, `at most ${MAX_PATTERNS} patterns`)
  if (texts.some((text) => text.trim() === '')) throw empty(field)
  return sortedOnce(texts.map(normalisePath)) as NodePath[]
}

function actionsIn(actions: readonly Action[]): Action[] {
  if (actions.length === 0) throw empty('actions')
  return sortedOnce(actions) as Action[]
}

const sortedOnce = (texts: readonly string[]): string[] => [...new Set(texts)].sort()

export const permissionNotFound = (id: string): AppError =>
  new AppError('PERMISSION_NOT_FOUND', `Permission [${id}] not found`, { id })
