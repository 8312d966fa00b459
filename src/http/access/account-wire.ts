import { Type } from 'typebox'
import type {
  NewCredential,
  NewPlatformAccount,
  PlatformAccount,
  PlatformAccountChange,
  PlatformCredential,
  ProjectRule,
} from '../../auth/platform-accounts.ts'
import { invalid, missing, notBuilt } from '../../core/errors.ts'
import { chosen, fieldsOf, type RequestFields, storableText, unreadable } from '../../core/request-fields.ts'
import type { ResourceType } from '../../metadata/access/granted-rights.ts'
import type { Dates } from '../dates.ts'

const RESOURCE_TYPES = ['SYSTEM', 'PROJECT', 'REPO', 'NODE', 'REPLICATION'] as const satisfies readonly ResourceType[]
const GRANT = 'PLATFORM'

const ScopeRule = Type.Object({
  field: Type.Literal('PROJECT'),
  operation: Type.Union([Type.Literal('IN'), Type.Literal('PREFIX')]),
  value: Type.Union([Type.String(), Type.Array(Type.String())]),
})
const BODY = {
  appId: Type.String({ description: '1 to 64 letters, digits and . _ -' }),
  locked: Type.Optional(Type.Boolean()),
  authorizationGrantTypes: Type.Optional(Type.Array(Type.Literal(GRANT))),
  scope: Type.Optional(Type.Array(Type.String(), { description: `Any of ${RESOURCE_TYPES.join(', ')}; none: all` })),
  scopeDesc: Type.Optional(Type.Array(ScopeRule, { description: 'Any of these projects; none: all' })),
  description: Type.Optional(Type.String()),
}
export const AccountBody = Type.Object(BODY)
export const CredentialCheck = Type.Object({ accessKey: Type.String(), secretKey: Type.String() })

export const CredentialInfo = Type.Object({
  accessKey: Type.String(),
  createdAt: Type.String(),
  status: Type.String({ description: 'ENABLE or DISABLE' }),
  authorizationGrantType: Type.String(),
})
export const NewCredentialInfo = Type.Object({
  accessKey: Type.String(),
  secretKey: Type.String({ description: 'Shown here and never again' }),
  createdAt: Type.String(),
  status: Type.String(),
  authorizationGrantType: Type.String(),
})
export const AccountInfo = Type.Object({
  appId: Type.String(),
  locked: Type.Boolean(),
  authorizationGrantTypes: Type.Array(Type.String()),
  scope: Type.Array(Type.String()),
  scopeDesc: Type.Array(ScopeRule),
  description: Type.Union([Type.String(), Type.Null()]),
  createdBy: Type.String(),
  createdDate: Type.String(),
  lastModifiedBy: Type.String(),
  lastModifiedDate: Type.String(),
})

/** @throws AppError PARAMETER_MISSING, PARAMETER_EMPTY, PARAMETER_INVALID, REQUEST_CONTENT_INVALID, OPTION_NOT_BUILT. */
export function newAccountOf(body: unknown): NewPlatformAccount {
  return { appId: fieldsOf(body).requiredText('appId'), ...accountChangeOf(body) }
}

/** What is absent stays as it is; an empty list takes a limit away. */
export function accountChangeOf(body: unknown): PlatformAccountChange {
  const fields = fieldsOf(body)
  refuseOtherGrants(fields)
  return {
    locked: fields.flag('locked'),
    description: fields.text('description'),
    scope: fields.list('scope')?.map(resourceTypeOf),
    projectRules: fields.list('scopeDesc')?.map(ruleOf),
  }
}

function refuseOtherGrants(fields: RequestFields): void {
  for (const type of fields.list('authorizationGrantTypes') ?? []) {
    if (typeof type !== 'string') throw unreadable('authorizationGrantTypes', 'must be a list of texts')
    if (chosen(type, [GRANT]) === undefined) {
      throw notBuilt(`authorizationGrantTypes ${type}`, `is not built yet: only ${GRANT} is`)
    }
  }
}

function resourceTypeOf(value: unknown): ResourceType {
  const type = typeof value === 'string' ? chosen(value, RESOURCE_TYPES) : undefined
  if (type === undefined) throw unreadable('scope', `must be a list of ${RESOURCE_TYPES.join(', ')}`)
  return type
}

function ruleOf(value: unknown): ProjectRule {
  const rule = fieldsOf(value, 'scopeDesc')
  const field = rule.requiredText('field')
  if (field.toUpperCase() !== 'PROJECT') throw invalid('scopeDesc.field', 'it must be PROJECT')
  const operation = rule.choice('operation', ['IN', 'PREFIX'])
  if (operation === undefined) throw missing('scopeDesc.operation')
  const raw = rule.raw('value')
  if (raw === undefined) throw missing('scopeDesc.value')
  return { operation, values: [raw].flat().map((one) => storableText('scopeDesc.value', one)) }
}

export function toAccountInfo(account: PlatformAccount, dates: Dates) {
  const { appId, locked, scope, projectRules, description } = account
  return {
    ...{ appId, locked, authorizationGrantTypes: [GRANT], scope, description },
    scopeDesc: projectRules.map(({ operation, values }) => ({ field: 'PROJECT', operation, value: values })),
    createdBy: account.createdBy,
    createdDate: dates.format(account.createdAt),
    lastModifiedBy: account.modifiedBy,
    lastModifiedDate: dates.format(account.modifiedAt),
  }
}

export function toCredentialInfo({ accessKey, createdAt, enabled }: PlatformCredential, dates: Dates) {
  return {
    accessKey,
    createdAt: dates.format(createdAt),
    status: enabled ? 'ENABLE' : 'DISABLE',
    authorizationGrantType: GRANT,
  }
}
export const toNewCredentialInfo = (made: NewCredential, dates: Dates) => ({
  ...toCredentialInfo(made, dates),
  secretKey: made.secretKey,
})
