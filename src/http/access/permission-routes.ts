import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { decide } from '../../auth/access.ts'
import type { PermissionCheck } from '../../auth/permission-check.ts'
import type { Permissions } from '../../auth/permissions.ts'
import type { Principal } from '../../auth/principal.ts'
import type { Rights } from '../../auth/rights.ts'
import { hasCode } from '../../core/errors.ts'
import { fieldsOf } from '../../core/request-fields.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { given, queryChoice } from '../query-choice.ts'
import { documented } from '../request-validation.ts'
import type { Routes } from '../route.ts'
import {
  newPermissionOf,
  PERMISSION_CHANGES,
  PermissionCreate,
  PermissionInfo,
  PermissionQuestionBody,
  questionOf,
  RESOURCE_TYPES,
  toPermissionInfo,
} from './access-wire.ts'
import { ALL_PROJECTS } from './role-routes.ts'

export interface PermissionRouteDeps {
  readonly permissions: Permissions
  readonly check: PermissionCheck
  readonly rights: Pick<Rights, 'grantsOf'>
  readonly dates: Dates
}

const PATH = '/auth/api/permission'
const tags = ['permissions']
/** Whoever manages the project of the permission: `authoriseProject` in the handler. */
const config = { access: 'AUTHENTICATED' } as const
const done = answers(Type.Boolean())

const PermissionParams = Type.Object({ id: Type.String() })
const ListQuery = Type.Object({
  projectId: Type.Optional(
    Type.String({ description: 'Left out: of the server and all projects, for administrators' }),
  ),
  repoName: Type.Optional(Type.String({ description: 'With `projectId`: those that name the repository' })),
  resourceType: Type.Optional(Type.String({ description: RESOURCE_TYPES.join(', ') })),
})
const ChangeBody = (field: string) => Type.Object({ permissionId: Type.String(), [field]: Type.Array(Type.String()) })

/** core.md 4: permissions, by administrators and by those who manage the project. */
export const permissionRoutes =
  ({ permissions, check, rights, dates }: PermissionRouteDeps): Routes =>
  async (app) => {
    const manages = async (principal: Principal, projectId: string): Promise<boolean> =>
      decide(principal, 'MANAGE', { kind: 'project', projectId }, await rights.grantsOf(principal)) === 'allow'
    async function authoriseFor(request: FastifyRequest, id: string): Promise<void> {
      const { project } = await permissions.get(id)
      request.auditAbout = { project: project === '' ? null : project }
      await request.authoriseProject('MANAGE', project)
    }

    app.post(
      `${PATH}/create`,
      {
        schema: {
          ...{ tags, summary: 'Make a permission' },
          ...{ body: documented(PermissionCreate), response: answers(PermissionInfo) },
        },
        config,
      },
      async (request) => {
        const permission = newPermissionOf(request.body)
        await request.authoriseProject('MANAGE', permission.project ?? ALL_PROJECTS)
        return ok(toPermissionInfo(await permissions.create(permission, request.principal.userId), dates))
      },
    )
    app.delete(
      `${PATH}/delete/:id`,
      { schema: { tags, summary: 'Delete a permission', params: PermissionParams, response: done }, config },
      async (request) => {
        const { id } = request.params
        await authoriseFor(request, id)
        await permissions.delete(id)
        return ok(true)
      },
    )
    app.post(
      `${PATH}/check`,
      {
        schema: {
          ...{ tags, summary: 'May a user do this?' },
          ...{ body: documented(PermissionQuestionBody), response: done },
        },
        config: { ...config, audit: 'never' },
      },
      async (request) => {
        const question = questionOf(request.body)
        const { userId, project } = question
        // Everybody may ask about the own rights, those who manage a project about all rights in it.
        const own = decide(request.principal, 'VIEW', { kind: 'account', userId }) === 'allow'
        if (!own) await request.authoriseProject('MANAGE', project ?? ALL_PROJECTS)
        try {
          return ok(await check.allows(question))
        } catch (error) {
          const isAbsent = hasCode(error, 'ACCESS_PROJECT_NOT_FOUND', 'ACCESS_REPOSITORY_NOT_FOUND')
          // What is not there and what one may not see are the same to those who do not manage the project.
          if (isAbsent && !(await manages(request.principal, project ?? ALL_PROJECTS))) return ok(false)
          throw error
        }
      },
    )
    app.get(
      `${PATH}/list`,
      {
        schema: {
          ...{ tags, summary: 'Permissions' },
          ...{ querystring: ListQuery, response: answers(Type.Array(PermissionInfo)) },
        },
        config,
      },
      async (request) => {
        const { query } = request
        const project = given(query.projectId)
        await request.authoriseProject('MANAGE', project ?? ALL_PROJECTS)
        const resourceType = queryChoice('resourceType', query.resourceType, RESOURCE_TYPES)
        const found = await permissions.list({ resourceType, project, repoName: given(query.repoName) })
        return ok(found.map((permission) => toPermissionInfo(permission, dates)))
      },
    )
    for (const [what, { field, read }] of Object.entries(PERMISSION_CHANGES)) {
      app.put(
        `${PATH}/${what}`,
        {
          schema: {
            ...{ tags, summary: `Replace the list \`${field}\` of a permission` },
            ...{ body: documented(ChangeBody(field)), response: done },
          },
          config,
        },
        async (request) => {
          const fields = fieldsOf(request.body)
          const id = fields.requiredText('permissionId')
          await authoriseFor(request, id)
          await permissions.update(id, read(fields), request.principal.userId)
          return ok(true)
        },
      )
    }
  }
