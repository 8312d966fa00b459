import type { PermissionRow } from '../access/permissions.ts'
import type { Role } from '../access/roles.ts'
import type { TemporaryGrant } from '../access/temporary-tokens.ts'
import type { Reader } from '../database.ts'
import { anyOf } from '../sql/any-of.ts'
import { insertingRows, updatingRows } from '../sql/insert-rows.ts'

const roleColumns = {
  id: ['text', (role: Role) => role.id],
  role_id: ['text', (role: Role) => role.roleId],
  type: ['text', (role: Role) => role.type],
  project: ['text', (role: Role) => role.project],
  repo_id: ['bigint', (role: Role) => role.repoId],
  name: ['text', (role: Role) => role.name],
  admin: ['bigint', (role: Role) => Number(role.admin)],
  description: ['text', (role: Role) => role.description],
  created_by: ['text', (role: Role) => role.createdBy],
  created_at: ['bigint', (role: Role) => role.createdAt],
  modified_by: ['text', (role: Role) => role.modifiedBy],
  modified_at: ['bigint', (role: Role) => role.modifiedAt],
} as const

/** None of them is there. */
export const insertRoles = insertingRows<'role', Role>({ into: 'role', columns: roleColumns })
export const updateRoles = updatingRows<Role>({
  columns: roleColumns,
  statement: `update role set name = v.name, admin = v.admin, description = v.description, modified_by = v.modified_by,
    modified_at = v.modified_at from v where role.id = v.id`,
})

/** What a permission says itself is the same again when only this changed. */
export const updatePermissions = updatingRows<PermissionRow>({
  columns: {
    id: ['text', ({ id }) => id],
    include: ['text', ({ include }) => JSON.stringify(include)],
    exclude: ['text', ({ exclude }) => JSON.stringify(exclude)],
    actions: ['text', ({ actions }) => JSON.stringify(actions)],
    modified_by: ['text', ({ modifiedBy }) => modifiedBy],
    modified_at: ['bigint', ({ modifiedAt }) => modifiedAt],
  },
  statement: `update permission set include = v.include, exclude = v.exclude, actions = v.actions,
    modified_by = v.modified_by, modified_at = v.modified_at from v where permission.id = v.id`,
})

interface Named<T> {
  readonly permission: string
  readonly named: T
}
const permission = ['text', (row: Named<unknown>) => row.permission] as const
/** Of all three, some may be there. */
export const addPermissionRepositories = insertingRows<'permission_repository', Named<number>>({
  into: 'permission_repository',
  columns: { permission, repo_id: ['bigint', ({ named }) => named] },
  onConflict: 'on conflict do nothing',
})
export const addPermissionUsers = insertingRows<'permission_user', Named<string>>({
  into: 'permission_user',
  columns: { permission, user_id: ['text', ({ named }) => named] },
  onConflict: 'on conflict do nothing',
})
/** `named` is `role.id`. */
export const addPermissionRoles = insertingRows<'permission_role', Named<string>>({
  into: 'permission_role',
  columns: { permission, role: ['text', ({ named }) => named] },
  onConflict: 'on conflict do nothing',
})

export interface StoredGrant extends TemporaryGrant {
  readonly hash: Uint8Array
  readonly project: string
  readonly repoName: string
}

const list = (texts: readonly string[] | undefined) => (texts === undefined ? null : JSON.stringify(texts))
/** Those that are there stay as they are. */
export const addTemporaryTokens = insertingRows<'temporary_token', Omit<StoredGrant, 'project' | 'repoName'>>({
  into: 'temporary_token',
  columns: {
    token_hash: ['bytea', ({ hash }) => hash],
    repo_id: ['bigint', ({ repoId }) => repoId],
    path: ['text', ({ path }) => path],
    type: ['text', ({ type }) => type],
    users: ['text', ({ users }) => list(users)],
    addresses: ['text', ({ addresses }) => list(addresses)],
    permits: ['bigint', ({ permits }) => permits],
    expires_at: ['bigint', ({ expiresAt }) => expiresAt],
    created_by: ['text', ({ createdBy }) => createdBy],
    app_id: ['text', ({ appId }) => appId],
    created_at: ['bigint', ({ createdAt }) => createdAt],
  },
  onConflict: 'on conflict do nothing',
})

/** In live repositories, still good at `now`; after this hash, ascending by it. */
export async function pageTemporaryTokens(
  reader: Reader,
  now: number,
  after: Uint8Array,
  limit: number,
): Promise<StoredGrant[]> {
  const rows = await reader
    .selectFrom('temporary_token')
    .innerJoin('repository', 'repository.id', 'temporary_token.repo_id')
    .selectAll('temporary_token')
    .select(['repository.project', 'repository.name'])
    .where('token_hash', '>', after)
    .where('repository.deleted_at', 'is', null)
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', now)]))
    .where((eb) => eb.or([eb('permits', 'is', null), eb('permits', '>', 0)]))
    .orderBy('token_hash')
    .limit(limit)
    .execute()
  const listed = (text: string | null) => (text === null ? undefined : (JSON.parse(text) as string[]))
  return rows.map((row) => ({
    ...{ hash: row.token_hash, repoId: row.repo_id, project: row.project, repoName: row.name },
    ...{ path: row.path as StoredGrant['path'], type: row.type },
    ...{ users: listed(row.users), addresses: listed(row.addresses), permits: row.permits, expiresAt: row.expires_at },
    ...{ createdBy: row.created_by, appId: row.app_id, createdAt: row.created_at },
  }))
}

/** Which of these tokens are there, by hash in hex. */
export async function knownTemporaryTokens(reader: Reader, hashes: readonly Uint8Array[]): Promise<Set<string>> {
  if (hashes.length === 0) return new Set()
  const rows = await reader
    .selectFrom('temporary_token')
    .select('token_hash')
    .where('token_hash', 'in', hashes)
    .execute()
  return new Set(rows.map((row) => Buffer.from(row.token_hash).toString('hex')))
}

/** Names of live repositories, by id. */
export async function repositoryNamesById(reader: Reader, ids: readonly number[]): Promise<Map<number, string>> {
  if (ids.length === 0) return new Map()
  const rows = await reader
    .selectFrom('repository')
    .select(['id', 'name'])
    .where(anyOf(reader, 'id', ids))
    .where('deleted_at', 'is', null)
    .execute()
  return new Map(rows.map(({ id, name }) => [id, name]))
}

/** Which of these projects are there. */
export async function knownProjects(reader: Reader, names: readonly string[]): Promise<ReadonlySet<string>> {
  if (names.length === 0) return new Set()
  const rows = await reader
    .selectFrom('project')
    .select('name')
    .where(anyOf(reader, 'name', names))
    .execute()
  return new Set(rows.map(({ name }) => name))
}
