import type { Clock } from '../core/clock.ts'
import { AppError, empty, invalid } from '../core/errors.ts'
import type { Ids } from '../core/ids.ts'
import { raiseAccessStamp } from '../metadata/access/access-facts.ts'
import { unknownUsers } from '../metadata/access/granted-rights.ts'
import * as rows from '../metadata/access/roles.ts'
import type { MetadataDatabase, Transaction } from '../metadata/database.ts'
import { placesOf } from './right-places.ts'
import { userNotFound } from './users.ts'

export type { Role, RoleFilter, RoleUser } from '../metadata/access/roles.ts'

export interface NewRole {
  /** Null: made up. */
  readonly roleId: string | null
  readonly name: string
  readonly type: rows.Role['type']
  readonly project: string
  /** Of a REPO role. */
  readonly repoName: string | null
  readonly admin: boolean
  readonly description: string | null
}

/** Roles: who has one may do what its permissions say, or with `admin` everything in its project or repository. */
export interface Roles {
  /** @throws AppError PARAMETER_EMPTY, PARAMETER_INVALID, ACCESS_PROJECT_NOT_FOUND, ACCESS_REPOSITORY_NOT_FOUND, ROLE_EXISTED. */
  create(role: NewRole, by: string): Promise<rows.Role>
  /** @throws AppError ROLE_NOT_FOUND. */
  get(id: string): Promise<rows.Role>
  /** `repoName` without a repository of that name: none. */
  list(
    filter: Pick<rows.RoleFilter, 'type' | 'project'> & { readonly repoName?: string | undefined },
  ): Promise<rows.Role[]>
  /** @throws AppError ROLE_NOT_FOUND, ROLE_IN_USE while somebody has it. */
  delete(id: string): Promise<void>
  /** @throws AppError ROLE_NOT_FOUND. */
  users(id: string): Promise<rows.RoleUser[]>
  /** Having it already is fine. @throws AppError ROLE_NOT_FOUND, USER_NOT_FOUND, PARAMETER_INVALID for over 1,000 users. */
  addUsers(id: string, userIds: readonly string[]): Promise<void>
  /** Not having it is fine. @throws AppError ROLE_NOT_FOUND, USER_NOT_FOUND. */
  removeUsers(id: string, userIds: readonly string[]): Promise<void>
  /**
   * Inside a transaction that makes a user: makes it an administrator of the project, or of the repository.
   * @throws AppError ACCESS_PROJECT_NOT_FOUND, ACCESS_REPOSITORY_NOT_FOUND.
   */
  makeAdministrator(
    trx: Transaction,
    userId: string,
    of: { readonly project: string; readonly repoName: string | null },
    by: string,
  ): Promise<void>
}

interface RoleDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly ids: Ids
}

const ROLE_ID = /^[A-Za-z0-9_][A-Za-z0-9._@-]{0,63}$/
const MAX_TEXT_LENGTH = 256
const MAX_USERS_AT_ONCE = 1_000
/** Of `makeAdministrator`. */
const ADMINISTRATORS = { PROJECT: 'project_admin', REPO: 'repo_admin' } as const

export function createRoles({ db, clock, ids }: RoleDeps): Roles {
  async function insert(trx: Transaction, wanted: NewRole, by: string): Promise<rows.Role | undefined> {
    const { type, project } = wanted
    const [place] = await placesOf(trx, project, wanted.repoName === null ? [] : [wanted.repoName])
    const now = clock.now()
    const id = ids.id()
    const role: rows.Role = {
      ...{ id, roleId: wanted.roleId ?? id, type, project },
      ...{ repoId: place?.id ?? 0, repoName: place?.name ?? null },
      ...{ name: wanted.name, admin: wanted.admin, description: wanted.description },
      ...{ createdBy: by, createdAt: now, modifiedBy: by, modifiedAt: now },
    }
    return (await rows.insertRole(trx, role)) ? role : undefined
  }

  const roles: Roles = {
    async create(wanted, by) {
      check(wanted)
      const made = await db.transact((trx) => insert(trx, wanted, by))
      if (made === undefined) {
        throw new AppError('ROLE_EXISTED', `Role [${wanted.roleId}] existed`, { roleId: wanted.roleId })
      }
      return made
    },
    async get(id) {
      const role = await rows.findRole(db.read, id)
      if (role === undefined) throw roleNotFound(id)
      return role
    },
    async list({ repoName, ...filter }) {
      const found = await rows.listRoles(db.read, filter)
      return repoName === undefined ? found : found.filter((role) => role.repoName === repoName)
    },
    delete: (id) =>
      db.transact(async (trx) => {
        await raiseAccessStamp(trx)
        if ((await rows.findRole(trx, id)) === undefined) throw roleNotFound(id)
        const [user] = await rows.listRoleUsers(trx, id)
        if (user !== undefined)
          throw new AppError('ROLE_IN_USE', `Role [${id}] still has users: remove them first`, { id })
        await rows.deleteRole(trx, id)
      }),
    async users(id) {
      await roles.get(id)
      return rows.listRoleUsers(db.read, id)
    },
    addUsers: (id, userIds) => changeUsers(id, userIds, rows.addRoleUsers),
    removeUsers: (id, userIds) => changeUsers(id, userIds, rows.removeRoleUsers),
    async makeAdministrator(trx, userId, { project, repoName }, by) {
      await raiseAccessStamp(trx)
      const type = repoName === null ? 'PROJECT' : 'REPO'
      const roleId = ADMINISTRATORS[type]
      const role = { roleId, name: roleId, type, project, repoName, admin: true, description: null } as const
      const [place] = await placesOf(trx, project, repoName === null ? [] : [repoName])
      const there = await rows.findRoleByName(trx, project, place?.id ?? 0, roleId)
      // Somebody may have made a role of that name that administers nothing.
      const fit =
        there?.admin === true ? there : await insert(trx, there === undefined ? role : { ...role, roleId: null }, by)
      await rows.addRoleUsers(trx, fit!.id, [userId])
    },
  }

  async function changeUsers(id: string, userIds: readonly string[], change: typeof rows.addRoleUsers): Promise<void> {
    const distinct = [...new Set(userIds)]
    if (distinct.length > MAX_USERS_AT_ONCE) throw invalid('idList', `at most ${MAX_USERS_AT_ONCE} users in one call`)
    await db.transact(async (trx) => {
      await raiseAccessStamp(trx)
      if ((await rows.findRole(trx, id)) === undefined) throw roleNotFound(id)
      const [unknown] = await unknownUsers(trx, distinct)
      if (unknown !== undefined) throw userNotFound(unknown)
      await change(trx, id, distinct)
    })
  }
  return roles
}

export const roleNotFound = (id: string): AppError => new AppError('ROLE_NOT_FOUND', `Role [${id}] not found`, { id })

function check({ roleId, name, type, repoName, description }: NewRole): void {
  if (roleId !== null && !ROLE_ID.test(roleId)) throw invalid('roleId', '1 to 64 letters, digits and . _ @ -')
  if (name.trim() === '') throw empty('name')
  if (name.length > MAX_TEXT_LENGTH) throw invalid('name', `at most ${MAX_TEXT_LENGTH} characters`)
  if ((description?.length ?? 0) > MAX_TEXT_LENGTH)
    throw invalid('description', `at most ${MAX_TEXT_LENGTH} characters`)
  if (type === 'REPO' && repoName === null) throw invalid('repoName', 'a REPO role is about a repository')
  if (type === 'PROJECT' && repoName !== null) throw invalid('repoName', 'a PROJECT role is about the whole project')
}
