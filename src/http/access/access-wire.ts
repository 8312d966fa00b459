import { Type } from 'typebox'
import { ACTIONS, type Action } from '../../auth/grants.ts'
import type { PermissionQuestion } from '../../auth/permission-check.ts'
import type { NewPermission, Permission, PermissionUpdate } from '../../auth/permissions.ts'
import type { NewRole, Role } from '../../auth/roles.ts'
import { missing, notBuilt } from '../../core/errors.ts'
import { normalisePath } from '../../core/paths.ts'
import { chosen, fieldsOf, type RequestFields, storableText, unreadable } from '../../core/request-fields.ts'
import type { Dates } from '../dates.ts'

export const ROLE_TYPES = ['PROJECT', 'REPO'] as const
export const RESOURCE_TYPES = ['SYSTEM', 'PROJECT', 'REPO', 'NODE', 'REPLICATION'] as const

const Text = Type.Optional(Type.Union([Type.String(), Type.Null()]))
const Texts = Type.Optional(Type.Array(Type.String()))
const NullableText = Type.Union([Type.String(), Type.Null()])
const WireDate = Type.String({ description: 'E.g. 2021-05-12T12:19:08.813' })
const STAMPS = { createBy: Type.String(), createAt: WireDate, updatedBy: Type.String(), updateAt: WireDate }

export const RoleCreate = Type.Object({
  roleId: Text,
  name: Type.String(),
  type: Type.String({ description: ROLE_TYPES.join(' or ') }),
  projectId: Type.String(),
  repoName: Text,
  admin: Type.Optional(Type.Boolean({ description: 'Whoever has it may do everything in the project or repository' })),
  description: Text,
})
export const RoleInfo = Type.Object({
  id: Type.String(),
  roleId: Type.String(),
  type: Type.String(),
  name: Type.String(),
  projectId: Type.String(),
  repoName: NullableText,
  admin: Type.Boolean(),
  description: NullableText,
})
export const RoleUserInfo = Type.Object({ userId: Type.String(), name: Type.String() })

export const PermissionCreate = Type.Object({
  resourceType: Type.String({ description: RESOURCE_TYPES.join(', ') }),
  projectId: Type.Optional(Type.Union([Type.String(), Type.Null()], { description: 'Not of SYSTEM and REPLICATION' })),
  permName: Type.String(),
  repos: Type.Optional(Type.Array(Type.String(), { description: 'Of REPO and NODE' })),
  includePattern: Type.Optional(Type.Array(Type.String(), { description: 'Path prefixes; empty: all paths' })),
  excludePattern: Type.Optional(Type.Array(Type.String(), { description: 'Path prefixes; outweigh the others' })),
  users: Texts,
  roles: Type.Optional(Type.Array(Type.String(), { description: '`id` of roles' })),
  actions: Type.Array(Type.String({ description: ACTIONS.join(', ') })),
})
export const PermissionInfo = Type.Object({
  id: Type.String(),
  resourceType: Type.String(),
  projectId: NullableText,
  permName: Type.String(),
  repos: Type.Array(Type.String()),
  includePattern: Type.Array(Type.String()),
  excludePattern: Type.Array(Type.String()),
  users: Type.Array(Type.String()),
  roles: Type.Array(Type.String()),
  departments: Type.Array(Type.String()),
  actions: Type.Array(Type.String()),
  ...STAMPS,
})
export const PermissionQuestionBody = Type.Object({
  uid: Type.String(),
  resourceType: Type.String({ description: RESOURCE_TYPES.join(', ') }),
  action: Type.String({ description: ACTIONS.join(', ') }),
  projectId: Text,
  repoName: Text,
  path: Text,
})

/** @throws AppError PARAMETER_MISSING, PARAMETER_EMPTY, REQUEST_CONTENT_INVALID, as all readers here. */
export function newRoleOf(body: unknown): NewRole {
  const fields = fieldsOf(body)
  return {
    roleId: given(fields, 'roleId') ?? null,
    name: fields.requiredText('name'),
    type: required(fields.choice('type', ROLE_TYPES), 'type'),
    project: fields.requiredText('projectId'),
    repoName: given(fields, 'repoName') ?? null,
    admin: fields.flag('admin') ?? false,
    description: fields.text('description') ?? null,
  }
}

export const toRoleInfo = ({ id, roleId, type, name, project, repoName, admin, description }: Role) => ({
  ...{ id, roleId, type, name },
  projectId: project,
  ...{ repoName, admin, description },
})

export function newPermissionOf(body: unknown): NewPermission {
  const fields = fieldsOf(body)
  if ((fields.list('departments') ?? []).length > 0) throw notBuilt('departments', 'are not built: use roles')
  return {
    resourceType: resourceTypeOf(fields),
    project: given(fields, 'projectId') ?? null,
    name: fields.requiredText('permName'),
    repos: textsOf(fields, 'repos'),
    include: textsOf(fields, 'includePattern'),
    exclude: textsOf(fields, 'excludePattern'),
    users: textsOf(fields, 'users'),
    roles: textsOf(fields, 'roles'),
    actions: actionsOf(fields, 'actions'),
  }
}

export const toPermissionInfo = (permission: Permission, dates: Dates) => ({
  id: permission.id,
  resourceType: permission.resourceType,
  projectId: permission.project === '' ? null : permission.project,
  permName: permission.name,
  repos: permission.repos,
  includePattern: permission.include,
  excludePattern: permission.exclude,
  users: permission.users,
  roles: permission.roles,
  departments: [],
  actions: permission.actions,
  createBy: permission.createdBy,
  createAt: dates.format(permission.createdAt),
  updatedBy: permission.modifiedBy,
  updateAt: dates.format(permission.modifiedAt),
})

/** One kind of change of a permission: its URL, the field that brings the new list, and what it replaces. */
export const PERMISSION_CHANGES = {
  user: { field: 'userId', read: (fields) => ({ users: requiredTexts(fields, 'userId') }) },
  role: { field: 'rId', read: (fields) => ({ roles: requiredTexts(fields, 'rId') }) },
  repo: { field: 'repos', read: (fields) => ({ repos: requiredTexts(fields, 'repos') }) },
  includePath: { field: 'path', read: (fields) => ({ include: requiredTexts(fields, 'path') }) },
  excludePath: { field: 'path', read: (fields) => ({ exclude: requiredTexts(fields, 'path') }) },
  action: { field: 'actions', read: (fields) => ({ actions: actionsOf(fields, 'actions') }) },
} as const satisfies Record<string, { field: string; read: (fields: RequestFields) => PermissionUpdate }>

export function questionOf(body: unknown): PermissionQuestion {
  const fields = fieldsOf(body)
  const path = fields.text('path')
  return {
    userId: fields.requiredText('uid'),
    resourceType: resourceTypeOf(fields),
    action: required(fields.choice('action', ACTIONS), 'action'),
    project: given(fields, 'projectId'),
    repoName: given(fields, 'repoName'),
    path: path === undefined ? undefined : normalisePath(path),
  }
}

/** An array of texts; nothing when it is absent. */
export function textsOf(fields: RequestFields, name: string): string[] {
  return (fields.list(name) ?? []).map((value, index) => storableText(`${name}[${index}]`, value))
}

function requiredTexts(fields: RequestFields, name: string): string[] {
  if (fields.list(name) === undefined) throw missing(name)
  return textsOf(fields, name)
}

function actionsOf(fields: RequestFields, name: string): Action[] {
  if (fields.list(name) === undefined) throw missing(name)
  return textsOf(fields, name).map((text) => {
    const action = chosen(text, ACTIONS)
    if (action === undefined) throw unreadable(name, `must hold some of ${ACTIONS.join(', ')}`)
    return action
  })
}

function resourceTypeOf(fields: RequestFields) {
  if (chosen(fields.requiredText('resourceType'), ['ENDPOINT']) !== undefined) {
    throw notBuilt('resourceType [ENDPOINT]', 'is not built')
  }
  return required(fields.choice('resourceType', RESOURCE_TYPES), 'resourceType')
}

/** Empty counts as absent. */
const given = (fields: RequestFields, name: string): string | undefined => fields.text(name) || undefined

function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw missing(name)
  return value
}
