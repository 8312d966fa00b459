import { Type } from 'typebox'
import type { UserToken } from '../../auth/user-tokens.ts'
import type { NewUser, User, UserChange } from '../../auth/users.ts'
import { fieldsOf, type RequestFields } from '../../core/request-fields.ts'
import type { UserTies } from '../../metadata/access/groups.ts'
import type { Dates } from '../dates.ts'
import { textsOf } from './access-wire.ts'

const Text = Type.Optional(Type.Union([Type.String(), Type.Null()]))
const Flag = Type.Optional(Type.Boolean())
const Members = Type.Optional(Type.Array(Type.String(), { description: 'Of a group: they may do what it may' }))
const CHANGEABLE = { email: Text, phone: Text, admin: Flag, locked: Flag, group: Flag, asstUsers: Members }

export const UserCreate = Type.Object({ userId: Type.String(), name: Type.String(), pwd: Type.String(), ...CHANGEABLE })
export const UserUpdate = Type.Object({ name: Text, pwd: Text, ...CHANGEABLE })
export const PasswordChange = Type.Object({ oldPwd: Type.String(), newPwd: Type.String() })
export const TokenCheck = Type.Object({ uid: Type.String(), token: Type.String() })

const WireDate = Type.String({ description: 'E.g. 2021-05-12T12:19:08.813' })
const NullableDate = Type.Union([WireDate, Type.Null()])
export const TokenInfo = Type.Object({ name: Type.String(), createdAt: WireDate, expiredAt: NullableDate })
export const NewToken = Type.Object({
  name: Type.String(),
  id: Type.String({ description: 'The token itself; shown here and never again' }),
  createdAt: WireDate,
  expiredAt: NullableDate,
})
export const UserInfo = Type.Object({
  userId: Type.String(),
  name: Type.String(),
  admin: Type.Boolean(),
  locked: Type.Boolean(),
  email: Type.Union([Type.String(), Type.Null()]),
  phone: Type.Union([Type.String(), Type.Null()]),
  group: Type.Boolean(),
  asstUsers: Type.Array(Type.String()),
  roles: Type.Array(Type.String(), { description: '`id` of roles' }),
  createdBy: Type.String(),
  createdDate: WireDate,
  lastModifiedBy: Type.String(),
  lastModifiedDate: WireDate,
})

/** @throws AppError PARAMETER_MISSING, PARAMETER_EMPTY, REQUEST_CONTENT_INVALID, OPTION_NOT_BUILT; the others are `Users`'. */
export function newUserOf(body: unknown): NewUser {
  const fields = fieldsOf(body)
  return {
    userId: fields.requiredText('userId'),
    name: fields.requiredText('name'),
    password: fields.requiredText('pwd'),
    ...flagsOf(fields),
    email: fields.text('email'),
    phone: fields.text('phone'),
  }
}

/** An empty `email` or `phone` removes it. */
export function userChangeOf(body: unknown): UserChange {
  const fields = fieldsOf(body)
  const contact = (name: string) => {
    const text = fields.text(name)
    return text === '' ? null : text
  }
  return {
    name: fields.text('name'),
    password: fields.text('pwd'),
    ...flagsOf(fields),
    email: contact('email'),
    phone: contact('phone'),
  }
}
const flagsOf = (fields: RequestFields) => ({
  admin: fields.flag('admin'),
  locked: fields.flag('locked'),
  group: fields.flag('group'),
  members: fields.list('asstUsers') === undefined ? undefined : textsOf(fields, 'asstUsers'),
})

export function toUserInfo(user: User, { roles, group, members }: UserTies, dates: Dates) {
  const { userId, name, admin, locked, email, phone } = user
  return {
    ...{ userId, name, admin, locked, email, phone },
    ...{ group, asstUsers: members, roles },
    createdBy: user.createdBy,
    createdDate: dates.format(user.createdAt),
    lastModifiedBy: user.modifiedBy,
    lastModifiedDate: dates.format(user.modifiedAt),
  }
}

export function toTokenInfo({ name, createdAt, expiresAt }: UserToken, dates: Dates) {
  return { name, createdAt: dates.format(createdAt), expiredAt: dates.format(expiresAt) }
}
