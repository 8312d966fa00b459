import { Type } from 'typebox'
import type { Project, ProjectSortKey, Projects } from '../../artifacts/repositories/projects.ts'
import { decide } from '../../auth/access.ts'
import type { Principal } from '../../auth/principal.ts'
import type { Rights } from '../../auth/rights.ts'
import { pageRequest } from '../../core/paging.ts'
import { enforce } from '../access-control.ts'
import type { Dates } from '../dates.ts'
import { answers, ok } from '../envelope.ts'
import { PAGE_FIELDS, PageData, pageOf, toPage } from '../paging.ts'
import { given } from '../query-choice.ts'
import type { Routes } from '../route.ts'
import { listOf, orderOf, SORT_FIELDS } from '../sorting.ts'

export interface ProjectRouteDeps {
  readonly projects: Projects
  readonly rights: Pick<Rights, 'visibleProjects' | 'grantsOf'>
  /** Users who may create projects besides administrators. */
  readonly creators: readonly string[]
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
const Entries = Type.Array(Type.Object({ key: Type.String(), value: Type.Unknown() }))
const CreateBody = Type.Object({
  name: Type.String(),
  displayName: Type.String({ description: '2 to 100 characters' }),
  description: Type.String(),
  metadata: Type.Optional(Entries),
})
const UpdateBody = Type.Object({
  displayName: Type.Optional(Type.String({ description: '2 to 100 characters' })),
  description: Type.Optional(Type.String()),
  metadata: Type.Optional(Entries),
})
const ListQuery = Type.Object({
  names: Type.Optional(Texts),
  displayNames: Type.Optional(Texts),
  pageNumber: Type.Optional(Type.Integer({ description: 'From 1; without it and pageSize: the whole list' })),
  pageSize: Type.Optional(Type.Integer({ description: '20 when only pageNumber is given, at most 1000' })),
  ...SORT_FIELDS,
})
const SearchQuery = Type.Object({
  ...PAGE_FIELDS,
  ...SORT_FIELDS,
  name: Type.Optional(Type.String({ description: 'Part of the name, in any case' })),
  displayName: Type.Optional(Type.String({ description: 'Part of the display name, in any case' })),
})
const SORT_KEYS: Readonly<Record<string, ProjectSortKey>> = {
  name: 'name',
  displayName: 'displayName',
  createdDate: 'createdAt',
  lastModifiedDate: 'modifiedAt',
}

/** core.md 5. */
export const projectRoutes =
  ({ projects, rights, creators, dates }: ProjectRouteDeps): Routes =>
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

    const isCreator = ({ userId, standing, covers }: Principal, projectId: string): boolean =>
      creators.includes(userId) &&
      standing === undefined &&
      covers?.('MANAGE', { kind: 'project', projectId }) !== false

    app.post(
      `${PATH}/create`,
      {
        schema: { tags, summary: 'Make a project', body: CreateBody, response: answers(ProjectInfo) },
        config: { access: 'AUTHENTICATED' },
      },
      async ({ body, principal }) => {
        const { userId } = principal
        const decision = decide(principal, 'MANAGE', { kind: 'system' }, await rights.grantsOf(principal))
        if (decision !== 'allow' && isCreator(principal, body.name)) {
          return ok(info(await projects.createOwn(body, userId)))
        }
        enforce(decision, `creating project ${body.name}`)
        return ok(info(await projects.create(body, userId)))
      },
    )
    app.put(
      `${PATH}/:projectId`,
      {
        schema: {
          tags,
          summary: 'Change a project',
          params: Type.Object({ projectId: Type.String() }),
          body: UpdateBody,
          response: answers(Type.Null()),
        },
        config: { access: { project: 'MANAGE' } },
      },
      async ({ params, body, principal }) => {
        const { displayName, description, metadata } = body
        await projects.update(params.projectId, { displayName, description, metadata }, principal.userId)
        return ok(null)
      },
    )
    app.get(
      `${PATH}/list`,
      {
        schema: {
          tags,
          summary: 'Projects that the caller may see',
          querystring: ListQuery,
          response: answers(Type.Array(ProjectInfo)),
        },
        config: { access: 'AUTHENTICATED' },
      },
      async ({ query, principal }) => {
        const among = (value: string | string[] | undefined) => (value === undefined ? undefined : listOf(value))
        const filter = {
          names: among(query.names),
          displayNames: among(query.displayNames),
          visibility: await rights.visibleProjects(principal),
        }
        const order = orderOf(query, SORT_KEYS)
        const { pageNumber, pageSize } = query
        if (pageNumber === undefined && pageSize === undefined) {
          return ok((await projects.list(filter, order)).map(info))
        }
        const { records } = await projects.page(filter, order, pageRequest(pageNumber, pageSize))
        return ok(records.map(info))
      },
    )
    app.get(
      `${PATH}/search`,
      {
        schema: {
          tags,
          summary: 'Projects, page by page',
          querystring: SearchQuery,
          response: answers(PageData(ProjectInfo)),
        },
        config: { access: 'AUTHENTICATED' },
      },
      async ({ query, principal }) => {
        const filter = {
          namePart: given(query.name),
          displayNamePart: given(query.displayName),
          visibility: await rights.visibleProjects(principal),
        }
        return ok(toPage(await projects.page(filter, orderOf(query, SORT_KEYS), pageOf(query)), info))
      },
    )
    app.get(
      `${PATH}/exist/:projectId`,
      {
        schema: {
          tags,
          summary: 'Whether the caller may see such a project',
          params: Type.Object({ projectId: Type.String() }),
          response: answers(Type.Boolean()),
        },
        config: { access: 'AUTHENTICATED' },
      },
      async ({ params, principal }) => {
        const visibility = await rights.visibleProjects(principal)
        return ok((await projects.list({ names: [params.projectId], visibility }, [])).length > 0)
      },
    )
  }
