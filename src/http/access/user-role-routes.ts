import { Type } from 'typebox'
import { decide } from '../../auth/access.ts'
import type { Rights } from '../../auth/rights.ts'
import type { Roles } from '../../auth/roles.ts'
import type { Users } from '../../auth/users.ts'
import { empty } from '../../core/errors.ts'
import { fieldsOf, storableText, unreadable } from '../../core/request-fields.ts'
import { answers, ok } from '../envelope.ts'
import { documented } from '../request-validation.ts'
import type { App, Routes } from '../route.ts'
import { authoriseRole } from './role-routes.ts'
import { newUserOf, UserCreate } from './user-wire.ts'

export interface UserRoleRouteDeps {
  readonly users: Users
  readonly roles: Roles
  readonly rights: Pick<Rights, 'grantsOf'>
}

const PATH = '/auth/api/user'
const tags = ['users', 'roles']
/** Whoever manages the project of the role: `authoriseProject` in the handler. */
const config = { access: 'AUTHENTICATED' } as const
const done = answers(Type.Boolean())
/** No more than a project's administrator may learn of any user. */
const RoleHolderInfo = Type.Object({ userId: Type.String(), name: Type.String(), roles: Type.Array(Type.String()) })

/** core.md 4: who has which role, and users that administer a project or a repository from the start. */
export const userRoleRoutes =
  (deps: UserRoleRouteDeps): Routes =>
  async (app) => {
    administratorRoutes(app, deps)
    membershipRoutes(app, deps)
  }

function administratorRoutes(app: App, { users, roles, rights }: UserRoleRouteDeps): void {
  for (const what of ['project', 'repo'] as const) {
    const place = what === 'repo' ? { projectId: Type.String(), repoName: Type.String() } : { projectId: Type.String() }
    const body = documented(Type.Object({ ...UserCreate.properties, ...place }))
    app.post(
      `${PATH}/create/${what}`,
      {
        schema: { tags, summary: `Make a user who administers a ${what}`, body, response: done },
        config: { access: 'ADMIN' },
      },
      async (request) => {
        const fields = fieldsOf(request.body)
        const project = fields.requiredText('projectId')
        const of = { project, repoName: what === 'repo' ? fields.requiredText('repoName') : null }
        const user = newUserOf(request.body)
        const by = request.principal.userId
        await users.create(user, by, (trx) => roles.makeAdministrator(trx, user.userId, of, by))
        return ok(true)
      },
    )
  }
  app.get(
    `${PATH}/admin/:projectId`,
    {
      schema: {
        ...{ tags, summary: 'Does the caller administer the project?' },
        ...{ params: Type.Object({ projectId: Type.String() }), response: done },
      },
      config,
    },
    async ({ params, principal }) => {
      const resource = { kind: 'project', projectId: params.projectId } as const
      return ok(decide(principal, 'MANAGE', resource, await rights.grantsOf(principal)) === 'allow')
    },
  )
}

function membershipRoutes(app: App, { users, roles }: UserRoleRouteDeps): void {
  for (const method of ['POST', 'DELETE'] as const) {
    const summary = method === 'POST' ? 'Give a user a role' : 'Take a role from a user'
    const params = Type.Object({ uid: Type.String(), rid: Type.String({ description: '`id` of the role' }) })
    app.route({
      method,
      url: `${PATH}/role/:uid/:rid`,
      schema: { tags, summary, params, response: answers(RoleHolderInfo) },
      config,
      handler: async (request) => {
        const { uid, rid } = request.params
        await authoriseRole(request, await roles.get(rid))
        await (method === 'POST' ? roles.addUsers(rid, [uid]) : roles.removeUsers(rid, [uid]))
        const { userId, name } = await users.get(uid)
        return ok({ userId, name, roles: (await users.ties([uid]))(uid).roles })
      },
    })
  }
  for (const change of ['add', 'delete'] as const) {
    const summary = change === 'add' ? 'Give users a role' : 'Take a role from users'
    app.patch(
      `${PATH}/role/${change}/:rid`,
      {
        schema: {
          ...{ tags, summary, params: Type.Object({ rid: Type.String({ description: '`id` of the role' }) }) },
          ...{ body: documented(Type.Array(Type.String({ description: 'User ids' }))), response: done },
        },
        config,
      },
      async (request) => {
        const { rid } = request.params
        const userIds = userIdsOf(request.body)
        await authoriseRole(request, await roles.get(rid))
        await (change === 'add' ? roles.addUsers(rid, userIds) : roles.removeUsers(rid, userIds))
        return ok(true)
      },
    )
  }
}

/** @throws AppError REQUEST_CONTENT_INVALID, PARAMETER_EMPTY. */
function userIdsOf(body: unknown): string[] {
  if (!Array.isArray(body)) throw unreadable('the body', 'must be an array of user ids')
  if (body.length === 0) throw empty('idList')
  return body.map((id, index) => storableText(`idList[${index}]`, id))
}
