import { isPasswordHash } from '../../auth/passwords.ts'
import { checkContact, checkTokenName, checkUserId, checkUserName, isUserId } from '../../auth/user-rules.ts'
import { invalid } from '../../core/errors.ts'
import { fieldsOf, type RequestFields } from '../../core/request-fields.ts'
import type { UserAccount } from '../../metadata/access/users.ts'
import type { RoleName, StoredToken } from '../../metadata/backup/user-rows.ts'
import type { Authored } from '../records/documents.ts'
import {
  type Authorship,
  authored,
  authorshipIn,
  hashIn,
  isoTime,
  isoTimeOrNull,
  optionalText,
  optionalTimeIn,
  type ParseTime,
  textsIn,
  timeIn,
} from './common-fields.ts'
import { roleNameIn } from './right-places.ts'

/** A line of `user.json`. */
export interface UserDocument extends Authored {
  readonly userId: string
  readonly name: string
  /** argon2id, PHC string. The reference's `pwd` is of another kind, and is not taken. */
  readonly passwordHash: string
  readonly admin: boolean
  readonly locked: boolean
  readonly email: string | null
  readonly phone: string | null
  /** An account that `asstUsers` share. */
  readonly group: boolean
  readonly asstUsers: readonly string[]
  readonly roles: readonly RoleName[]
  readonly tokens: readonly {
    readonly name: string
    /** SHA-256 of the token, hex. */
    readonly tokenHash: string
    readonly createdAt: string
    readonly expiredAt: string | null
  }[]
}

/** A record that was read. */
export interface UserRecord extends Omit<UserAccount, 'credentialStamp' | 'passwordHash'> {
  /** Undefined: the record has none, as those of the reference. */
  readonly passwordHash: string | undefined
  readonly group: boolean
  readonly members: readonly string[]
  readonly roles: readonly RoleName[]
  readonly tokens: readonly StoredToken[]
}

const MAX_TIES = 1_000

export function documentOfUser(user: UserAccount, { tokens, roles, members }: UserTies): UserDocument {
  const { userId, name, passwordHash, admin, locked, email, phone } = user
  return {
    ...{ userId, name, passwordHash, admin, locked, email, phone },
    ...{ group: members !== undefined, asstUsers: members ?? [] },
    roles: roles.map(({ projectId, repoName, roleId }) => ({ projectId, repoName, roleId })),
    tokens: tokens.map((token) => ({
      ...{ name: token.name, tokenHash: Buffer.from(token.hash).toString('hex') },
      ...{ createdAt: isoTime(token.createdAt), expiredAt: isoTimeOrNull(token.expiresAt) },
    })),
    ...authored(user),
  }
}
interface UserTies {
  readonly tokens: readonly StoredToken[]
  readonly roles: readonly RoleName[]
  /** Undefined: it is no group. */
  readonly members: readonly string[] | undefined
}

/** @throws AppError naming the field; no refusal tells a value that is a secret. */
export function userIn(fields: RequestFields, parseTime: ParseTime): UserRecord {
  const userId = fields.text('userId') ?? ''
  checkUserId(userId)
  const name = fields.requiredText('name')
  checkUserName(name)
  const passwordHash = fields.text('passwordHash')
  if (passwordHash !== undefined && !isPasswordHash(passwordHash)) {
    throw invalid('passwordHash', `it is no hash that can be checked here`)
  }
  const members = textsIn(fields, 'asstUsers', isUserId).filter((member) => member !== userId)
  const roles = objectsIn(fields, 'roles').map(roleNameIn)
  const authorship: Authorship = authorshipIn(fields, parseTime)
  return {
    ...{ userId, name, passwordHash, members, roles, ...authorship },
    admin: fields.flag('admin') ?? false,
    locked: fields.flag('locked') ?? false,
    group: fields.flag('group') ?? false,
    email: contactIn(fields, 'email'),
    phone: contactIn(fields, 'phone'),
    tokens: objectsIn(fields, 'tokens').map((token) => tokenIn(token, userId, parseTime)),
  }
}

function contactIn(fields: RequestFields, name: 'email' | 'phone'): string | null {
  const text = optionalText(fields, name)
  if (text !== null) checkContact(name, text)
  return text
}

function tokenIn(fields: RequestFields, userId: string, parseTime: ParseTime): StoredToken {
  const name = fields.requiredText('name')
  checkTokenName(name)
  const createdAt = timeIn(fields, 'createdAt', parseTime)
  return {
    ...{ userId, name, createdAt, hash: hashIn(fields, 'tokenHash') },
    expiresAt: optionalTimeIn(fields, 'expiredAt', parseTime),
  }
}

/** Those of a list that the reference writes as texts (ids of its own) mean nothing here, and are refused with their record. */
function objectsIn(fields: RequestFields, name: string): RequestFields[] {
  const list = fields.list(name) ?? []
  if (list.length > MAX_TIES) throw invalid(name, `at most ${MAX_TIES}`)
  return list.map((item) => fieldsOf(item, name))
}
