import { Type } from 'typebox'
import { decide } from '../../auth/access.ts'
import type { PasswordChange as PasswordOrder } from '../../auth/password-change.ts'
import type { Principal } from '../../auth/principal.ts'
import type { UserTokens } from '../../auth/user-tokens.ts'
import type { Users } from '../../auth/users.ts'
import { AppError } from '../../core/errors.ts'
import { fieldsOf } from '../../core/request-fields.ts'
import { enforce } from '../access-control.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { given } from '../query-choice.ts'
import { documented } from '../request-validation.ts'
import type { App, Routes } from '../route.ts'
import {
  NewToken,
  newUserOf,
  PasswordChange,
  TokenCheck,
  TokenInfo,
  toTokenInfo,
  toUserInfo,
  UserCreate,
  UserInfo,
  UserUpdate,
  userChangeOf,
} from './user-wire.ts'

export interface UserRouteDeps {
  readonly users: Users
  readonly tokens: UserTokens
  changePassword(change: PasswordOrder): Promise<void>
  readonly dates: Dates
}

const PATH = '/auth/api/user'
const tags = ['users']
const admin = { access: 'ADMIN' } as const
/** Administrators, and each user for the own account: `checkOwn`. */
const own = { access: 'AUTHENTICATED' } as const
const done = answers(Type.Boolean())
const UserParams = Type.Object({ uid: Type.String() })
const TokenParams = Type.Object({ uid: Type.String(), name: Type.String() })

/** Users and their tokens (core.md 3 and 4). Neither passwords nor hashes ever leave; a token does once. */
export const userRoutes =
  (deps: UserRouteDeps): Routes =>
  async (app) => {
    accountRoutes(app, deps)
    tokenRoutes(app, deps)
  }

function accountRoutes(app: App, { users, changePassword, dates }: UserRouteDeps): void {
  async function infoOf(userId: string) {
    const user = await users.get(userId)
    return toUserInfo(user, (await users.ties([userId]))(userId), dates)
  }
  app.post(
    `${PATH}/create`,
    { schema: { tags, summary: 'Make a user', body: documented(UserCreate), response: done }, config: admin },
    async (request) => {
      await users.create(newUserOf(request.body), request.principal.userId)
      return ok(true)
    },
  )
  const ListQuery = Type.Object({ userId: Type.Optional(Type.String({ description: 'Prefix' })) })
  app.get(
    `${PATH}/list`,
    {
      schema: { tags, summary: 'All users', querystring: ListQuery, response: answers(Type.Array(UserInfo)) },
      config: admin,
    },
    async ({ query }) => {
      const found = await users.list({ userIdPrefix: given(query.userId) })
      const tiesOf = await users.ties(undefined)
      return ok(found.map((user) => toUserInfo(user, tiesOf(user.userId), dates)))
    },
  )
  app.get(
    `${PATH}/detail/:uid`,
    { schema: { tags, summary: 'A user', params: UserParams, response: answers(UserInfo) }, config: own },
    async ({ params, principal }) => {
      checkOwn(principal, params.uid)
      return ok(await infoOf(params.uid))
    },
  )
  app.get(
    `${PATH}/info`,
    { schema: { tags, summary: 'Who am I', response: answers(UserInfo) }, config: own },
    async ({ principal }) => ok(await infoOf(principal.userId)),
  )
  app.put(
    `${PATH}/update/info/:uid`,
    {
      schema: { tags, summary: 'Change a user', params: UserParams, body: documented(UserUpdate), response: done },
      config: own,
    },
    async ({ params, body, principal }) => {
      checkOwn(principal, params.uid)
      const change = userChangeOf(body)
      const rights = [change.admin, change.locked, change.password, change.group, change.members]
      if (!principal.admin && rights.some((value) => value !== undefined)) {
        throw new AppError(
          'PERMISSION_DENIED',
          'Access denied: admin, locked, pwd, group and asstUsers are changed by administrators',
        )
      }
      await users.update(params.uid, change, principal.userId)
      return ok(true)
    },
  )
  app.put(
    `${PATH}/update/password/:uid`,
    {
      schema: {
        tags,
        summary: 'Change the own password',
        params: UserParams,
        body: documented(PasswordChange),
        response: done,
      },
      config: own,
    },
    async ({ params, body, principal, ip }) => {
      checkOwn(principal, params.uid)
      const fields = fieldsOf(body)
      await changePassword({
        ...{ userId: params.uid, address: ip },
        ...{ oldPassword: fields.requiredText('oldPwd'), newPassword: fields.requiredText('newPwd') },
      })
      return ok(true)
    },
  )
  app.delete(
    `${PATH}/delete/:uid`,
    { schema: { tags, summary: 'Delete a user', params: UserParams, response: done }, config: admin },
    async ({ params }) => {
      await users.delete(params.uid)
      return ok(true)
    },
  )
}

function tokenRoutes(app: App, { tokens, dates }: UserRouteDeps): void {
  const Expiry = Type.Object({ expiredAt: Type.Optional(Type.String({ description: 'Never, when left out' })) })
  app.post(
    `${PATH}/token/:uid/:name`,
    {
      schema: {
        tags,
        summary: 'Make a token, shown this once',
        params: TokenParams,
        querystring: Expiry,
        response: answers(NewToken),
      },
      config: own,
    },
    async ({ params, query, principal }) => {
      checkOwn(principal, params.uid)
      const expiry = given(query.expiredAt)
      const expiresAt = expiry === undefined ? null : dates.parse('expiredAt', expiry)
      const made = await tokens.create(params.uid, params.name, expiresAt)
      return ok({ ...toTokenInfo(made, dates), id: made.token })
    },
  )
  app.get(
    `${PATH}/list/token/:uid`,
    {
      schema: {
        tags,
        summary: 'Tokens of a user, by name',
        params: UserParams,
        response: answers(Type.Array(TokenInfo)),
      },
      config: own,
    },
    async ({ params, principal }) => {
      checkOwn(principal, params.uid)
      return ok((await tokens.list(params.uid)).map((token) => toTokenInfo(token, dates)))
    },
  )
  app.delete(
    `${PATH}/token/:uid/:name`,
    { schema: { tags, summary: 'End a token', params: TokenParams, response: done }, config: own },
    async ({ params, principal }) => {
      checkOwn(principal, params.uid)
      await tokens.delete(params.uid, params.name)
      return ok(true)
    },
  )
  app.post(
    `${PATH}/token`,
    {
      schema: { tags, summary: 'Whether a token is the user’s', body: documented(TokenCheck), response: done },
      config: { ...own, audit: 'never' },
    },
    async ({ body, principal }) => {
      const fields = fieldsOf(body)
      const uid = fields.requiredText('uid')
      checkOwn(principal, uid)
      return ok(await tokens.check(uid, fields.requiredText('token')))
    },
  )
}

function checkOwn(principal: Principal, userId: string): void {
  enforce(decide(principal, 'MANAGE', { kind: 'account', userId }), `the account of ${userId}`)
}
