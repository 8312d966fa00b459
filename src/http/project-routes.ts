import { Type } from 'typebox'
import type { Project, ProjectSortKey, Projects } from '../artifacts/projects.ts'
import type { Dates } from './dates.ts'
import { answers, ok } from './envelope.ts'
import type { Routes } from './route.ts'
import { listOf, orderOf, SORT_FIELDS } from './sorting.ts'

export interface ProjectRouteDeps {
  readonly projects: Projects
  readonly dates: Dates
}

const PATH = '/repository/api/project'
const tags = ['projects']

const Texts = Type.Union([Type.String(), Type.Array(Type.String())])
const ProjectInfo = Type.Object({
  name: Type.String(),
  displayName: Type.String(),
  description: Type.String(),
  metadata: Type.Array(Type.Unknown()),
  createdBy: Type.String(),
  createdDate: Type.String(),
  lastModifiedBy: Type.String(),
  lastModifiedDate: Type.String(),
})
const CreateBody = Type.Object({
  name: Type.String(),
  displayName: Type.String({ description: '2 to 100 characters' }),
  description: Type.String(),
  metadata: Type.Optional(Type.Array(Type.Object({ key: Type.String(), value: Type.Unknown() }))),
})
const UpdateBody = Type.Object({
  displayName: Type.Optional(Type.String({ description: '2 to 100 characters' })),
  description: Type.Optional(Type.String()),
})
const ListQuery = Type.Object({
  names: Type.Optional(Texts),
  displayNames: Type.Optional(Texts),
  pageNumber: Type.Optional(Type.Integer({ description: 'Without effect: the answer is the whole list' })),
  pageSize: Type.Optional(Type.Integer({ description: 'Without effect: the answer is the whole list' })),
  ...SORT_FIELDS,
})
const SORT_KEYS: Readonly<Record<string, ProjectSortKey>> = {
  name: 'name',
  displayName: 'displayName',
  createdDate: 'createdAt',
  lastModifiedDate: 'modifiedAt',
}

/** core.md 5. */
export const projectRoutes =
  ({ projects, dates }: ProjectRouteDeps): Routes =>
  async (app) => {
    const info = (project: Project) => ({
      name: project.name,
      displayName: project.displayName,
      description: project.description,
      metadata: project.metadata,
      createdBy: project.createdBy,
      createdDate: dates.format(project.createdAt),
      lastModifiedBy: project.modifiedBy,
      lastModifiedDate: dates.format(project.modifiedAt),
    })

    app.post(
      `${PATH}/create`,
      { schema: { tags, body: CreateBody, response: answers(ProjectInfo) }, config: { access: 'ADMIN' } },
      async ({ body, principal }) => ok(info(await projects.create(body, principal.userId))),
    )
    app.put(
      `${PATH}/:name`,
      {
        schema: {
          tags,
          params: Type.Object({ name: Type.String() }),
          body: UpdateBody,
          response: answers(Type.Null()),
        },
        config: { access: 'ADMIN' },
      },
      async ({ params, body, principal }) => {
        const { displayName, description } = body
        await projects.update(params.name, { displayName, description }, principal.userId)
        return ok(null)
      },
    )
    app.get(
      `${PATH}/list`,
      {
        schema: { tags, querystring: ListQuery, response: answers(Type.Array(ProjectInfo)) },
        config: { access: 'AUTHENTICATED' },
      },
      async ({ query, principal }) => {
        const given = (value: string | string[] | undefined) => (value === undefined ? undefined : listOf(value))
        const filter = {
          names: given(query.names),
          displayNames: given(query.displayNames),
          visibility: principal.admin ? undefined : ('public' as const),
        }
        return ok((await projects.list(filter, orderOf(query, SORT_KEYS))).map(info))
      },
    )
    app.get(
      `${PATH}/exist/:projectId`,
      {
        schema: { tags, params: Type.Object({ projectId: Type.String() }), response: answers(Type.Boolean()) },
        config: { access: 'AUTHENTICATED' },
      },
      async ({ params }) => ok((await projects.find(params.projectId)) !== undefined),
    )
  }
