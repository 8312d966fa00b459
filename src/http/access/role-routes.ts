import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Role, Roles } from '../../auth/roles.ts'
import { answers, ok } from '../envelope.ts'
import { given, queryChoice } from '../query-choice.ts'
import { documented } from '../request-validation.ts'
import type { Routes } from '../route.ts'
import { newRoleOf, ROLE_TYPES, RoleCreate, RoleInfo, RoleUserInfo, toRoleInfo } from './access-wire.ts'

export interface RoleRouteDeps {
  readonly roles: Roles
}

const PATH = '/auth/api/role'
const tags = ['roles']
/** Whoever manages the project of the role: `authoriseProject` in the handler. */
const config = { access: 'AUTHENTICATED' } as const

const RoleParams = Type.Object({ id: Type.String() })
const ListQuery = Type.Object({
  type: Type.Optional(Type.String({ description: ROLE_TYPES.join(' or ') })),
  projectId: Type.Optional(Type.String({ description: 'Left out: of all projects, for administrators' })),
  repoName: Type.Optional(Type.String()),
})

/** core.md 4: roles, by administrators and by those who manage the project. */
export const roleRoutes =
  ({ roles }: RoleRouteDeps): Routes =>
  async (app) => {
    app.post(
      `${PATH}/create`,
      {
        schema: { tags, summary: 'Make a role', body: documented(RoleCreate), response: answers(Type.String()) },
        config,
      },
      async (request) => {
        const role = newRoleOf(request.body)
        await request.authoriseProject('MANAGE', role.project)
        return ok((await roles.create(role, request.principal.userId)).id)
      },
    )
    app.delete(
      `${PATH}/delete/:id`,
      {
        schema: {
          ...{ tags, summary: 'Delete a role that nobody has' },
          ...{ params: RoleParams, response: answers(Type.Boolean()) },
        },
        config,
      },
      async (request) => {
        const { id } = request.params
        await authoriseRole(request, await roles.get(id))
        await roles.delete(id)
        return ok(true)
      },
    )
    app.get(
      `${PATH}/detail/:id`,
      { schema: { tags, summary: 'One role', params: RoleParams, response: answers(RoleInfo) }, config },
      async (request) => {
        const role = await roles.get(request.params.id)
        await authoriseRole(request, role)
        return ok(toRoleInfo(role))
      },
    )
    app.get(
      `${PATH}/list`,
      {
        schema: { tags, summary: 'Roles', querystring: ListQuery, response: answers(Type.Array(RoleInfo)) },
        config,
      },
      async (request) => {
        const { query } = request
        const project = given(query.projectId)
        await request.authoriseProject('MANAGE', project ?? ALL_PROJECTS)
        const type = queryChoice('type', query.type, ROLE_TYPES)
        return ok((await roles.list({ type, project, repoName: given(query.repoName) })).map(toRoleInfo))
      },
    )
    app.get(
      `${PATH}/users/:id`,
      {
        schema: {
          ...{ tags, summary: 'Who has a role' },
          ...{ params: RoleParams, response: answers(Type.Array(RoleUserInfo)) },
        },
        config,
      },
      async (request) => {
        const { id } = request.params
        await authoriseRole(request, await roles.get(id))
        return ok(await roles.users(id))
      },
    )
  }

/** @throws AppError PERMISSION_DENIED for who does not manage the project of the role. */
export async function authoriseRole(request: FastifyRequest, { project, repoName }: Role): Promise<void> {
  request.auditAbout = { project, repo: repoName }
  await request.authoriseProject('MANAGE', project)
}

/** No project has this name, so that only administrators manage it. */
export const ALL_PROJECTS = ''
