import { AppError, invalid } from '../../core/errors.ts'
import type { NodePath } from '../../core/paths.ts'
import { raiseAccessStamp } from '../../metadata/access/access-facts.ts'
import {
  insertPermissions,
  listPermissionsIn,
  type Permission,
  type PermissionRow,
  pagePermissions,
} from '../../metadata/access/permissions.ts'
import { listRolesById, type Role } from '../../metadata/access/roles.ts'
import {
  addPermissionRepositories,
  addPermissionRoles,
  addPermissionUsers,
  repositoryNamesById,
  updatePermissions,
} from '../../metadata/backup/right-rows.ts'
import { knownUsers } from '../../metadata/backup/user-rows.ts'
import type { Reader, Transaction } from '../../metadata/database.ts'
import { COMMON_FILES } from '../records/record-files.ts'
import type { RestoreRun } from '../restore/restore-run.ts'
import type { CommonFile } from './common-file.ts'
import { byKey, type CommonFilesDeps } from './common-parts.ts'
import {
  documentOfPermission,
  type PermissionDocument,
  type PermissionRecord,
  permissionIn,
  permissionKey,
} from './permission-records.ts'
import { type BatchOutcome, createTally, inBatches } from './record-batches.ts'
import { findPlaces, findRoles, type Places, roleKey } from './right-places.ts'
import { notThere } from './users-file.ts'

const file = COMMON_FILES.permission

/** All that the records of a batch name, as it is here. */
interface Known {
  readonly places: Places
  readonly roles: ReadonlyMap<string, Role>
  readonly users: ReadonlySet<string>
  /** By project, home and name. */
  readonly permissions: ReadonlyMap<string, Permission>
}
/** What a record names and is here; `lost` is what is not, in words. */
interface Found {
  readonly homeRepo: number
  readonly repos: readonly number[]
  readonly users: readonly string[]
  readonly roles: readonly string[]
  readonly lost: readonly string[]
}

export function createPermissionsFile({
  db,
  ids,
  parseTime,
}: Pick<CommonFilesDeps, 'db' | 'ids' | 'parseTime'>): CommonFile {
  const apply = (run: RestoreRun, records: readonly PermissionRecord[]): Promise<BatchOutcome> =>
    db.transact(async (trx) => {
      await raiseAccessStamp(trx)
      const known = await knownOf(trx, records)
      const tally = createTally()
      const made: PermissionRow[] = []
      const changed: PermissionRow[] = []
      const named: { readonly permission: string; readonly found: Found }[] = []
      for (const record of records) {
        const key = permissionKey(record)
        try {
          const found = foundOf(record, known)
          const stored = known.permissions.get(storedKey(record.project, found.homeRepo, record.name))
          if (stored !== undefined && stored.resourceType !== record.resourceType)
            throw invalid('resourceType', `the permission of that name here is of type ${stored.resourceType}`)
          const isNew = stored === undefined || isUntouched(stored)
          if (!isNew && run.onConflict === 'SKIP') {
            tally.skipped()
            continue
          }
          if (stored === undefined) made.push(newRow(record, found, ids.id()))
          else {
            const now = isNew ? ofRecord(stored, record) : merged(stored, record)
            if (!isSame(now, stored)) changed.push(now)
          }
          named.push({ permission: stored?.id ?? made.at(-1)!.id, found })
          // Restored without something is a failure of the record.
          if (found.lost.length > 0) tally.fail(key, notThere(found.lost))
          else tally.restored()
        } catch (error) {
          if (!(error instanceof AppError)) throw error
          tally.fail(key, error)
        }
      }
      if (made.length > 0) await insertPermissions(trx, made)
      await updatePermissions(trx, changed)
      const rowsOf = <T>(of: (found: Found) => readonly T[]) =>
        named.flatMap(({ permission, found }) => of(found).map((one) => ({ permission, named: one })))
      await addPermissionRepositories(
        trx,
        rowsOf(({ repos }) => repos),
      )
      await addPermissionUsers(
        trx,
        rowsOf(({ users }) => users),
      )
      await addPermissionRoles(
        trx,
        rowsOf(({ roles }) => roles),
      )
      return tally.outcome()
    })

  return {
    path: file,
    async *read(reader, signal) {
      const source = { reader, first: '', keyOf: ({ id }: Permission) => id }
      for await (const permissions of byKey(pagePermissions, source, signal))
        yield* await documentsOf(reader, permissions)
    },
    restoring: (run) => ({
      afterRepositories: inBatches<PermissionRecord>(run, {
        file,
        nameField: 'permName',
        read: (fields) => permissionIn(fields, parseTime),
        keyOf: permissionKey,
        apply: (records) => apply(run, records),
      }),
    }),
  }
}

async function documentsOf(reader: Reader, permissions: readonly Permission[]): Promise<PermissionDocument[]> {
  const homes = await repositoryNamesById(reader, [...new Set(permissions.map(({ homeRepo }) => homeRepo))])
  const roles = new Map<string, Role>()
  const roleIds = [...new Set(permissions.flatMap((permission) => permission.roles))]
  for (let at = 0; at < roleIds.length; at += ROLES_PER_STATEMENT) {
    for (const role of await listRolesById(reader, roleIds.slice(at, at + ROLES_PER_STATEMENT)))
      roles.set(role.id, role)
  }
  return permissions
    .filter(({ homeRepo }) => homeRepo === 0 || homes.has(homeRepo))
    .map((permission) =>
      documentOfPermission(permission, {
        home: homes.get(permission.homeRepo) ?? null,
        roles: permission.roles
          .flatMap((id) => roles.get(id) ?? [])
          .map(({ project, repoName, roleId }) => ({ projectId: project, repoName, roleId })),
      }),
    )
}
const ROLES_PER_STATEMENT = 1_000

async function knownOf(trx: Transaction, records: readonly PermissionRecord[]): Promise<Known> {
  const named = records.filter(({ project }) => project !== '')
  const places = await findPlaces(
    trx,
    named.map(({ project, repos, home }) => ({ project, repos: home === null ? repos : [...repos, home] })),
  )
  const roles = await findRoles(
    trx,
    records.flatMap((record) => record.roles),
  )
  const users = await knownUsers(trx, [...new Set(records.flatMap((record) => record.users))])
  const there = await listPermissionsIn(trx, [...new Set(records.map(({ project }) => project))])
  const permissions = new Map(there.map((one) => [storedKey(one.project, one.homeRepo, one.name), one]))
  return { places, roles, users, permissions }
}

const storedKey = (project: string, homeRepo: number, name: string) => JSON.stringify([project, homeRepo, name])

/** @throws AppError ACCESS_PROJECT_NOT_FOUND, ACCESS_REPOSITORY_NOT_FOUND when nothing is left that it is about. */
function foundOf(record: PermissionRecord, { places, roles, users }: Known): Found {
  const { project } = record
  const homeRepo = project === '' ? 0 : places.repoId(project, record.home)
  const absent = record.repos.filter((name) => places.repository(project, name) === undefined)
  if (absent.length > 0 && absent.length === record.repos.length) places.repoId(project, absent[0]!)
  const lost = [
    ...absent.map((name) => `repository [${project}/${name}]`),
    ...record.users.filter((user) => !users.has(user)).map((user) => `user [${user}]`),
    ...record.roles.filter((role) => !roles.has(roleKey(role))).map((role) => `role [${roleKey(role)}]`),
  ]
  return {
    ...{ homeRepo, lost },
    repos: record.repos.flatMap((name) => places.repository(project, name)?.id ?? []),
    users: record.users.filter((user) => users.has(user)),
    roles: record.roles.flatMap((role) => roles.get(roleKey(role))?.id ?? []),
  }
}

/** A repository comes with permissions of its own: until somebody changes one or gives it to somebody, it is nobody's work. */
const isUntouched = ({ homeRepo, createdAt, modifiedAt, users, roles }: Permission): boolean =>
  homeRepo !== 0 && createdAt === modifiedAt && users.length + roles.length === 0

const newRow = (record: PermissionRecord, { homeRepo }: Found, id: string): PermissionRow => {
  const { name, resourceType, project, include, exclude, actions, createdBy, createdAt, modifiedBy, modifiedAt } =
    record
  return {
    ...{ id, resourceType, project, homeRepo, name, include, exclude, actions },
    ...{ createdBy, createdAt, modifiedBy, modifiedAt },
  }
}
const ofRecord = (stored: PermissionRow, record: PermissionRecord): PermissionRow => {
  const { include, exclude, actions, modifiedBy, modifiedAt } = record
  return { ...stored, include, exclude, actions, modifiedBy, modifiedAt }
}
const merged = (stored: PermissionRow, record: PermissionRecord): PermissionRow => ({
  ...stored,
  include: unlessAll(stored.include, record.include),
  exclude: union(stored.exclude, record.exclude) as NodePath[],
  actions: union(stored.actions, record.actions),
  ...{ modifiedBy: record.modifiedBy, modifiedAt: record.modifiedAt },
})
/** Without a pattern it is about all paths. */
const unlessAll = (a: readonly NodePath[], b: readonly NodePath[]): readonly NodePath[] =>
  a.length === 0 || b.length === 0 ? [] : (union(a, b) as NodePath[])
const union = (a: readonly string[], b: readonly string[]): string[] => [...new Set([...a, ...b])].sort()

const isSame = (a: PermissionRow, b: PermissionRow): boolean =>
  (['include', 'exclude', 'actions', 'modifiedBy', 'modifiedAt'] as const).every(
    (field) => JSON.stringify(a[field]) === JSON.stringify(b[field]),
  )
